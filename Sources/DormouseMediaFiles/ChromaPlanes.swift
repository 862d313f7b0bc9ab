import CFFmpeg
import DormouseSupport

/// How luma and chroma become red, green and blue.
enum ColorConversion {
  /// JFIF: BT.601, 0 to 255 (libjpeg, jdcolor.c).
  case fullRange
  /// BT.601, 16 to 235 (libwebp, src/dsp/yuv.h).
  case limitedRange

  /// What is added to a chroma value between two columns and two rows, in sixteenths, on the right side of its own:
  /// libjpeg alternates, libwebp does not.
  fileprivate var roundingOnTheRight: Int32 { self == .fullRange ? 7 : 8 }

  /// Columns of chroma up to which values are repeated rather than interpolated.
  fileprivate var repeatedColumns: Int { self == .fullRange ? 2 : 0 }
}

/// The three planes of a picture with 8 bits a value, whose chroma may have half the rows or columns.
///
/// Chroma is interpolated with weights 3/4 and 1/4 along each axis, as the "fancy upsampling" of libjpeg (jdsample.c)
/// and libwebp (src/dsp/upsampling.c) does, down to the rounding, so that pictures come out as they do from PIL.
struct ChromaPlanes {
  private let luma: UnsafeMutablePointer<UInt8>
  private let chroma: [UnsafeMutablePointer<UInt8>]
  private let strides: [Int]
  private let halvesColumns: Bool
  private let halvesRows: Bool

  init?(_ format: AVPixelFormat, _ frame: AVFrame) {
    switch format {
    case AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUVA444P: (halvesColumns, halvesRows) = (false, false)
    case AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVA422P: (halvesColumns, halvesRows) = (true, false)
    case AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVA420P: (halvesColumns, halvesRows) = (true, true)
    case AV_PIX_FMT_YUV440P, AV_PIX_FMT_YUVJ440P: (halvesColumns, halvesRows) = (false, true)
    default: return nil
    }
    guard let luma = frame.data.0, let blue = frame.data.1, let red = frame.data.2 else { return nil }
    self.luma = luma
    chroma = [blue, red]
    strides = [Int(frame.linesize.0), Int(frame.linesize.1), Int(frame.linesize.2)]
  }

  func write(to result: RGBFrame, with conversion: ColorConversion) {
    let width = result.width
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * width) { rows in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: width) { sums in
        for y in 0..<result.height {
          for plane in 0..<2 {
            let row = UnsafeMutableBufferPointer(rebasing: rows[plane * width..<(plane + 1) * width])
            interpolate(plane, y, result, conversion, into: row, sums)
          }
          let blue = UnsafeMutableBufferPointer(rebasing: rows[..<width])
          let red = UnsafeMutableBufferPointer(rebasing: rows[width...])
          let row = UnsafeMutableBufferPointer(start: luma + y * strides[0], count: width)
          switch conversion {
          case .fullRange: Self.fullRange(row, blue, red, result.row(y))
          case .limitedRange: Self.limitedRange(row, blue, red, result.row(y))
          }
        }
      }
    }
  }

  /// One row of a chroma plane at luma's resolution. `sums` holds what the rows of the plane add up to.
  private func interpolate(
    _ plane: Int, _ y: Int, _ result: RGBFrame, _ conversion: ColorConversion,
    into row: UnsafeMutableBufferPointer<UInt8>, _ sums: UnsafeMutableBufferPointer<Int32>
  ) {
    let (source, stride) = (chroma[plane], strides[plane + 1])
    let columns = halvesColumns ? (result.width + 1) / 2 : result.width
    let rowCount = halvesRows ? (result.height + 1) / 2 : result.height
    let near = source + (halvesRows ? y / 2 : y) * stride
    let interpolates = !halvesColumns || columns > conversion.repeatedColumns
    guard halvesRows, interpolates else {
      for x in 0..<columns { sums[x] = Int32(near[x]) }
      spread(sums, columns, into: row, rounding: interpolates ? (2, 1, 2) : nil)
      return
    }
    let other = y % 2 == 0 ? max(y / 2 - 1, 0) : min(y / 2 + 1, rowCount - 1)
    let far = source + other * stride
    for x in 0..<columns { sums[x] = 3 * Int32(near[x]) + Int32(far[x]) }
    if halvesColumns {
      spread(sums, columns, into: row, rounding: (4, 8, conversion.roundingOnTheRight))
    } else {
      let rounding: Int32 = y % 2 == 0 ? 1 : 2
      for x in 0..<columns { row[x] = UInt8(truncatingIfNeeded: (sums[x] + rounding) >> 2) }
    }
  }

  /// Doubles the columns where the picture's chroma has half of them.
  /// - Parameter rounding: bits behind the point, and what is added left and right of a value; nil: values are repeated.
  private func spread(
    _ sums: UnsafeMutableBufferPointer<Int32>, _ columns: Int, into row: UnsafeMutableBufferPointer<UInt8>,
    rounding: (bits: Int32, left: Int32, right: Int32)?
  ) {
    guard halvesColumns, let rounding else {
      for x in 0..<row.count { row[x] = UInt8(truncatingIfNeeded: sums[halvesColumns ? x / 2 : x]) }
      return
    }
    for x in 0..<row.count {
      let at = x / 2
      let neighbour = x % 2 == 0 ? max(at - 1, 0) : min(at + 1, columns - 1)
      let sum = 3 * sums[at] + sums[neighbour] + (x % 2 == 0 ? rounding.left : rounding.right)
      row[x] = UInt8(truncatingIfNeeded: sum >> rounding.bits)
    }
  }

  /// Factors in 1/65536.
  private static func fullRange(
    _ luma: UnsafeMutableBufferPointer<UInt8>, _ blue: UnsafeMutableBufferPointer<UInt8>,
    _ red: UnsafeMutableBufferPointer<UInt8>, _ row: UnsafeMutableBufferPointer<UInt8>
  ) {
    for x in 0..<luma.count {
      let (y, b, r) = (Int32(luma[x]), Int32(blue[x]) - 128, Int32(red[x]) - 128)
      row[3 * x] = clamped(y + ((91881 * r + 32768) >> 16))
      row[3 * x + 1] = clamped(y + ((-22554 * b - 46802 * r + 32768) >> 16))
      row[3 * x + 2] = clamped(y + ((116130 * b + 32768) >> 16))
    }
  }

  /// Factors in 1/16384, of which libwebp keeps 6 bits behind the point.
  private static func limitedRange(
    _ luma: UnsafeMutableBufferPointer<UInt8>, _ blue: UnsafeMutableBufferPointer<UInt8>,
    _ red: UnsafeMutableBufferPointer<UInt8>, _ row: UnsafeMutableBufferPointer<UInt8>
  ) {
    for x in 0..<luma.count {
      let (y, b, r) = ((Int32(luma[x]) * 19077) >> 8, Int32(blue[x]), Int32(red[x]))
      row[3 * x] = clamped((y + ((r * 26149) >> 8) - 14234) >> 6)
      row[3 * x + 1] = clamped((y - ((b * 6419) >> 8) - ((r * 13320) >> 8) + 8708) >> 6)
      row[3 * x + 2] = clamped((y + ((b * 33050) >> 8) - 17685) >> 6)
    }
  }

  private static func clamped(_ value: Int32) -> UInt8 { UInt8(truncatingIfNeeded: min(max(value, 0), 255)) }
}
