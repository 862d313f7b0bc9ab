import CFFmpeg
import DormouseSupport

/// The three planes of a WebP with 8 bits a value, whose chroma has half the rows and columns.
///
/// Chroma is interpolated with weights 3/4 and 1/4 along each axis, as the "fancy upsampling" of libwebp
/// (src/dsp/upsampling.c) does, down to the rounding, so that images come out as they do from PIL.
struct ChromaPlanes {
  private let luma: UnsafeMutablePointer<UInt8>
  private let chroma: [UnsafeMutablePointer<UInt8>]
  private let strides: [Int]

  init?(_ format: AVPixelFormat, _ frame: AVFrame) {
    guard format == AV_PIX_FMT_YUV420P || format == AV_PIX_FMT_YUVA420P else { return nil }
    guard let luma = frame.data.0, let blue = frame.data.1, let red = frame.data.2 else { return nil }
    self.luma = luma
    chroma = [blue, red]
    strides = [Int(frame.linesize.0), Int(frame.linesize.1), Int(frame.linesize.2)]
  }

  func write(to result: RGBFrame) {
    let width = result.width
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * width) { rows in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: width) { sums in
        let blue = UnsafeMutableBufferPointer(rebasing: rows[..<width])
        let red = UnsafeMutableBufferPointer(rebasing: rows[width...])
        for y in 0..<result.height {
          interpolate(0, y, result, into: blue, sums)
          interpolate(1, y, result, into: red, sums)
          let row = UnsafeMutableBufferPointer(start: luma + y * strides[0], count: width)
          Self.convert(row, blue, red, result.row(y))
        }
      }
    }
  }

  /// One row of a chroma plane at luma's resolution. `sums` holds what the rows of the plane add up to.
  private func interpolate(
    _ plane: Int, _ y: Int, _ result: RGBFrame, into row: UnsafeMutableBufferPointer<UInt8>,
    _ sums: UnsafeMutableBufferPointer<Int32>
  ) {
    let (source, stride) = (chroma[plane], strides[plane + 1])
    let (columns, rowCount) = ((result.width + 1) / 2, (result.height + 1) / 2)
    let other = y % 2 == 0 ? max(y / 2 - 1, 0) : min(y / 2 + 1, rowCount - 1)
    let (near, far) = (source + y / 2 * stride, source + other * stride)
    for x in 0..<columns { sums[x] = 3 * Int32(near[x]) + Int32(far[x]) }
    for x in 0..<row.count {
      let at = x / 2
      let neighbour = x % 2 == 0 ? max(at - 1, 0) : min(at + 1, columns - 1)
      row[x] = UInt8(truncatingIfNeeded: (3 * sums[at] + sums[neighbour] + 8) >> 4)
    }
  }

  /// BT.601, 16 to 235 (libwebp, src/dsp/yuv.h): factors in 1/16384, of which libwebp keeps 6 bits behind the point.
  private static func convert(
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
