import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseMedia

/// What is wrong with an image, a processor's file, a configuration or a checkpoint comes back as a sentence.
@Suite struct BadVisionTests {
  private func failure(_ body: () throws -> Void) -> Failure? {
    do { try body() } catch { return error as? Failure }
    return nil
  }

  private func expect(
    _ status: Status, _ parts: [String], from body: () throws -> Void, _ location: SourceLocation = #_sourceLocation
  ) {
    let found = failure(body)
    #expect(found?.status == status, "\(found?.message ?? "no failure")", sourceLocation: location)
    for part in parts {
      #expect(found?.message.contains(part) == true, "\(found?.message ?? "no failure")", sourceLocation: location)
    }
  }

  // MARK: - Images

  @Test func pictureSizes() throws {
    for (width, height) in [(0, 5), (5, 0), (-1, 5), (65_536, 1), (1, 65_536), (Int.max, Int.max), (30_000, 30_000)] {
      expect(.invalidArgument, ["\(width) x \(height)"]) { _ = try RGBImage(width: width, height: height, bytes: []) }
      let configuration = try ImageProcessorConfiguration.load(folder: "/nowhere")
      expect(.invalidArgument, ["\(width) x \(height)"]) { _ = try configuration.grid(width: width, height: height) }
    }
    for count in [0, 11, 13] {
      expect(.invalidArgument, ["2 x 2", "\(count) bytes", "12"]) {
        _ = try RGBImage(width: 2, height: 2, bytes: [UInt8](repeating: 0, count: count))
      }
    }
    expect(.invalidArgument, ["0 bytes"]) {
      _ = try RGBImage(width: 1, height: 1, borrowing: .init(start: nil, count: 0))
    }
  }

  /// The smallest image there is becomes one token.
  @Test func onePixel() throws {
    let configuration = try ImageProcessorConfiguration.load(folder: "/nowhere")
    let grid = try configuration.grid(width: 1, height: 1)
    #expect(grid == PatchGrid(height: 2, width: 2) && configuration.tokenCount(grid) == 1)
  }

  @Test func patchBuffers() throws {
    let processor = ImageProcessor(try ImageProcessorConfiguration.load(folder: "/nowhere"))
    let pool = try ThreadPool(threadCount: 1)
    for count in [0, 4 * 588 - 1, 4 * 588 + 1] {
      var patches = [Float](repeating: 0, count: count)
      expect(.invalidArgument, ["\(count) numbers", "2352"]) {
        try patches.withUnsafeMutableBufferPointer {
          try processor.process(SyntheticImages.image(28, 28, seed: 1), into: $0, pool: pool)
        }
      }
    }
  }

  @Test func videos() throws {
    let configuration = try VideoProcessorConfiguration.load(folder: "/nowhere")
    func plan(_ count: Int, _ rate: Double, _ times: [Double]? = nil, width: Int = 28) throws {
      _ = try VideoPlan(
        configuration, frameCount: count, framesPerSecond: rate, width: width, height: 28, timestamps: times)
    }
    for count in [0, -1, Int.max] { expect(.invalidArgument, ["\(count) frames"]) { try plan(count, 2) } }
    for rate in [0, -1, .nan, .infinity, 1e9] { expect(.invalidArgument, ["frames a second"]) { try plan(4, rate) } }
    expect(.invalidArgument, ["66000 frames", "65536"]) { try plan(66_000, 2) }
    expect(.invalidArgument, ["4 frames", "3 timestamps"]) { try plan(4, 2, [0, 1, 2]) }
    for time in [-1, .nan, .infinity] { expect(.invalidArgument, ["frame 1"]) { try plan(2, 2, [0, time]) } }
    expect(.invalidArgument, ["0 x 28"]) { try plan(4, 2, width: 0) }
    let chunk = try VideoPlan(configuration, frameCount: 4, framesPerSecond: 2, width: 28, height: 28).chunks[0]
    let processor = VideoProcessor(configuration)
    let pool = try ThreadPool(threadCount: 1)
    var patches = [Float](repeating: 0, count: 16 * 588)
    let frame = try SyntheticImages.image(28, 28, seed: 1)
    for (frames, part) in [
      ([frame], "given 1"), ([frame, frame, frame, try SyntheticImages.image(27, 28, seed: 1)], "frame 3"),
    ] {
      expect(.invalidArgument, [part]) {
        try patches.withUnsafeMutableBufferPointer { try processor.process(frames, of: chunk, into: $0, pool: pool) }
      }
    }
  }

  // MARK: - Files of processors

  @Test(arguments: [
    #"{"patch_size": 0}"#, #"{"patch_size": 1.5}"#, #"{"patch_size": "14"}"#, #"{"merge_size": 99}"#,
    #"{"max_patches": 0}"#, #"{"max_patches": 99999999999}"#, #"{"size": {"max_height": 4}}"#,
    #"{"size": {"max_height": 4, "max_width": 5}}"#, #"{"size": 4}"#, #"{"image_mean": [0.5, 0.5]}"#,
    #"{"image_std": [0.5, 0, 0.5]}"#, #"{"image_std": 0}"#, #"{"rescale_factor": 0}"#, #"{"do_resize": "yes"}"#,
    #"{"media_proc_cfg": 3}"#, #"{"media_proc_cfg": {}}"#,
    #"{"media_proc_cfg": {"patch_size": 14, "in_patch_limit": 0, "patch_limit_on_one_side": 512}}"#,
    #"{"in_token_limit": -4, "pad_input": true}"#,
    #"{"in_token_limit": 4, "pad_input": true, "merge_kernel_size": [2, 3]}"#,
  ]) func malformedProcessors(text: String) throws {
    expect(.malformed, ["preprocessor.json: "]) { _ = try ImageProcessorConfiguration(fields(text)) }
  }

  @Test(arguments: [
    #"{"do_resize": false}"#, #"{"do_normalize": false}"#, #"{"resample": 0}"#, #"{"in_token_limit": 4}"#,
    #"{"media_proc_cfg": {"patch_size": 14, "in_patch_limit": 9, "patch_limit_on_one_side": 5, "fixed_output_tokens": 3}}"#,
  ]) func unsupportedProcessors(text: String) throws {
    expect(.unsupported, ["preprocessor.json: "]) { _ = try ImageProcessorConfiguration(fields(text)) }
  }

  @Test(arguments: [
    (#"{"fps": 0}"#, Status.malformed), (#"{"temporal_patch_size": 0}"#, .malformed),
    (#"{"num_frames": 8}"#, .unsupported),
    (#"{"do_sample_frames": false}"#, .unsupported), (#"{"in_token_limit": 4, "pad_input": true}"#, .unsupported),
    (
      #"{"media_proc_cfg": {"patch_size": 14, "in_patch_limit": 9, "patch_limit_on_one_side": 5, "sample_fps": 2, "temporal_merge_kernel_size": 4, "timestamp_mode": "ss"}}"#,
      .unsupported
    ),
  ]) func badVideoProcessors(text: String, status: Status) throws {
    expect(status, ["preprocessor.json: "]) { _ = try VideoProcessorConfiguration(fields(text)) }
  }

  private func fields(_ text: String) throws -> JSONFields {
    try JSONFields(JSON.parse(argument: text, name: "preprocessor.json"), file: "preprocessor.json")
  }

  // MARK: - Configurations

  @Test(arguments: [
    (#""vision_config": {"hidden_size": 0}"#, "vision_config.hidden_size"),
    (#""vision_config": {"hidden_size": 1e300}"#, "vision_config.hidden_size"),
    (#""vision_config": {"num_attention_heads": 5}"#, "num_attention_heads 5"),
    (#""vision_config": {"hidden_size": 36, "num_attention_heads": 6}"#, "multiple of 4"),
    (#""vision_config": {"num_hidden_layers": 4097}"#, "vision_config.num_hidden_layers"),
    (#""vision_config": {"patch_size": -14}"#, "vision_config.patch_size"),
    (#""vision_config": {"pos_emb_time": 0}"#, "vision_config.pos_emb_time"),
    (#""vision_config": {"merge_kernel_size": [2]}"#, "merge_kernel_size"),
    (#""vision_config": {"merge_kernel_size": [2, 17]}"#, "merge_kernel_size"),
    (#""vision_config": {"hidden_size": 1152, "vt_hidden_size": 1024}"#, "vt_hidden_size"),
    (#""vision_config": {"mm_hidden_size": 7}"#, "mm_hidden_size"),
    (#""vision_config": {"rope_parameters": {"rope_theta": 0}}"#, "rope_theta"),
    (#""vision_config": []"#, "vision_config"), (#""projection_hidden_size": 7"#, "projection_hidden_size"),
    (#""projection_layer_norm_eps": -1"#, "projection_layer_norm_eps"), (#""image_token_id": -1"#, "image_token_id"),
    (#""text_config": null"#, "text_config"), (#""text_config": {"hidden_size": 0}"#, "text_config.hidden_size"),
    (#""vision_config": {"text_hidden_size": 5}"#, "text_hidden_size"),
  ]) func malformedConfigurations(member: String, part: String) throws {
    expect(.malformed, ["config.json: ", part]) { _ = try configuration(member) }
  }

  @Test(arguments: [
    (#""vision_config": {"hidden_act": "relu"}"#, "hidden_act"),
    (#""vision_config": {"model_type": "siglip"}"#, "model_type"),
    (#""vision_config": {"mm_projector_type": "patchmergerv2"}"#, "mm_projector_type"),
    (#""vision_config": {"rope_parameters": {"rope_type": "yarn"}}"#, "rope_type"),
  ]) func unsupportedConfigurations(member: String, part: String) throws {
    expect(.unsupported, ["config.json: ", part]) { _ = try configuration(member) }
  }

  /// A text model, or a tower of another kind, has no vision configuration; loading one says which there are.
  @Test func modelsWithoutATower() throws {
    #expect(try VisionConfiguration(json: ["model_type": "deepseek_v3"]) == nil)
    #expect(try VisionConfiguration(json: [:]) == nil)
    let folder = try TemporaryFolder()
    try folder.write("config.json", Array(#"{"model_type": "deepseek_v3"}"#.utf8))
    expect(.unsupported, ["config.json", "kimi_k25"]) { _ = try VisionFolder(folder.path) }
  }

  private func configuration(_ member: String) throws -> VisionConfiguration? {
    let text = member.contains("text_config") ? "" : #""text_config": {"hidden_size": 8}, "#
    return try VisionConfiguration(
      json: JSON.parse(argument: #"{"model_type": "kimi_k25", \#(text)\#(member)}"#, name: "config.json"))
  }

  // MARK: - Checkpoints and grids

  @Test(arguments: [
    (#""hidden_size": 24"#, #""hidden_size": 12"#, "patch_embed.proj.weight"),
    (#""num_hidden_layers": 3"#, #""num_hidden_layers": 4"#, "vision_tower.encoder.blocks.3.norm0.weight is missing"),
    (#""pos_emb_height": 7"#, #""pos_emb_height": 8"#, "patch_embed.pos_emb.weight"),
    (#""intermediate_size": 38"#, #""intermediate_size": 40"#, "mlp.fc0.weight has shape [38, 24]; expected [40, 24]"),
    (#""patch_size": 8"#, #""patch_size": 7"#, "expected [24, 3, 7, 7]"),
  ]) func checkpointsThatDoNotFit(old: String, new: String, part: String) throws {
    let source = Fixtures.path("models-media/kimi_k25-tiny")
    let folder = try TemporaryFolder()
    let text = String(decoding: try File(path: "\(source)/config.json").readAll(limit: 1 << 20), as: UTF8.self)
    // The text model has fields of the same names, in front of the tower's.
    let halves = text.split(separator: "\"vision_config\"", maxSplits: 1).map(String.init)
    let vision = halves[1].split(separator: old, maxSplits: 1).joined(separator: new)
    let projection = halves[0] + "\"vision_config\"" + vision
    let changed = projection.split(separator: "\"projection_hidden_size\": 24,", maxSplits: 1).joined()
    try folder.write("config.json", Array(changed.utf8))
    try folder.write("model.safetensors", try File(path: "\(source)/model.safetensors").readAll(limit: 1 << 24))
    expect(.malformed, [part]) { _ = try VisionFolder(folder.path) }
  }

  @Test func missingFiles() throws {
    expect(.notFound, ["/nowhere/config.json"]) { _ = try VisionFolder("/nowhere") }
    let folder = try TemporaryFolder()
    try folder.write("config.json", Array(#"{"model_type": "kimi_k25", "text_config": {"hidden_size": 8}}"#.utf8))
    expect(.notFound, ["model.safetensors"]) { _ = try VisionFolder(folder.path) }
  }

  @Test(arguments: [
    (PatchGrid(height: 0, width: 2), "0 x 2"), (PatchGrid(height: 3, width: 2), "3 x 2"),
    (PatchGrid(height: 2, width: -2), "2 x -2"), (PatchGrid(height: 514, width: 2), "514 x 2"),
    (PatchGrid(height: Int.max, width: Int.max), "patches"), (PatchGrid(frames: 0, height: 2, width: 2), "0 frames"),
    (PatchGrid(frames: 5, height: 2, width: 2), "5 frames"),
    (PatchGrid(frames: Int.max, height: 2, width: 2), "frames"),
  ]) func grids(grid: PatchGrid, part: String) throws {
    let tower = try Tower.open("kimi_k25-tiny")
    expect(.invalidArgument, [part]) { _ = try Tower.encode(tower, [], [grid]) }
  }

  @Test func filmsForATowerOfPictures() throws {
    let tower = try Tower.open("kimi_vl-tiny")
    expect(.invalidArgument, ["2 frames"]) {
      _ = try Tower.encode(tower, [], [PatchGrid(frames: 2, height: 2, width: 2)])
    }
  }

  @Test func buffersOfOtherSizes() throws {
    let tower = try Tower.open("kimi_k25-tiny")
    let grid = PatchGrid(height: 2, width: 2)
    for (patches, rows) in [(767, 32), (769, 32), (768, 31), (768, 33), (0, 32), (768, 0)] {
      expect(.invalidArgument, ["numbers"]) {
        let source = [Float](repeating: 0, count: patches)
        var target = [Float](repeating: 0, count: rows)
        try source.withUnsafeBufferPointer { source in
          try target.withUnsafeMutableBufferPointer { try tower.encode(source, grids: [grid], into: $0) }
        }
      }
    }
  }

  @Test func scratchBeyond64Bits() throws {
    let configuration = try Tower.open("kimi_k25-tiny").configuration
    expect(.malformed, ["scratch"]) {
      _ = try VisionTower.scratchByteCount(configuration, patches: Int.max / 2, threads: 2)
    }
  }
}
