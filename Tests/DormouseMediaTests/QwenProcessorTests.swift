import DormouseSupport
import Testing

@testable import DormouseMedia

/// Sizes, patches and sampled frames equal those of Qwen2-VL's and Qwen3-VL's processors in transformers 5.23.
@Suite struct QwenProcessorTests {
  private static let file = "vision/qwen"

  /// A tower of dots3-note with patches of this size.
  static func vision(patch: Int) throws -> VisionConfiguration {
    let json: JSON = [
      "model_type": "dots3_note", "text_config": ["hidden_size": 5120],
      "vision_config": ["patch_size": .integer(Int64(patch))],
    ]
    return try #require(try VisionConfiguration(json: json))
  }

  @Test func sizesEqualThePublishedRules() throws {
    let rows = try GoldenRow.rows("\(Self.file).json", "plans")
    #expect(rows.count >= 100 && rows.contains { $0.has("refused") })
    for row in rows {
      let size = try row.integers("size")
      let rule = ResizeRule.pixels(
        minimumPixels: try row.integer("least"), maximumPixels: try row.integer("most"),
        frames: row.has("frames") ? try row.integer("frames") : nil)
      let plan = try? rule.plan(
        width: size[0], height: size[1], patchSize: try row.integer("patch"), mergeSize: try row.integer("merge"))
      if row.has("refused") {
        #expect(plan == nil, "\(size) \(rule)")
      } else {
        let new = try row.integers("new")
        let expected = ResizePlan(width: new[0], height: new[1], paddedWidth: new[0], paddedHeight: new[1])
        #expect(plan == expected, "\(size) \(rule)")
      }
    }
  }

  @Test func picturesEqualTransformers() throws {
    let golden = try TensorFile(Fixtures.path("\(Self.file).safetensors"))
    let pool = try ThreadPool(threadCount: 2)
    let rows = try GoldenRow.rows("\(Self.file).json", "pictures")
    #expect(rows.count == 7)
    for row in rows {
      let vision = try Self.vision(patch: row.integer("patch"))
      let processor = ImageProcessor(try ImageProcessorConfiguration(qwen: row.object("config"), vision))
      let size = try row.integers("size")
      let grid = try processor.configuration.grid(width: size[0], height: size[1])
      #expect(try [grid.frames, grid.height, grid.width] == row.integers("grid"))
      let name = try row.text("name")
      let (shape, expected) = try golden.patches(name)
      var patches = [Float](repeating: 7, count: shape.reduce(1, *))
      let image = try SyntheticImages.image(size[0], size[1], seed: try row.integer("seed"))
      try patches.withUnsafeMutableBufferPointer { try processor.process(image, into: $0, pool: pool) }
      #expect(patches == expected, "\(name): \(relativeError(patches, expected))")
    }
  }

  @Test func filmsEqualTransformers() throws {
    let golden = try TensorFile(Fixtures.path("\(Self.file).safetensors"))
    let pool = try ThreadPool(threadCount: 2)
    let rows = try GoldenRow.rows("\(Self.file).json", "films")
    #expect(rows.count == 6)
    for row in rows {
      let configuration = try VideoProcessorConfiguration(
        qwen: row.object("config"), Self.vision(patch: row.integer("patch")))
      let (size, seed) = (try row.integers("size"), try row.integer("seed"))
      let plan = try VideoPlan(
        configuration, frameCount: row.integer("frames"), framesPerSecond: row.number("rate"), width: size[0],
        height: size[1])
      #expect(try plan.chunks.flatMap(\.frames) == row.integers("indices"))
      let grid = try row.integers("grid")
      #expect(
        plan.chunks.map(\.grid) == [PatchGrid](repeating: PatchGrid(height: grid[1], width: grid[2]), count: grid[0]))
      #expect(plan.prompt(row: "@") == String(repeating: "@", count: grid.reduce(1, *) / 4))
      let processor = VideoProcessor(configuration)
      var all: [Float] = []
      for chunk in plan.chunks {
        let frames = try chunk.frames.map { try SyntheticImages.image(size[0], size[1], seed: seed + $0) }
        var patches = [Float](repeating: 7, count: try chunk.grid.patchCount() * processor.patchWidth)
        try patches.withUnsafeMutableBufferPointer { try processor.process(frames, of: chunk, into: $0, pool: pool) }
        all += patches
      }
      let name = try row.text("name")
      #expect(try all == golden.patches(name).values, "\(name)")
    }
  }

  @Test func sampledFramesEqualTransformers() throws {
    let rows = try GoldenRow.rows("\(Self.file).json", "samplings")
    #expect(rows.count == 6)
    for row in rows {
      let configuration = try VideoProcessorConfiguration(qwen: row.object("config"), Self.vision(patch: 14))
      let found = configuration.sampledFrames(of: try row.integer("total"), framesPerSecond: try row.number("rate"))
      #expect(try found == row.integers("indices"))
    }
  }

  /// Where the files lie: nested, apart, and with the images' part under a name of its own.
  @Test func filesOfProcessors() throws {
    let vision = try Self.vision(patch: 14)
    let folder = try TemporaryFolder()
    func rules() throws -> [ResizeRule] {
      [
        try ImageProcessorConfiguration.load(folder: folder.path, for: vision).rule,
        try VideoProcessorConfiguration.load(folder: folder.path, for: vision).frame.rule,
      ]
    }
    func rule(_ least: Int, _ most: Int, _ frames: Int? = nil) -> ResizeRule {
      .pixels(minimumPixels: least, maximumPixels: most, frames: frames)
    }
    #expect(try rules() == [rule(3136, 1_003_520), rule(131_072, 786_432, 1)])
    try folder.write("preprocessor_config.json", Array(#"{"vision_config": {"min_pixels": 7, "patch_size": 14}}"#.utf8))
    #expect(try rules() == [rule(7, 1_003_520), rule(131_072, 786_432, 1)])
    try folder.write("video_preprocessor_config.json", Array(#"{"size": {"longest_edge": 200000}}"#.utf8))
    #expect(try rules() == [rule(7, 1_003_520), rule(131_072, 200_000, 1)])
    try folder.write(
      "processor_config.json",
      Array(
        #"{"image_processor": {"size": {"shortest_edge": 5}}, "video_processor": {"size": {"shortest_edge": 6}}}"#.utf8)
    )
    #expect(try rules() == [rule(5, 1_003_520), rule(6, 786_432, 1)])
  }

  // MARK: - Bad input

  @Test(arguments: [
    (#"{"patch_size": 16}"#, Status.malformed, "patch_size is 16; expected 14"),
    (#"{"merge_size": 3}"#, .malformed, "merge_size is 3; expected 2"),
    (#"{"temporal_patch_size": 2}"#, .unsupported, "temporal_patch_size is 2"),
    (#"{"size": {"shortest_edge": 0}}"#, .malformed, "size.shortest_edge is 0"),
    (#"{"size": {"shortest_edge": 90, "longest_edge": 89}}"#, .malformed, "90 pixels at least and 89 at most"),
    (#"{"size": 5}"#, .malformed, "size"), (#"{"do_resize": false}"#, .unsupported, "do_resize"),
    (#"{"image_std": [0, 1, 1]}"#, .malformed, "image_std"), (#"{"resample": 0}"#, .unsupported, "resample"),
  ])
  func badProcessors(text: String, status: Status, part: String) throws {
    let fields = try JSONFields(JSON.parse(argument: text, name: "p.json"), file: "p.json")
    let vision = try Self.vision(patch: 14)
    for body in [
      { _ = try ImageProcessorConfiguration(qwen: fields, vision) },
      { _ = try VideoProcessorConfiguration(qwen: fields, vision) },
    ] {
      let failure = #expect(throws: Failure.self) { try body() }
      #expect(failure?.status == status && failure?.message.contains(part) == true, "\(failure?.message ?? "")")
    }
  }

  @Test(arguments: [
    (#"{"fps": 0}"#, Status.malformed), (#"{"num_frames": 8}"#, .unsupported),
    (#"{"do_sample_frames": false}"#, .unsupported), (#"{"min_frames": 0}"#, .malformed),
    (#"{"cap_pixels_per_frame": true, "max_video_tokens": 0}"#, .malformed),
  ])
  func badVideoProcessors(text: String, status: Status) throws {
    let fields = try JSONFields(JSON.parse(argument: text, name: "p.json"), file: "p.json")
    let failure = #expect(throws: Failure.self) {
      _ = try VideoProcessorConfiguration(qwen: fields, try Self.vision(patch: 14))
    }
    #expect(failure?.status == status, "\(failure?.message ?? "")")
  }

  /// A side 200 times the other is the limit, and sizes beyond what is scaled are refused.
  @Test func longPictures() throws {
    let rule = ResizeRule.pixels(minimumPixels: 1, maximumPixels: 1 << 40, frames: nil)
    #expect(throws: Failure.self) { try rule.plan(width: 201, height: 1, patchSize: 14, mergeSize: 2) }
    _ = try rule.plan(width: 2000, height: 10, patchSize: 14, mergeSize: 2)
    let huge = ResizeRule.pixels(minimumPixels: 1 << 40, maximumPixels: 1 << 40, frames: nil)
    #expect(throws: Failure.self) { try huge.plan(width: 30, height: 30, patchSize: 14, mergeSize: 2) }
  }
}
