import DormouseSupport

/// Pixels [height, width, 3]: red, green, blue, 8 bits each.
struct RGBFrame {
  let width: Int
  let height: Int
  private let buffer: AlignedBuffer

  var pixels: UnsafeMutableBufferPointer<UInt8> { buffer.bound(to: UInt8.self) }

  /// Black pixels.
  /// - Throws: `Failure(.unsupported)` beyond the limits, `Failure(.outOfMemory)`.
  init(width: Int, height: Int, watch: MediaWatch) throws(Failure) {
    try watch.checkSize(width: width, height: height)
    let byteCount = try CheckedSize.product(width, height, 3, of: "the image's size")
    self.width = width
    self.height = height
    buffer = try AlignedBuffer(byteCount: byteCount, for: watch.name)
  }

  /// The bytes of row `y`.
  func row(_ y: Int) -> UnsafeMutableBufferPointer<UInt8> {
    UnsafeMutableBufferPointer(rebasing: pixels[y * width * 3..<(y + 1) * width * 3])
  }

  /// The frame as it is to be shown.
  func shown(_ orientation: Orientation, watch: MediaWatch) throws(Failure) -> RGBFrame {
    guard orientation != .upright else { return self }
    let turned = orientation.isTransposed
    let result = try RGBFrame(width: turned ? height : width, height: turned ? width : height, watch: watch)
    let (columnStep, rowStep) = turned ? (width * 3, 3) : (3, width * 3)
    let firstColumn = orientation.mirrorsColumns ? (result.width - 1) * columnStep : 0
    let firstRow = orientation.mirrorsRows ? (result.height - 1) * rowStep : 0
    let source = pixels
    for y in 0..<result.height {
      let row = result.row(y)
      var at = firstColumn + (orientation.mirrorsRows ? firstRow - y * rowStep : y * rowStep)
      for x in 0..<result.width {
        for channel in 0..<3 { row[3 * x + channel] = source[at + channel] }
        at += orientation.mirrorsColumns ? -columnStep : columnStep
      }
    }
    return result
  }
}
