import DormouseSupport
import Testing

@testable import DormouseMedia

/// Sizes and patches equal those of the published processors.
@Suite struct ImageProcessorTests {
  private static let file = "vision/preprocessing"

  @Test func sizesEqualThePublishedRules() throws {
    let rows = try GoldenRow.rows("\(Self.file).json", "plans")
    #expect(rows.count >= 100)
    for row in rows {
      let (size, limit) = (try row.integers("size"), try row.integer("limit"))
      let rule: ResizeRule =
        try row.text("rule") == "kimi_vl"
        ? .patches(maximumPatches: limit) : .patchesAndSide(maximumPatches: limit, maximumSide: try row.integer("side"))
      let plan = try? rule.plan(
        width: size[0], height: size[1], patchSize: try row.integer("patch"), mergeSize: try row.integer("merge"))
      if row.has("refused") {
        #expect(plan == nil, "\(size) \(rule)")
      } else {
        let (new, padded) = (try row.integers("new"), try row.integers("padded"))
        let expected = ResizePlan(width: new[0], height: new[1], paddedWidth: padded[0], paddedHeight: padded[1])
        #expect(plan == expected, "\(size) \(rule)")
      }
    }
  }

  @Test(arguments: ["transformers", "published"]) func patchesEqualTheProcessors(layout: String) throws {
    let golden = try TensorFile(Fixtures.path("\(Self.file).safetensors"))
    let pool = try ThreadPool(threadCount: 2)
    let rows = try GoldenRow.rows("\(Self.file).json", layout)
    #expect(rows.count == 6)
    for row in rows {
      let processor = ImageProcessor(try ImageProcessorConfiguration(row.object("config")))
      let size = try row.integers("size")
      let grid = try processor.configuration.grid(width: size[0], height: size[1])
      let name = try row.text("name")
      let (shape, expected) = try golden.patches(name)
      #expect(try grid.patchCount() == shape[0])
      if row.has("grid") { #expect(try [grid.frames, grid.height, grid.width] == row.integers("grid")) }
      var patches = [Float](repeating: 7, count: shape.reduce(1, *))
      let image = try SyntheticImages.image(size[0], size[1], seed: try row.integer("seed"))
      try patches.withUnsafeMutableBufferPointer { try processor.process(image, into: $0, pool: pool) }
      #expect(patches == expected, "\(name): \(relativeError(patches, expected))")
    }
  }

  @Test func scratchIsKnownBefore() throws {
    let processor = ImageProcessor(try ImageProcessorConfiguration.load(folder: "/nowhere"))
    // Not scaled: a copy alone.
    #expect(try processor.scratchByteCount(width: 100, height: 50, threads: 2) == 100 * 50 * 3)
    // 2073 x 1554: the copy, 3000 rows scaled along their length, and a row of sums for each thread.
    let expected = 2073 * 1554 * 3 + 3000 * 2073 * 3 + 2 * 2073 * 3 * 4
    #expect(try processor.scratchByteCount(width: 4000, height: 3000, threads: 2) == expected)
  }

  /// An image in the caller's memory gives what a copy gives.
  @Test func borrowedPixels() throws {
    let bytes = SyntheticImages.bytes(50, 31, seed: 3)
    let processor = ImageProcessor(try ImageProcessorConfiguration.load(folder: "/nowhere"))
    let pool = try ThreadPool(threadCount: 1)
    let count = try processor.configuration.grid(width: 50, height: 31).patchCount() * processor.patchWidth
    var (owned, borrowed) = ([Float](repeating: 0, count: count), [Float](repeating: 1, count: count))
    try owned.withUnsafeMutableBufferPointer {
      try processor.process(RGBImage(width: 50, height: 31, bytes: bytes), into: $0, pool: pool)
    }
    try bytes.withUnsafeBytes { memory in
      try borrowed.withUnsafeMutableBufferPointer {
        try processor.process(RGBImage(width: 50, height: 31, borrowing: memory), into: $0, pool: pool)
      }
    }
    #expect(owned == borrowed)
  }
}
