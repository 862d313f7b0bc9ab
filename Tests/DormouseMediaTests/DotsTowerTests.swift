import DormouseAudio
import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseMedia

/// dots3-note's towers against transformers on a tiny random model (`Tests/Fixtures/models-media/generate_dots.py`), under
/// the published names of its tensors and those of its modules.
@Suite struct DotsTowerTests {
  static let folders = ["dots3_note-tiny", "dots3_note-modules"]
  static let goldens = "models-media/dots3_note-tiny"
  private static let bound = 5e-6

  // MARK: - Vision

  @Test(arguments: folders) func seesAsTransformers(folder: String) throws {
    let golden = try TensorFile(Fixtures.path("\(Self.goldens)/tower.safetensors"))
    let batches = golden.names.filter { $0.utf8.suffix(6).elementsEqual(".grids".utf8) }.map { $0.dropLast(6) }
    #expect(batches.count == 4)
    for kernels in Kernels.usable().compactMap({ try? Kernels.make($0) }) {
      for threads in [1, 3] {
        let tower = try Tower.open(folder, threads: threads, kernels: kernels)
        for batch in batches {
          // Each frame is alone.
          let grids = try golden.grids("\(batch).grids").flatMap { grid in
            [PatchGrid](repeating: PatchGrid(height: grid.height, width: grid.width), count: grid.frames)
          }
          let patches = try Tower.patches(grids, tower.configuration)
          let what = "\(batch), \(kernels.instructionSet), \(threads) threads"
          let rows = try Tower.encode(tower, patches, grids)
          let rowError = relativeError(rows, try golden.floats("\(batch).rows"))
          #expect(rowError < Self.bound, "projector: \(what): \(rowError)")
          guard golden.has("\(batch).tower") else { continue }
          let stream = try Tower.stream(tower, patches, grids)
          let error = relativeError(stream, try golden.floats("\(batch).tower"))
          #expect(error < Self.bound, "tower: \(what): \(error)")
        }
      }
    }
  }

  /// More patches than pass through a network at a time give the rows that they give alone.
  @Test func manyPatches() throws {
    let tower = try Tower.open("dots3_note-tiny")
    let grids = [PatchGrid(height: 26, width: 40), PatchGrid(height: 4, width: 6)]
    let patches = try Tower.patches(grids, tower.configuration)
    let together = try Tower.encode(tower, patches, grids)
    let first = try grids[0].patchCount() * tower.configuration.patchWidth
    let alone =
      try Tower.encode(tower, Array(patches[..<first]), [grids[0]])
      + Tower.encode(tower, Array(patches[first...]), [grids[1]])
    #expect(relativeError(together, alone) < 1e-6)
  }

  @Test func framesAreAlone() throws {
    let tower = try Tower.open("dots3_note-tiny")
    let failure = #expect(throws: Failure.self) {
      _ = try Tower.encode(tower, [], [PatchGrid(frames: 2, height: 2, width: 2)])
    }
    #expect(failure?.status == .invalidArgument && failure?.message.contains("takes 1 to 1") == true)
  }

  // MARK: - Audio

  static func audio(_ folder: String, threads: Int = 2, kernels: Kernels? = nil) throws -> DotsAudioTower {
    try DotsAudioTower(
      DotsAudioFolder(Fixtures.path("models-media/\(folder)")), pool: ThreadPool(threadCount: threads),
      kernels: kernels ?? Kernels.selected())
  }

  static func rows(_ tower: DotsAudioTower, _ samples: [Float]) throws -> [Float] {
    let count = try tower.tokenCount(sampleCount: samples.count) * tower.configuration.textHiddenSize
    var rows = [Float](repeating: .nan, count: count)
    try rows.withUnsafeMutableBufferPointer {
      var run = try tower.begin(samples, into: $0)
      while try run.prepareNext() { while try !run.advance() {} }
    }
    return rows
  }

  /// The audio of the goldens: samples and seed.
  private static func audio(_ golden: TensorFile) -> [(name: String, samples: [Float])] {
    golden.names.filter { $0.utf8.suffix(5).elementsEqual(".rows".utf8) }.map { name in
      let numbers = name.split(separator: ".").compactMap { Int($0) }
      return (String(name.dropLast(5)), SyntheticAudio.voice(numbers[0], seed: numbers[1]))
    }
  }

  @Test(arguments: folders) func hearsAsTransformers(folder: String) throws {
    let golden = try TensorFile(Fixtures.path("\(Self.goldens)/audio.safetensors"))
    let audio = Self.audio(golden)
    #expect(audio.count == 7)
    for kernels in Kernels.usable().compactMap({ try? Kernels.make($0) }) {
      for threads in [1, 3] {
        let tower = try Self.audio(folder, threads: threads, kernels: kernels)
        for audio in audio {
          let found = try Self.rows(tower, audio.samples)
          let expected = try golden.floats("\(audio.name).rows")
          #expect(found.count == expected.count, "\(audio.name)")
          let error = relativeError(found, expected)
          #expect(error < 1e-5, "\(audio.name), \(kernels.instructionSet), \(threads) threads: \(error)")
        }
      }
    }
  }

  /// What the feature extractor makes of the audio's chunks, cut as it cuts them.
  @Test func featuresEqualTheExtractors() throws {
    let golden = try TensorFile(Fixtures.path("\(Self.goldens)/audio.safetensors"))
    let tower = try Self.audio("dots3_note-tiny")
    var compared = 0
    for audio in Self.audio(golden) where golden.has("\(audio.name).features") {
      let expected = try golden.floats("\(audio.name).features")
      let features = try AudioFeatures(audio.samples, tower.spectrogram, isWhole: false, pool: tower.pool)
      var found: [Float] = []
      for window in try tower.folder.windows(sampleCount: audio.samples.count) {
        try features.load(window.samples)
        let count = min(window.rows * 8, 100) * 20
        features.withRows { found += UnsafeBufferPointer(start: $0, count: count) }
      }
      #expect(found.count == expected.count)
      for (a, b) in zip(found, expected) { #expect(abs(a - b) <= 1e-4) }
      compared += 1
    }
    #expect(compared == 2)
  }

  @Test func tokenCounts() throws {
    let folder = try DotsAudioFolder(Fixtures.path(Self.goldens))
    for (samples, tokens) in [
      (1, 1), (1280, 1), (1281, 2), (16000, 13), (16001, 14), (32001, 27), (48000 + 1281, 41),
    ] {
      #expect(try folder.tokenCount(sampleCount: samples) == tokens)
    }
  }

  /// A chunk of more rows than the stem makes at a time, and of more than its convolutions gather.
  @Test func longChunks() throws {
    let folder = try Self.folder(
      changing: [(#""chunk_length": 1"#, #""chunk_length": 9"#)], of: "processor_config.json")
    let tower = try DotsAudioTower(
      DotsAudioFolder(folder.path), pool: ThreadPool(threadCount: 2), kernels: Kernels.selected())
    let samples = SyntheticAudio.voice(9 * 16000, seed: 3)
    let frames = 900
    var features = [Float](repeating: 0, count: frames * 20)
    try samples.withUnsafeBufferPointer { samples in
      try features.withUnsafeMutableBufferPointer {
        try tower.spectrogram.features(of: PaddedSignal(samples), pool: tower.pool, into: $0)
      }
    }
    let layers = try DotsAudioLayers(tower)
    func stream(_ blocks: [Range<Int>]) -> [Float] {
      for block in blocks { layers.runStem(features, frameCount: frames, rows: block) }
      return Array(UnsafeBufferPointer(start: layers.stream, count: 113 * 24))
    }
    let whole = stream([0..<32, 32..<64, 64..<96, 96..<113])
    let pieces = stream((0..<113).map { $0..<$0 + 1 })
    #expect(relativeError(whole, pieces) < 1e-6)
  }

  @Test func threadsChangeNoBit() throws {
    let samples = SyntheticAudio.voice(20_000, seed: 4)
    let results = try [1, 2, 5].map { try Self.rows(Self.audio("dots3_note-tiny", threads: $0), samples) }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  /// The plan is what will be taken, byte by byte.
  @Test(arguments: folders) func planIsKept(_ name: String) throws {
    let folder = try DotsAudioFolder(Fixtures.path("models-media/\(name)"))
    let kernels = try Kernels.selected()
    let plan = try folder.plan(threadCount: 3, kernels: kernels)
    let tower = try DotsAudioTower(folder, residency: .memory, pool: ThreadPool(threadCount: 3), kernels: kernels)
    let samples = SyntheticAudio.voice(40_000, seed: 3)
    let count = try tower.tokenCount(sampleCount: samples.count) * tower.configuration.textHiddenSize
    var rows = [Float](repeating: .nan, count: count)
    try rows.withUnsafeMutableBufferPointer { rows in
      try HeldMemory.expectKept(plan, by: tower, tower.pool) { try tower.begin(samples, into: rows) }
    }
  }

  // MARK: - Bad input

  /// A copy of the tiny folder with something else in one of its files.
  static func folder(changing: [(String, String)], of name: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for file in ["config.json", "processor_config.json", "model.safetensors"] {
      var bytes = try File(path: Fixtures.path("\(goldens)/\(file)")).readAll(limit: 1 << 24)
      if file == name {
        var text = String(decoding: bytes, as: UTF8.self)
        for (old, new) in changing {
          let parts = text.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
          try #require(parts.count == 2, "\(old)")
          text = parts.joined(separator: new)
        }
        bytes = Array(text.utf8)
      }
      try folder.write(file, bytes)
    }
    return folder
  }

  @Test(arguments: [
    (#""downsample_hidden_size": 6"#, #""downsample_hidden_size": 0"#, Status.malformed, "downsample_hidden_size is 0"),
    (
      #""downsample_hidden_size": 6"#, #""downsample_hidden_size": 5"#, .malformed,
      "conv2d1.weight has shape [6, 1, 3, 3]"
    ),
    (#""feature_size": 20"#, #""feature_size": 21"#, .malformed, "feature_size is 21; expected 20"),
    (#""hop_length": 160"#, #""hop_length": 80"#, .malformed, "hop_length is 80; expected 160"),
    (#""adapter_input_size": 24"#, #""adapter_input_size": 25"#, .malformed, "adapter_input_size is 25; expected 24"),
    (#""partial_rotary_factor": 0.5"#, #""partial_rotary_factor": 0.4"#, .malformed, "partial_rotary_factor is 0.4"),
    (#""sampling_rate": 16000"#, #""sampling_rate": 8000"#, .unsupported, "sampling_rate is 8000"),
    (#""attention_bias": true"#, #""use_causal": true"#, .unsupported, "use_causal is true"),
    (
      #""num_hidden_layers": 2"#, #""num_hidden_layers": 3"#, .malformed,
      "layers.2.self_attn_layer_norm.weight is missing"
    ),
  ])
  func badAudioConfigurations(old: String, new: String, status: Status, part: String) throws {
    let folder = try Self.folder(changing: [(old, new)], of: "config.json")
    let failure = #expect(throws: Failure.self) { _ = try DotsAudioFolder(folder.path) }
    #expect(failure?.status == status && failure?.message.contains(part) == true, "\(failure?.message ?? "")")
  }

  /// An hour in rows of a few samples each is refused before anything is made for it.
  @Test func chunksOfTooManyRows() throws {
    let folder = try Self.folder(
      changing: [(#""chunk_length": 1"#, #""chunk_length": 3600"#), (#""hop_length": 160"#, #""hop_length": 2"#)],
      of: "processor_config.json")
    let source = try File(path: "\(folder.path)/config.json").readAll(limit: 1 << 20)
    let parts = String(decoding: source, as: UTF8.self).split(separator: #""hop_length": 160"#, maxSplits: 1)
    try folder.write("config.json", Array(parts.joined(separator: #""hop_length": 2"#).utf8))
    let failure = #expect(throws: Failure.self) { _ = try DotsAudioFolder(folder.path) }
    #expect(failure?.status == .unsupported && failure?.message.contains("3600000 rows") == true)
  }

  @Test func soundsThatMakeNoSenseAreRefused() throws {
    let tower = try Self.audio("dots3_note-tiny")
    for count in [0, -1] {
      #expect(failureMessage { _ = try tower.tokenCount(sampleCount: count) } == "audio without samples")
    }
    var rows = [Float](repeating: 0, count: 7)
    #expect(
      failureMessage {
        _ = try rows.withUnsafeMutableBufferPointer { try tower.begin(SyntheticAudio.voice(1600, seed: 1), into: $0) }
      } == "room for 7 values of the audio's rows; 64 are to be written")
  }
}

/// dots3-note's `config.json`, as published and as transformers writes it.
@Suite struct DotsConfigurationTests {
  private static func vision(_ members: String, text: String = #""hidden_size": 5120"#) throws -> VisionConfiguration? {
    try VisionConfiguration(
      json: JSON.parse(
        argument: #"{"model_type": "dots3_note", \#(text), "vision_config": {\#(members)}}"#, name: "config.json"))
  }

  /// The tower's width is `embed_dim` there, and the text model's fields stand at the top.
  @Test func published() throws {
    let published = try #require(
      try Self.vision(
        #"""
        "embed_dim": 1536, "hidden_size": 5120, "intermediate_size": 4224, "moe_intermediate_size": 2112,
        "num_hidden_layers": 42, "num_attention_heads": 24, "num_channels": 3, "patch_size": 14,
        "spatial_merge_size": 2, "temporal_patch_size": 1, "rms_norm_eps": 1e-5, "use_bias": false, "use_qk_norm": true,
        "is_causal": false, "post_norm": true, "pre_pixel_shuffle": true, "capacity_factor": 2.0, "router_scale": 1.0,
        "pyramid_num_routed": [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
          -1, -1, -1, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 64],
        "router_scoring_func": "sigmoid", "adapter_type": "patch_merger", "adapter_in_dim": 1536,
        "adapter_out_dim": 5120, "adapter_merge_size": 2
        """#))
    #expect(published.hiddenSize == 1536 && published.headDimension == 64 && published.mergedWidth == 6144)
    #expect(published.networks[24] == .gated && published.textHiddenSize == 5120 && !published.hasAttentionBias)
    #expect(
      published.networks[25]
        == .experts(.init(count: 4, perToken: 2, intermediateSize: 2112, scalingFactor: 1)))
    // The class's own values.
    #expect(try published == Self.vision(""))
    #expect(published.tokens == VisionConfiguration.Tokens(image: 151660, video: 151680))
  }

  @Test(arguments: [
    (#""embed_dim": 0"#, Status.malformed, "embed_dim"),
    (#""num_attention_heads": 7"#, .malformed, "num_attention_heads 7"),
    (#""adapter_out_dim": 7"#, .malformed, "adapter_out_dim is 7; expected 5120"),
    (#""adapter_in_dim": 7"#, .malformed, "adapter_in_dim is 7; expected 1536"),
    (#""adapter_merge_size": 3"#, .malformed, "adapter_merge_size is 3; expected 2"),
    (#""pyramid_num_routed": [1, 2]"#, .malformed, "pyramid_num_routed speaks of 2 layers; expected 42"),
    (#""num_hidden_layers": 1, "pyramid_num_routed": [1.5]"#, .malformed, "pyramid_num_routed[0]"),
    (#""num_hidden_layers": 43"#, .malformed, "speaks of 42 layers; expected 43"),
    (#""num_hidden_layers": 1, "mlp_layer_types": ["thin"]"#, .malformed, #"mlp_layer_types[0] is "thin""#),
    (
      #""num_hidden_layers": 1, "mlp_layer_types": ["sparse"], "num_local_experts": 2, "num_experts_per_tok": 3"#,
      .malformed, "num_experts_per_tok is 3"
    ),
    (#""num_experts_per_tok": 0"#, .malformed, "num_experts_per_tok"),
    (#""capacity_factor": 1.5"#, .unsupported, "capacity_factor"), (#""mlp_bias": true"#, .unsupported, "mlp_bias"),
    (#""temporal_patch_size": 2"#, .unsupported, "temporal_patch_size is 2"),
    (#""num_channels": 1"#, .unsupported, "num_channels is 1"),
    (#""hidden_act": "gelu""#, .unsupported, "hidden_act"),
    (#""use_qk_norm": false"#, .unsupported, "use_qk_norm is false"),
    (#""adapter_type": "pixel_shuffle_mlp""#, .unsupported, "adapter_type"),
    (#""rope_parameters": {"rope_type": "default"}"#, .unsupported, "rope_type"),
  ])
  func badVisionConfigurations(members: String, status: Status, part: String) throws {
    let failure = #expect(throws: Failure.self) { _ = try Self.vision(members) }
    #expect(failure?.status == status && failure?.message.contains(part) == true, "\(failure?.message ?? "")")
  }

  /// A folder of the text model alone has no towers.
  @Test func textAlone() throws {
    let json: JSON = ["model_type": "dots3_note", "hidden_size": 64]
    #expect(try VisionConfiguration(json: json) == nil)
    let fields = try JSONFields(json, file: "config.json")
    #expect(try MediaFamilies.towers(fields).isEmpty)
  }

  /// The encoder's sizes of a `whisper_config` are those that count.
  @Test func publishedAudio() throws {
    let text = #"""
      {"model_type": "dots3_note", "hidden_size": 5120, "audio_config": {"encoder_type": "dots", "use_conv2d_stem": true,
        "use_rope": true, "use_rms_norm": true, "use_causal": false, "merge_factor": 1, "chunk_seconds": 60,
        "downsample_hidden_size": 480, "whisper_adapter_in_dim": 1280, "whisper_adapter_out_dim": 5120,
        "rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 10000.0},
        "whisper_config": {"d_model": 1280, "encoder_attention_heads": 20, "encoder_layers": 32, "encoder_ffn_dim": 5120,
          "num_mel_bins": 128, "max_source_positions": 6000, "activation_function": "swiglu"}}}
      """#
    let fields = try JSONFields(JSON.parse(argument: text, name: "config.json"), file: "config.json")
    let published = try DotsAudioConfiguration(fields)
    #expect(published.hiddenSize == 1280 && published.rotaryDimension == 32 && published.bands(3) == 16)
    let bare = try JSONFields(["model_type": "dots3_note"], file: "config.json")
    #expect(try DotsAudioConfiguration(bare) == published)
    let features = try LogMelConfiguration.loadDots(folder: "/nowhere")
    // Of the two, since a minute is a whole number of rows.
    #expect(try published.windows(sampleCount: 130 * 16000 + 1, features: features).map(\.rows) == [750, 750, 126])
  }
}
