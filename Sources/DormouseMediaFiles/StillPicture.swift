import CFFmpeg
import DormouseSupport

/// A picture in a file of its own; it is decoded once, and kept.
final class StillPicture: FrameTrack {
  private let frame: RGBFrame

  init(_ format: PictureFormat, _ source: ByteSource, watch: MediaWatch) throws(Failure) {
    let header = try PictureHeader(format, source)
    if header.width > 0 || header.height > 0 { try watch.checkSize(width: header.width, height: header.height) }
    let decoder = try Decoder(format.codec, what: "the picture", watch: watch) { context in
      // A damaged picture is an error, not half of it. (The decoder of TIFF takes every unknown tag for damage.)
      if format != .tiff { context.pointee.err_recognition |= AV_EF_EXPLODE | AV_EF_CRCCHECK }
      // The inverse transform of libjpeg's default, for the same pixels.
      if format == .jpeg { context.pointee.idct_algo = FF_IDCT_INT }
    }
    let packet = try Packet(source, at: 0, count: source.count, watch: watch)
    let stored = try decoder.decodeOne(packet) { (frame) throws(Failure) in
      try FrameConverter(picture: format, watch: watch).convert(frame)
    }
    frame = try stored.shown(header.orientation, watch: watch)
  }

  var size: (width: Int, height: Int) { (frame.width, frame.height) }
  var timestamps: [Double] { [0] }
  var duration: Double { 0 }

  func decode(_ index: Int) throws(Failure) -> RGBFrame { frame }
}
