import CFFmpeg
import DormouseSupport

/// Turns decoded frames into RGB. What has whole red, green, blue or grey values is copied exactly, and alpha dropped,
/// as PIL's `convert("RGB")` does; chroma that is stored coarser than luma is interpolated: of WebP as its own library
/// does, of videos by swscale.
final class FrameConverter {
  enum Interpolation {
    case libwebp, swscale
  }

  private let watch: MediaWatch
  private let interpolation: Interpolation
  private lazy var scaler = VideoScaler(watch: watch)

  init(interpolation: Interpolation, watch: MediaWatch) {
    self.interpolation = interpolation
    self.watch = watch
  }

  func convert(_ frame: UnsafeMutablePointer<AVFrame>) throws(Failure) -> RGBFrame {
    let result = try RGBFrame(width: Int(frame.pointee.width), height: Int(frame.pointee.height), watch: watch)
    let format = AVPixelFormat(frame.pointee.format)
    guard let description = av_pix_fmt_desc_get(format) else {
      throw watch.failure(.unsupported, "the decoder gives pixels of an unknown format")
    }
    if let samples = PackedSamples(description, frame.pointee) {
      samples.write(to: result)
    } else if interpolation == .libwebp, let planes = ChromaPlanes(format, frame.pointee) {
      planes.write(to: result)
    } else {
      try scaler.scale(frame, to: result)
    }
    return result
  }
}

/// A frame whose pixels have whole values of their own: RGB in any order, grey, palettes, one bit a pixel.
private struct PackedSamples {
  private let description: AVPixFmtDescriptor
  private let frame: AVFrame
  private let planes: [UnsafeMutablePointer<UInt8>?]
  private let strides: [Int]

  /// Nil for luma and chroma, and for values that are not integers of whole bytes.
  init?(_ description: UnsafePointer<AVPixFmtDescriptor>, _ frame: AVFrame) {
    let flags = description.pointee.flags
    func has(_ flag: Int32) -> Bool { flags & UInt64(flag) != 0 }
    let isGrey = description.pointee.nb_components <= 2
    guard has(AV_PIX_FMT_FLAG_RGB) || has(AV_PIX_FMT_FLAG_PAL) || isGrey else { return nil }
    guard !has(AV_PIX_FMT_FLAG_FLOAT), !has(AV_PIX_FMT_FLAG_HWACCEL), !has(AV_PIX_FMT_FLAG_BAYER) else { return nil }
    let isMono = frame.format == AV_PIX_FMT_MONOBLACK.rawValue || frame.format == AV_PIX_FMT_MONOWHITE.rawValue
    guard !has(AV_PIX_FMT_FLAG_BITSTREAM) || isMono else { return nil }
    self.description = description.pointee
    self.frame = frame
    planes = [frame.data.0, frame.data.1, frame.data.2, frame.data.3]
    strides = [frame.linesize.0, frame.linesize.1, frame.linesize.2, frame.linesize.3].map { Int($0) }
    guard planes[0] != nil else { return nil }
  }

  func write(to result: RGBFrame) {
    switch AVPixelFormat(frame.format) {
    case AV_PIX_FMT_PAL8: writePalette(to: result)
    case AV_PIX_FMT_MONOBLACK: writeBits(to: result, zero: 0)
    case AV_PIX_FMT_MONOWHITE: writeBits(to: result, zero: 255)
    default:
      let components = [description.comp.0, description.comp.1, description.comp.2]
      for channel in 0..<3 {
        write(description.nb_components < 3 ? components[0] : components[channel], channel, result)
      }
    }
  }

  /// Palette entries are 32-bit words 0xAARRGGBB.
  private func writePalette(to result: RGBFrame) {
    guard let indices = planes[0], let palette = planes[1] else { return }
    let colors = UnsafeRawPointer(palette)
    for y in 0..<result.height {
      let row = result.row(y)
      for x in 0..<result.width {
        let color = colors.load(fromByteOffset: 4 * Int(indices[y * strides[0] + x]), as: UInt32.self)
        row[3 * x] = UInt8(truncatingIfNeeded: color >> 16)
        row[3 * x + 1] = UInt8(truncatingIfNeeded: color >> 8)
        row[3 * x + 2] = UInt8(truncatingIfNeeded: color)
      }
    }
  }

  /// One bit a pixel, the highest of a byte first; `zero` is the value of a bit that is not set.
  private func writeBits(to result: RGBFrame, zero: UInt8) {
    guard let bits = planes[0] else { return }
    for y in 0..<result.height {
      let row = result.row(y)
      for x in 0..<result.width {
        let isSet = bits[y * strides[0] + x / 8] >> UInt8(7 - x % 8) & 1 != 0
        let value = isSet ? ~zero : zero
        for channel in 0..<3 { row[3 * x + channel] = value }
      }
    }
  }

  /// One channel of all pixels.
  private func write(_ component: AVComponentDescriptor, _ channel: Int, _ result: RGBFrame) {
    guard let plane = planes[Int(component.plane)] else { return }
    let (stride, step, depth) = (strides[Int(component.plane)], Int(component.step), Int(component.depth))
    let isBigEndian = description.flags & UInt64(AV_PIX_FMT_FLAG_BE) != 0
    let shift = Int(component.shift)
    let isWide = depth + shift > 8
    for y in 0..<result.height {
      let row = result.row(y)
      let source = plane + (y * stride + Int(component.offset))
      if depth == 8 && shift == 0 {
        for x in 0..<result.width { row[3 * x + channel] = source[x * step] }
        continue
      }
      for x in 0..<result.width {
        let at = source + x * step
        let word = !isWide ? Int(at[0]) : isBigEndian ? Int(at[0]) << 8 | Int(at[1]) : Int(at[1]) << 8 | Int(at[0])
        let value = (word >> shift) & ((1 << depth) - 1)
        row[3 * x + channel] = PackedSamples.eightBits(value, depth: depth)
      }
    }
  }

  /// Of more than eight bits the upper ones; fewer are spread over the range.
  private static func eightBits(_ value: Int, depth: Int) -> UInt8 {
    if depth > 8 { return UInt8(truncatingIfNeeded: value >> (depth - 8)) }
    return UInt8(truncatingIfNeeded: value * 255 / ((1 << depth) - 1))
  }
}
