/// One of the eight ways in which stored rows and columns are shown, numbered as in EXIF (tag 0x0112).
///
/// `isTransposed`: rows are shown as columns, before the mirrors.
enum Orientation: Int {
  case upright = 1
  case mirroredHorizontally, rotatedHalf, mirroredVertically, transposed, rotatedRight, transversed, rotatedLeft

  var isTransposed: Bool { rawValue >= 5 }

  /// Whether the shown columns run from the last stored one (for transposed images: stored row) to the first.
  var mirrorsColumns: Bool {
    switch self {
    case .mirroredHorizontally, .rotatedHalf, .rotatedRight, .transversed: true
    default: false
    }
  }

  /// The same for shown rows.
  var mirrorsRows: Bool {
    switch self {
    case .rotatedHalf, .mirroredVertically, .transversed, .rotatedLeft: true
    default: false
    }
  }

  /// The nearest orientation to a video's display matrix (ISO/IEC 14496-12, tkhd): shown x = a*x + c*y, shown
  /// y = b*x + d*y, with a, b, c, d at 0, 1, 3, 4.
  init(displayMatrix matrix: UnsafePointer<Int32>?) {
    guard let matrix else {
      self = .upright
      return
    }
    let (a, b, c, d) = (Int64(matrix[0]), Int64(matrix[1]), Int64(matrix[3]), Int64(matrix[4]))
    if abs(b) + abs(c) > abs(a) + abs(d) {
      switch (c < 0, b < 0) {
      case (false, false): self = .transposed
      case (true, false): self = .rotatedRight
      case (true, true): self = .transversed
      case (false, true): self = .rotatedLeft
      }
    } else {
      switch (a < 0, d < 0) {
      case (false, false): self = .upright
      case (true, false): self = .mirroredHorizontally
      case (true, true): self = .rotatedHalf
      case (false, true): self = .mirroredVertically
      }
    }
  }
}
