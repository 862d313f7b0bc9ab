import DormouseSupport
import Testing

@testable import DormouseMedia

/// Scaled images equal those of torchvision and Pillow, byte for byte.
@Suite struct ImageResamplerTests {
  private static let file = "vision/preprocessing"

  @Test func equalsTorchvisionAndPillow() throws {
    let golden = try TensorFile(Fixtures.path("\(Self.file).safetensors"))
    let cases = try GoldenRow.rows("\(Self.file).json", "scalings")
    #expect(cases.count >= 50)
    for row in cases {
      let (source, result) = (try row.integers("source"), try row.integers("result"))
      let filter = try #require(ResampleFilter(rawValue: try row.integer("filter")))
      let arithmetic: ResampleArithmetic = try row.text("arithmetic") == "pillow" ? .pillow : .torchvision
      let pixels = SyntheticImages.bytes(source[0], source[1], seed: try row.integer("seed"))
      let scaled = try Self.scale(pixels, source, result, filter, arithmetic)
      let name = try row.text("name")
      let expected = try golden.bytes(name)
      let differences = zip(scaled, expected).map { abs(Int($0) - Int($1)) }
      #expect(differences.max() == 0, "\(name): \(source) to \(result)")
    }
  }

  /// The same bytes whatever the number of threads.
  @Test func threadsShareRows() throws {
    let pixels = SyntheticImages.bytes(301, 203, seed: 5)
    let one = try Self.scale(pixels, [301, 203], [97, 111], .bicubic, .torchvision, threads: 1)
    #expect(try Self.scale(pixels, [301, 203], [97, 111], .bicubic, .torchvision, threads: 4) == one)
  }

  private static func scale(
    _ pixels: [UInt8], _ source: [Int], _ result: [Int], _ filter: ResampleFilter, _ arithmetic: ResampleArithmetic,
    threads: Int = 2
  ) throws -> [UInt8] {
    let resampler = ImageResampler(
      source: (source[0], source[1]), result: (result[0], result[1]), filter: filter, arithmetic: arithmetic)
    var output = [UInt8](repeating: 7, count: result[0] * result[1] * 3)
    let pool = try ThreadPool(threadCount: threads)
    try pixels.withUnsafeBufferPointer { source in
      try output.withUnsafeMutableBufferPointer { target in
        try resampler.run(
          try #require(source.baseAddress), into: try #require(target.baseAddress), pool: pool)
      }
    }
    return output
  }
}
