import DormouseAudio
import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseMedia

/// The last value that is taken and the first one that is not: of every number in the files of towers and processors, and
/// of what is given to them.
@Suite struct BordersTests {
  /// A number of a document: where it stands, and from what to what it may be.
  private struct Member {
    let path: [String]
    let range: ClosedRange<Double>
    let isWhole: Bool

    init(_ path: String, _ range: ClosedRange<Int>) {
      self.path = path.split(separator: ".").map(String.init)
      self.range = Double(range.lowerBound)...Double(range.upperBound)
      isWhole = true
    }

    init(_ path: String, number range: ClosedRange<Double>) {
      self.path = path.split(separator: ".").map(String.init)
      self.range = range
      isWhole = false
    }

    /// Values at both ends, and whether each may be.
    var cases: [(value: JSON, isTaken: Bool)] {
      let (low, high) = (range.lowerBound, range.upperBound)
      guard isWhole else {
        return [
          (.number(low.nextDown), false), (.number(low), true), (.number(high), true), (.number(high.nextUp), false),
        ]
      }
      return [
        (.integer(Int64(low) - 1), false), (.integer(Int64(low)), true), (.integer(Int64(high)), true),
        (.integer(Int64(high) + 1), false),
      ]
    }

    /// What is said of a value that may not be.
    var sentence: String {
      let range =
        isWhole
        ? "an integer from \(Int(range.lowerBound)) to \(Int(range.upperBound))"
        : "a number from \(range.lowerBound) to \(range.upperBound)"
      return "; expected \(range)"
    }
  }

  private static func setting(_ path: ArraySlice<String>, to value: JSON, in json: JSON) -> JSON {
    guard let key = path.first else { return value }
    var object = json.objectValue ?? JSONObject()
    object[key] = setting(path.dropFirst(), to: value, in: object[key] ?? [:])
    return .object(object)
  }

  /// A value within its range may be wrong for another reason: it need not fit the others.
  private static func expect(_ what: String, _ base: JSON, _ members: [Member], _ read: (JSONFields) throws -> Void) {
    for member in members {
      for (value, isTaken) in member.cases {
        let document = setting(member.path[...], to: value, in: base)
        var message = ""
        do { try read(JSONFields(document, file: "file")) } catch { message = "\(error)" }
        let isRefused =
          message.contains("\(member.path.last ?? "") is ") && message.contains(member.sentence)
        #expect(isRefused != isTaken, "\(what): \(member.path) of \(value.text()): \(message)")
      }
    }
  }

  // MARK: - Processors

  private static let normalization = [
    Member("image_mean", number: -1e3...1e3), Member("image_std", number: 1e-6...1e3),
  ]

  @Test func imageProcessors() {
    let common = Self.normalization + [Member("patch_size", 1...256)]
    Self.expect(
      "transformers", ["size": ["max_height": 9, "max_width": 9]],
      common + [
        Member("merge_size", 1...16), Member("max_patches", 1...1 << 20), Member("size.max_height", 1...4096),
        Member("size.max_width", 1...4096), Member("rescale_factor", number: 1e-6...1), Member("resample", 0...5),
      ]
    ) { _ = try ImageProcessorConfiguration($0) }
    Self.expect(
      "Kimi-VL", ["in_token_limit": 5, "pad_input": true],
      common + [Member("merge_kernel_size", 1...16), Member("in_token_limit", 1...1 << 20)]
    ) { _ = try ImageProcessorConfiguration($0) }
    Self.expect(
      "Kimi K2.5", ["patch_size": 14, "in_patch_limit": 9, "patch_limit_on_one_side": 5],
      common + [
        Member("merge_kernel_size", 1...16), Member("in_patch_limit", 1...1 << 20),
        Member("patch_limit_on_one_side", 1...4096),
      ]
    ) { _ = try ImageProcessorConfiguration(kimiK25: $0) }
  }

  @Test func videoProcessors() {
    Self.expect(
      "transformers", [:],
      [
        Member("fps", number: 1e-3...1e3), Member("temporal_patch_size", 1...64), Member("max_patches", 1...1 << 20),
      ]
    ) { _ = try VideoProcessorConfiguration($0) }
    Self.expect(
      "Kimi K2.5",
      [
        "patch_size": 14, "in_patch_limit": 9, "patch_limit_on_one_side": 5, "sample_fps": 2,
        "temporal_merge_kernel_size": 4,
      ],
      [
        Member("sample_fps", number: 1e-3...1e3), Member("temporal_merge_kernel_size", 1...64),
        Member("max_num_frames_each_video", 1...1 << 20), Member("in_patch_limit_video", 1...1 << 24),
        Member("in_patch_limit_each_frame", 1...1 << 20), Member("patch_limit_on_one_side", 1...4096),
      ]
    ) { _ = try VideoProcessorConfiguration(kimiK25: $0) }
  }

  @Test func qwenProcessors() throws {
    let vision = try QwenProcessorTests.vision(patch: 14)
    let sizes = [Member("size.shortest_edge", 1...1 << 40), Member("size.longest_edge", 1...1 << 40)]
    let patches = ["patch_size", "merge_size", "temporal_patch_size"].map { Member($0, 1...4096) }
    Self.expect(
      "images", [:],
      sizes + patches + Self.normalization + [
        Member("min_pixels", 1...1 << 40), Member("max_pixels", 1...1 << 40),
        Member("rescale_factor", number: 1e-6...1), Member("resample", 0...5),
      ]
    ) { _ = try ImageProcessorConfiguration(qwen: $0, vision) }
    Self.expect(
      "videos", ["cap_pixels_per_frame": true],
      sizes + patches + [
        Member("fps", number: 1e-3...1e3), Member("min_frames", 1...1 << 20), Member("max_frames", 1...1 << 20),
        Member("max_video_tokens", 1...1 << 20),
      ]
    ) { _ = try VideoProcessorConfiguration(qwen: $0, vision) }
    // As many pixels at least as at most.
    for (most, isTaken) in [(90, true), (89, false)] {
      let fields = try JSONFields(["size": ["shortest_edge": 90, "longest_edge": .integer(Int64(most))]], file: "file")
      #expect(((try? VideoProcessorConfiguration(qwen: fields, vision)) != nil) == isTaken)
      #expect(((try? ImageProcessorConfiguration(qwen: fields, vision)) != nil) == isTaken)
    }
  }

  /// Three numbers, or one for all.
  @Test func channels() throws {
    for (key, least, most) in [("image_mean", -1e3, 1e3), ("image_std", 1e-6, 1e3)] {
      for (value, isTaken) in [(least, true), (least.nextDown, false), (most, true), (most.nextUp, false)] {
        let fields = try JSONFields(
          .object(JSONObject([key: .array([.number(0.5), .number(value), .number(0.5)])])), file: "file")
        #expect(((try? ImageProcessorConfiguration(fields)) != nil) == isTaken, "\(key): \(value)")
      }
    }
  }

  // MARK: - Towers

  private static let width = 1...1 << 20
  private static let token = 0...Int(Int32.max)

  @Test func kimiTowers() {
    let layers = [
      Member("num_hidden_layers", 1...1024), Member("pos_emb_height", 1...4096), Member("pos_emb_width", 1...4096),
      Member("pos_emb_time", 1...1024), Member("patch_size", 1...256), Member("hidden_size", Self.width),
      Member("intermediate_size", Self.width), Member("num_attention_heads", 1...1024),
      Member("merge_kernel_size", 1...16),
      Member("projector_ln_eps", number: 1e-12...1e-1), Member("rope_parameters.rope_theta", number: 1...1e9),
      Member("text_hidden_size", Self.width), Member("mm_hidden_size", Self.width),
      Member("vt_hidden_size", Self.width),
    ]
    Self.expect("vision_config", [:], layers) {
      _ = try VisionConfiguration(
        json: ["model_type": "kimi_k25", "text_config": ["hidden_size": 8], "vision_config": .object($0.object)])
    }
    Self.expect(
      "the document", ["model_type": "kimi_k25", "text_config": ["hidden_size": 8]],
      [
        Member("text_config.hidden_size", Self.width), Member("image_token_id", Self.token),
        Member("video_token_id", Self.token),
        Member("media_placeholder_token_id", Self.token), Member("projection_layer_norm_eps", number: 1e-12...1e-1),
        Member("projection_hidden_size", Self.width),
      ]
    ) { _ = try VisionConfiguration(json: .object($0.object)) }
  }

  @Test func dotsVision() {
    let experts: JSON = ["num_hidden_layers": 1, "mlp_layer_types": ["sparse"]]
    func read(_ fields: JSONFields) throws {
      _ = try VisionConfiguration(json: ["model_type": "dots3_note", "vision_config": .object(fields.object)])
    }
    Self.expect(
      "vision_config", [:],
      [
        Member("num_hidden_layers", 1...1024), Member("patch_size", 1...256), Member("embed_dim", Self.width),
        Member("intermediate_size", Self.width), Member("num_heads", 1...1024), Member("spatial_merge_size", 1...16),
        Member("rms_norm_eps", number: 1e-12...1e-1), Member("rope_parameters.rope_theta", number: 1...1e9),
        Member("moe_intermediate_size", Self.width), Member("num_experts_per_tok", 1...65536),
        Member("capacity_factor", number: 1...65536), Member("router_scale", number: 1e-6...1e6),
        Member("router_scaling_factor", number: 1e-6...1e6),
      ], read)
    Self.expect(
      "experts", experts,
      [Member("num_local_experts", 1...65536), Member("per_layer_config.0.num_local_experts", 1...65536)], read)
    Self.expect(
      "the document", ["model_type": "dots3_note", "vision_config": [:]],
      [Member("image_token_id", Self.token), Member("video_token_id", Self.token), Member("hidden_size", Self.width)]
    ) { _ = try VisionConfiguration(json: .object($0.object)) }
    // An expert for a patch at most as there are.
    for (count, isTaken) in [(3, true), (2, false)] {
      let vision: JSON = [
        "num_hidden_layers": 1, "mlp_layer_types": ["sparse"], "num_experts_per_tok": 3,
        "num_local_experts": .integer(Int64(count)),
      ]
      let found = try? VisionConfiguration(json: ["model_type": "dots3_note", "vision_config": vision])
      #expect((found != nil) == isTaken)
    }
    // No more types of layers are needed than there are layers.
    for (layers, isTaken) in [(2, true), (1, true), (3, false)] {
      let vision: JSON = ["num_hidden_layers": .integer(Int64(layers)), "pyramid_num_routed": [-1, 65536]]
      let found = try? VisionConfiguration(json: ["model_type": "dots3_note", "vision_config": vision])
      #expect((found != nil) == isTaken && (found == nil || found?.networks.count == layers))
    }
  }

  @Test func dotsAudio() {
    let audio = [
      Member("hidden_size", 1...16384), Member("intermediate_size", 1...65536), Member("num_hidden_layers", 1...256),
      Member("num_attention_heads", 1...1024), Member("feature_size", 1...512), Member("hop_length", 1...4096),
      Member("downsample_hidden_size", 1...16384), Member("rope_parameters.partial_rotary_factor", number: 0...1),
      Member("rope_parameters.rope_theta", number: 1...1e9), Member("whisper_config.d_model", 1...16384),
      Member("whisper_config.encoder_layers", 1...256), Member("whisper_config.num_mel_bins", 1...512),
    ]
    Self.expect("audio_config", [:], audio) {
      _ = try DotsAudioConfiguration(JSONFields(["audio_config": .object($0.object)], file: "file"))
    }
    Self.expect("the document", [:], [Member("audio_token_id", Self.token), Member("hidden_size", Self.width)]) {
      _ = try DotsAudioConfiguration($0)
    }
  }

  @Test func whisperTowers() throws {
    let config = try File.readJSON(Fixtures.path("models-media/good-voxtral/config.json"))
    Self.expect(
      "the document", config, [Member("audio_token_id", Self.token), Member("text_config.hidden_size", 1...65536)]
    ) { _ = try WhisperTowerConfiguration($0) }
    let omni = Fixtures.path("models-media/kimi_k25-omni")
    let configuration = try WhisperTowerFolder(omni).configuration
    let folder = try TemporaryFolder()
    let document = try JSONFields(File.readJSON("\(omni)/config.json"), file: "file")
    Self.expect(
      "the processor", try File.readJSON("\(omni)/processor_config.json"), [Member("max_audio_len", 1...86400)]
    ) {
      try folder.write("processor_config.json", Array(JSON.object($0.object).text().utf8))
      _ = try configuration.processor(folder: folder.path, document)
    }
  }

  /// A chunk may have 65,536 rows.
  @Test func rowsOfAChunk() throws {
    for (seconds, hop, isTaken) in [(1835, 56, true), (2261, 69, false)] {
      let folder = try DotsTowerTests.folder(
        changing: [
          (#""chunk_length": 1"#, #""chunk_length": \#(seconds)"#), (#""hop_length": 160"#, #""hop_length": \#(hop)"#),
        ], of: "processor_config.json")
      let source = try File(path: "\(folder.path)/config.json").readAll(limit: 1 << 20)
      let parts = String(decoding: source, as: UTF8.self).split(separator: #""hop_length": 160"#, maxSplits: 1)
      try folder.write("config.json", Array(parts.joined(separator: #""hop_length": \#(hop)"#).utf8))
      let found = try? DotsAudioFolder(folder.path)
      #expect((found != nil) == isTaken, "\(seconds) s in hops of \(hop)")
      if let found { #expect(found.configuration.windowRows(found.processor.features) == 65536) }
    }
  }

  // MARK: - Pictures

  @Test func gridsOfTowers() throws {
    for (name, most, frames) in [("kimi_k25-tiny", 512, 4), ("kimi_vl-tiny", 512, 1), ("dots3_note-tiny", 4096, 1)] {
      let tower = try Tower.open(name)
      for (grid, isTaken) in [
        (PatchGrid(height: most, width: 2), true), (PatchGrid(height: 2, width: most), true),
        (PatchGrid(height: most + 2, width: 2), false), (PatchGrid(height: 2, width: most + 2), false),
        (PatchGrid(height: 3, width: 2), false), (PatchGrid(height: 2, width: 3), false),
        (PatchGrid(frames: frames, height: 2, width: 2), true),
        (PatchGrid(frames: frames + 1, height: 2, width: 2), false), (PatchGrid(height: 0, width: 2), false),
      ] { #expect(((try? tower.check(grid)) != nil) == isTaken, "\(name): \(grid)") }
    }
  }

  /// Kimi-VL's side of 512 patches is one too many; what padding adds counts.
  @Test func longPictures() throws {
    for (width, merge, isTaken) in [(511, 1, true), (512, 1, false), (510, 2, true), (511, 2, false)] {
      let rule = ResizeRule.patches(maximumPatches: 1 << 20)
      #expect(((try? rule.plan(width: width, height: 2, patchSize: 1, mergeSize: merge)) != nil) == isTaken)
      #expect(((try? rule.plan(width: 2, height: width, patchSize: 1, mergeSize: merge)) != nil) == isTaken)
    }
    // A side 200 times the other.
    let rule = ResizeRule.pixels(minimumPixels: 1, maximumPixels: 1 << 40, frames: nil)
    for (long, isTaken) in [(2000, true), (2001, false)] {
      #expect(((try? rule.plan(width: long, height: 10, patchSize: 1, mergeSize: 1)) != nil) == isTaken)
      #expect(((try? rule.plan(width: 10, height: long, patchSize: 1, mergeSize: 1)) != nil) == isTaken)
    }
  }

  /// Only the frames that are seen count.
  @Test func pixelsOfSampledVideos() throws {
    let folder = try VisionFolder(Fixtures.path("models-media/kimi_k25-tiny"))
    let encoder = VisionEncoder(
      try VisionTower(folder, pool: ThreadPool(threadCount: 2), kernels: Kernels.selected()), folder.processor)
    let frames = try (0..<32).map { try SyntheticImages.image(40, 27, seed: $0) }
    let video = MediaItem.video(try HeldVideo(frames, framesPerSecond: 8), framesPerSecond: nil)
    var terms = MediaTerms()
    // Two of eight a second.
    for (limit, isTaken) in [(8 * 40 * 27 * 3, true), (8 * 40 * 27 * 3 - 1, false)] {
      terms.limits.outputLimit = UInt64(limit)
      #expect(((try? encoder.prepare(video, terms)) != nil) == isTaken)
    }
    // Other frames are another video, and so is another grid.
    terms = MediaTerms()
    let hashes = try [nil, 2, 1, 4].map {
      try encoder.prepare(.video(HeldVideo(frames, framesPerSecond: 8), framesPerSecond: $0), terms).contentHash
    }
    #expect(hashes[0] == hashes[1] && Set(hashes).count == 3)
  }

  // MARK: - Bytes

  @Test func dataOfURLs() {
    for (text, limit, isTaken) in [
      ("Zm9v", 3, true), ("Zm9v", 2, false), ("Zm8=", 2, true), ("Zm8=", 1, false), ("", 0, true),
    ] {
      let found = try? DataURL.decode("data:;base64,\(text)", name: "image 1", limit: limit)
      #expect((found != nil) == isTaken, "\(text)")
    }
  }

  /// The first 63 bits.
  @Test func hashesAreOf63Bits() {
    #expect(ContentHash([UInt8](repeating: 255, count: 64)).value == .max >> 1)
    #expect(ContentHash([1, 2, 3, 4, 5, 6, 7, 8, 9]).value == 0x0102_0304_0506_0708 >> 1)
  }
}
