import CFFmpeg
import DormouseSupport

/// The pixels of an animation between two frames: red, green, blue, alpha, not premultiplied.
struct WebPCanvas {
  let width: Int
  let height: Int
  private let buffer: AlignedBuffer

  init(width: Int, height: Int, watch: MediaWatch) throws(Failure) {
    try watch.checkSize(width: width, height: height)
    self.width = width
    self.height = height
    let byteCount = try CheckedSize.product(width, height, 4, of: "the animation's size")
    buffer = try AlignedBuffer(byteCount: byteCount, for: watch.name)
  }

  private var pixels: UnsafeMutableBufferPointer<UInt8> { buffer.bound(to: UInt8.self) }

  /// Makes everything transparent.
  func clear() { pixels.update(repeating: 0) }

  func clear(_ part: WebPPart) {
    for y in part.y..<part.y + part.height {
      let start = 4 * (y * width + part.x)
      UnsafeMutableBufferPointer(rebasing: pixels[start..<start + 4 * part.width]).update(repeating: 0)
    }
  }

  /// - Parameters:
  ///   - colors: [part.height, part.width, 3].
  ///   - alpha: nil: opaque.
  func draw(_ part: WebPPart, _ colors: RGBFrame, alpha: AlphaPlane?) {
    for y in 0..<part.height {
      let row = colors.row(y)
      var at = 4 * ((part.y + y) * width + part.x)
      for x in 0..<part.width {
        let color = (row[3 * x], row[3 * x + 1], row[3 * x + 2], alpha?.value(x, y) ?? 255)
        put(color, at: at, isBlended: part.isBlended && color.3 != 255)
        at += 4
      }
    }
  }

  /// As libwebp's BlendPixelNonPremult (src/demux/anim_decode.c).
  private func put(_ color: (UInt8, UInt8, UInt8, UInt8), at offset: Int, isBlended: Bool) {
    let target = pixels
    guard isBlended else {
      (target[offset], target[offset + 1], target[offset + 2], target[offset + 3]) = color
      return
    }
    guard color.3 > 0 else { return }
    let upper = UInt32(color.3)
    let lower = (UInt32(target[offset + 3]) * (256 - upper)) >> 8
    let scale = (1 << 24) / (upper + lower)
    func mixed(_ value: UInt8, _ below: UInt8) -> UInt8 {
      UInt8(truncatingIfNeeded: ((UInt32(value) * upper + UInt32(below) * lower) &* scale) >> 24)
    }
    target[offset] = mixed(color.0, target[offset])
    target[offset + 1] = mixed(color.1, target[offset + 1])
    target[offset + 2] = mixed(color.2, target[offset + 2])
    target[offset + 3] = UInt8(truncatingIfNeeded: upper + lower)
  }

  /// The colours without their alpha.
  func opaque(_ watch: MediaWatch) throws(Failure) -> RGBFrame {
    let result = try RGBFrame(width: width, height: height, watch: watch)
    let (source, target) = (pixels, result.pixels)
    for pixel in 0..<width * height {
      for channel in 0..<3 { target[3 * pixel + channel] = source[4 * pixel + channel] }
    }
    return result
  }
}

/// The alpha values of a decoded WebP.
struct AlphaPlane {
  private let plane: UnsafeMutablePointer<UInt8>
  private let stride: Int
  private let step: Int

  /// Nil where the frame has none.
  init?(_ frame: AVFrame) {
    switch AVPixelFormat(frame.format) {
    case AV_PIX_FMT_YUVA420P:
      guard let plane = frame.data.3 else { return nil }
      (self.plane, stride, step) = (plane, Int(frame.linesize.3), 1)
    case AV_PIX_FMT_ARGB:
      guard let plane = frame.data.0 else { return nil }
      (self.plane, stride, step) = (plane, Int(frame.linesize.0), 4)
    default: return nil
    }
  }

  func value(_ x: Int, _ y: Int) -> UInt8 { plane[y * stride + x * step] }
}
