import CFFmpeg
import DormouseSupport

/// An image in a file of its own; it is decoded once, and kept.
final class StillImage: FrameTrack {
  private let frame: RGBFrame

  init(_ format: ImageFormat, _ source: ByteSource, watch: MediaWatch) throws(Failure) {
    try watch.check()
    let header = try ImageHeader(format, source)
    if header.width > 0 || header.height > 0 { try watch.checkSize(width: header.width, height: header.height) }
    var orientation = header.orientation
    let stored: RGBFrame
    switch format {
    case .jpeg: stored = try JPEGImage.read(source, watch: watch)
    case .tiff: (stored, orientation) = try TIFFImage.read(source, watch: watch)
    case .heic, .avif: stored = try HEIFImage.read(source, format: format, watch: watch)
    case .png: stored = try StillImage.decode(AV_CODEC_ID_PNG, source, watch)
    case .webp: stored = try StillImage.decode(AV_CODEC_ID_WEBP, source, watch)
    case .bmp: stored = try StillImage.decode(AV_CODEC_ID_BMP, source, watch)
    }
    frame = try stored.shown(orientation, watch: watch)
    try watch.check()
  }

  /// By one of FFmpeg's decoders, which takes the file as one packet.
  private static func decode(
    _ codec: AVCodecID, _ source: ByteSource, _ watch: MediaWatch
  ) throws(Failure) -> RGBFrame {
    let decoder = try CodecDecoder(codec, what: "the image", watch: watch) { context in
      // A damaged image is an error, not half of it.
      context.pointee.err_recognition |= AV_EF_EXPLODE | AV_EF_CRCCHECK
    }
    let packet = try Packet(source, at: 0, count: source.count, watch: watch)
    return try decoder.decodeOne(packet) { (frame) throws(Failure) in
      try FrameConverter(interpolation: .libwebp, watch: watch).convert(frame)
    }
  }

  var size: (width: Int, height: Int) { (frame.width, frame.height) }
  var timestamps: [Double] { [0] }
  var duration: Double { 0 }

  func decode(_ index: Int) throws(Failure) -> RGBFrame { frame }
}
