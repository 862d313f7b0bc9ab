import CFFmpeg
import DormouseSupport

/// An animated WebP (RFC 9649, 2.7): FFmpeg decodes its parts as images, and this puts them together.
///
/// Parts are blended as libwebp's `WebPAnimDecoder` does; what no part has covered is transparent black, and alpha is
/// dropped at the end.
final class WebPAnimation: FrameTrack {
  private let source: ByteSource
  private let watch: MediaWatch
  private let orientation: Orientation
  private let converter: FrameConverter
  private let parts: [WebPPart]
  private var canvas: WebPCanvas
  /// Parts that are on the canvas.
  private var drawnCount = 0
  let timestamps: [Double]
  let duration: Double

  /// Nil where the file is a single image.
  init?(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    var chunks = WebPChunks(source)
    guard let header = try chunks.next(), header.name == "VP8X", header.byteCount >= 10 else { return nil }
    let fields = try source.prefix(10, from: header.offset)
    guard fields.count == 10, fields[0] & 0x02 != 0 else { return nil }
    canvas = try WebPCanvas(width: 1 + fields.number24(at: 4), height: 1 + fields.number24(at: 7), watch: watch)
    var parts: [WebPPart] = []
    while let chunk = try chunks.next() {
      try watch.check()
      guard chunk.name == "ANMF" else { continue }
      try watch.checkFrameCount(parts.count + 1)
      parts.append(try WebPPart(source, chunk, canvas: canvas, watch: watch))
    }
    guard !parts.isEmpty else { throw watch.failure(.malformed, "the animation has no frames") }
    self.source = source
    self.watch = watch
    self.parts = parts
    orientation = try ImageHeader(.webp, source).orientation
    converter = FrameConverter(interpolation: .libwebp, watch: watch)
    var (timestamps, milliseconds): ([Double], Int) = ([], 0)
    for part in parts {
      timestamps.append(Double(milliseconds) / 1000)
      milliseconds += part.milliseconds
    }
    self.timestamps = timestamps
    duration = Double(milliseconds) / 1000
    try watch.checkDuration(duration)
  }

  var size: (width: Int, height: Int) {
    orientation.isTransposed ? (canvas.height, canvas.width) : (canvas.width, canvas.height)
  }

  func decode(_ index: Int) throws(Failure) -> RGBFrame {
    if index + 1 < drawnCount {
      canvas.clear()
      drawnCount = 0
    }
    while drawnCount <= index {
      if drawnCount > 0, parts[drawnCount - 1].isRemoved { canvas.clear(parts[drawnCount - 1]) }
      try draw(parts[drawnCount])
      drawnCount += 1
    }
    return try canvas.opaque(watch).shown(orientation, watch: watch)
  }

  private func draw(_ part: WebPPart) throws(Failure) {
    let decoder = try CodecDecoder(AV_CODEC_ID_WEBP, what: "the image", watch: watch) { context in
      context.pointee.err_recognition |= AV_EF_EXPLODE
    }
    try decoder.decodeOne(try part.packet(source, watch)) { (frame) throws(Failure) in
      let pixels = try converter.convert(frame)
      guard pixels.width == part.width, pixels.height == part.height else {
        throw watch.failure(.malformed, "frame \(drawnCount) is of another size than it says")
      }
      canvas.draw(part, pixels, alpha: AlphaPlane(frame.pointee))
    }
  }
}

/// A rectangle of an animated WebP's canvas, and the still image that fills it (chunk ANMF).
struct WebPPart {
  let x: Int
  let y: Int
  let width: Int
  let height: Int
  let milliseconds: Int
  /// Whether the rectangle becomes transparent before the next part.
  let isRemoved: Bool
  /// Whether what lies below shows through.
  let isBlended: Bool
  private let data: WebPChunks.Chunk
  private static let headerByteCount = 16

  init(_ source: ByteSource, _ chunk: WebPChunks.Chunk, canvas: WebPCanvas, watch: MediaWatch) throws(Failure) {
    let fields = try source.prefix(WebPPart.headerByteCount, from: chunk.offset)
    guard chunk.byteCount >= WebPPart.headerByteCount, fields.count == WebPPart.headerByteCount else {
      throw watch.failure(.malformed, "a frame of the animation is cut off")
    }
    x = 2 * fields.number24(at: 0)
    y = 2 * fields.number24(at: 3)
    width = 1 + fields.number24(at: 6)
    height = 1 + fields.number24(at: 9)
    milliseconds = fields.number24(at: 12)
    isRemoved = fields[15] & 0x01 != 0
    isBlended = fields[15] & 0x02 == 0
    data = WebPChunks.Chunk(
      name: chunk.name, offset: chunk.offset + WebPPart.headerByteCount,
      byteCount: chunk.byteCount - WebPPart.headerByteCount)
    guard x + width <= canvas.width, y + height <= canvas.height else {
      throw watch.failure(
        .malformed, "a frame of the animation lies outside of its \(canvas.width) x \(canvas.height) pixels")
    }
  }

  /// The part as a WebP file of its own.
  func packet(_ source: ByteSource, _ watch: MediaWatch) throws(Failure) -> Packet {
    var chunks = WebPChunks(source, from: data.offset, to: data.offset + data.byteCount)
    var hasAlpha = false
    while let chunk = try chunks.next() { hasAlpha = hasAlpha || chunk.name == "ALPH" }
    var header = Array("VP8X".utf8) + WebPPart.littleEndian(10, 4)
    header +=
      [hasAlpha ? 0x10 : 0, 0, 0, 0] + WebPPart.littleEndian(width - 1, 3) + WebPPart.littleEndian(height - 1, 3)
    if !hasAlpha { header = [] }
    let size = 4 + header.count + data.byteCount
    let front = Array("RIFF".utf8) + WebPPart.littleEndian(size, 4) + Array("WEBP".utf8) + header
    return try Packet(front: front, source, at: data.offset, count: data.byteCount, watch: watch)
  }

  private static func littleEndian(_ value: Int, _ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}

extension [UInt8] {
  /// Three bytes as a number, the lowest first; the caller knows that they are there.
  fileprivate func number24(at offset: Int) -> Int {
    Int(self[offset]) | Int(self[offset + 1]) << 8 | Int(self[offset + 2]) << 16
  }
}
