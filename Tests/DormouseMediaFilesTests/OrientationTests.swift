import DormouseSupport
import Testing

@testable import DormouseMediaFiles

@Suite struct OrientationTests {
  private let watch = MediaWatch(name: "x", limits: MediaLimits())

  /// 1 2 3
  /// 4 5 6, each pixel three times its number.
  private func numbered() throws -> RGBFrame {
    let frame = try RGBFrame(width: 3, height: 2, watch: watch)
    for index in 0..<18 { frame.pixels[index] = UInt8(index / 3 + 1) }
    return frame
  }

  /// EXIF 2.32, table 6 of section 4.6.4: where row 0 and column 0 are shown.
  @Test(
    arguments: [
      (1, [[1, 2, 3], [4, 5, 6]]), (2, [[3, 2, 1], [6, 5, 4]]), (3, [[6, 5, 4], [3, 2, 1]]),
      (4, [[4, 5, 6], [1, 2, 3]]),
      (5, [[1, 4], [2, 5], [3, 6]]), (6, [[4, 1], [5, 2], [6, 3]]), (7, [[6, 3], [5, 2], [4, 1]]),
      (8, [[3, 6], [2, 5], [1, 4]]),
    ])
  func shown(number: Int, rows: [[UInt8]]) throws {
    let orientation = try #require(Orientation(rawValue: number))
    let frame = try numbered().shown(orientation, watch: watch)
    #expect(frame.width == rows[0].count && frame.height == rows.count)
    for (y, row) in rows.enumerated() { #expect(Array(frame.row(y)) == row.flatMap { [$0, $0, $0] }) }
  }

  @Test(
    arguments: [
      ([1, 0, 0, 1], Orientation.upright), ([-1, 0, 0, 1], .mirroredHorizontally), ([-1, 0, 0, -1], .rotatedHalf),
      ([1, 0, 0, -1], .mirroredVertically), ([0, 1, 1, 0], .transposed), ([0, 1, -1, 0], .rotatedRight),
      ([0, -1, -1, 0], .transversed), ([0, -1, 1, 0], .rotatedLeft),
    ])
  func displayMatrix(values: [Int32], expected: Orientation) {
    let one: Int32 = 1 << 16
    let matrix = [values[0] * one, values[1] * one, 0, values[2] * one, values[3] * one, 0, 0, 0, 1 << 30]
    #expect(Orientation(displayMatrix: matrix) == expected)
  }

  @Test func extremeMatrix() {
    #expect(Orientation(displayMatrix: [Int32](repeating: .min, count: 9)) == .rotatedHalf)
    #expect(Orientation(displayMatrix: nil) == .upright)
  }
}

@Suite struct PictureHeaderTests {
  private func header(_ format: ImageFormat, _ bytes: [UInt8]) throws -> ImageHeader {
    try bytes.withUnsafeBytes { try ImageHeader(format, .memory($0)) }
  }

  /// Every cut and every byte changed: nothing traps, and what can't be read is unknown.
  @Test(arguments: [ImageFormat.jpeg, .png, .webp, .bmp]) func anyBytes(format: ImageFormat) throws {
    let tiff: [UInt8] = Array("II*\0".utf8) + [8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]
    let riff = Array("RIFF".utf8) + [60, 0, 0, 0] + Array("WEBP".utf8) + Array("EXIF".utf8) + [26, 0, 0, 0] + tiff
    let sample: [UInt8]
    switch format {
    case .jpeg: sample = [0xFF, 0xD8, 0xFF, 0xE1, 0, 34] + Array("Exif\0\0".utf8) + tiff + [0xFF, 0xDA]
    case .png:
      sample = [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10, 0, 0, 0, 26] + Array("eXIf".utf8) + tiff + [0, 0, 0, 0]
    case .webp: sample = riff
    case .bmp: sample = Array("BM".utf8) + [UInt8](repeating: 9, count: 40)
    case .tiff, .heic, .avif: sample = tiff
    }
    #expect(try header(format, sample).orientation == (format == .bmp ? .upright : .rotatedRight))
    for cut in 0..<sample.count { _ = try header(format, Array(sample[..<cut])) }
    for position in sample.indices {
      for value in [UInt8(0), 0x7F, 0xFF] {
        var changed = sample
        changed[position] = value
        _ = try header(format, changed)
      }
    }
  }

  @Test func sizes() throws {
    let bmp = Array("BM".utf8) + [UInt8](repeating: 0, count: 12) + [40, 0, 0, 0, 3, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF]
    let found = try header(.bmp, bmp)
    #expect((found.width, found.height) == (3, 2))
    let smallest = try header(.bmp, Array(bmp[..<22]) + [0, 0, 0, 0x80])
    #expect(smallest.height == 1 << 31, "the magnitude of the smallest number is no trap")
    #expect(try header(.bmp, Array(bmp[..<25])).height == 0, "a header that is cut off tells no size")
  }
}
