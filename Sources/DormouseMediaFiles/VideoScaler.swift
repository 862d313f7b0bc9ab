import CFFmpeg
import DormouseSupport

/// Converts frames of a video to RGB of the same size by swscale, with the matrix and the range that the video tells
/// (BT.601 where it tells none, as FFmpeg's own tools take it).
final class VideoScaler {
  private let watch: MediaWatch
  private var context: OpaquePointer?
  private var target: UnsafeMutablePointer<AVFrame>?

  init(watch: MediaWatch) { self.watch = watch }

  deinit {
    sws_freeContext(context)
    av_frame_free(&target)
  }

  func scale(_ frame: UnsafeMutablePointer<AVFrame>, to result: RGBFrame) throws(Failure) {
    let (format, isFullRange) = Self.withoutRange(AVPixelFormat(frame.pointee.format))
    let (width, height) = (Int32(result.width), Int32(result.height))
    guard sws_isSupportedInput(format) > 0 else {
      throw watch.failure(.unsupported, "pixels of this video's format are not supported")
    }
    // The exact variant: the quick one is off by more, and tells the log where it is not quick.
    let flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT
    context = sws_getCachedContext(
      context, width, height, format, width, height, AV_PIX_FMT_RGB24, flags, nil, nil, nil)
    let scaler = try watch.allocated(context)
    let fullRange = isFullRange || frame.pointee.color_range == AVCOL_RANGE_JPEG
    let source = sws_getCoefficients(Int32(frame.pointee.colorspace.rawValue))
    sws_setColorspaceDetails(
      scaler, source, fullRange ? 1 : 0, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16)
    let target = try target(width: width, height: height)
    var planes = [
      UnsafePointer(frame.pointee.data.0), UnsafePointer(frame.pointee.data.1),
      UnsafePointer(frame.pointee.data.2), UnsafePointer(frame.pointee.data.3),
    ]
    var strides = [
      frame.pointee.linesize.0, frame.pointee.linesize.1, frame.pointee.linesize.2, frame.pointee.linesize.3,
    ]
    var targetPlanes = [target.pointee.data.0, nil, nil, nil]
    var targetStrides: [Int32] = [target.pointee.linesize.0, 0, 0, 0]
    try watch.checked(
      sws_scale(scaler, &planes, &strides, 0, height, &targetPlanes, &targetStrides),
      "cannot convert the video's colours")
    guard let pixels = target.pointee.data.0 else { return }
    for y in 0..<result.height {
      UnsafeMutableRawBufferPointer(result.row(y)).copyMemory(
        from: UnsafeRawBufferPointer(start: pixels + y * Int(target.pointee.linesize.0), count: 3 * result.width))
    }
  }

  /// A frame of FFmpeg's own, whose rows have the room behind them that swscale's vector code writes to.
  private func target(width: Int32, height: Int32) throws(Failure) -> UnsafeMutablePointer<AVFrame> {
    if let target, target.pointee.width == width, target.pointee.height == height { return target }
    av_frame_free(&target)
    let frame = try watch.allocated(av_frame_alloc())
    frame.pointee.format = AV_PIX_FMT_RGB24.rawValue
    frame.pointee.width = width
    frame.pointee.height = height
    target = frame
    let code = av_frame_get_buffer(frame, 0)
    if code < 0 { av_frame_free(&target) }
    try watch.checked(code, "cannot convert the video's colours")
    return frame
  }

  /// The formats that have their range in their name, which swscale warns of, and whether it is the full one.
  private static func withoutRange(_ format: AVPixelFormat) -> (AVPixelFormat, Bool) {
    switch format {
    case AV_PIX_FMT_YUVJ420P: (AV_PIX_FMT_YUV420P, true)
    case AV_PIX_FMT_YUVJ422P: (AV_PIX_FMT_YUV422P, true)
    case AV_PIX_FMT_YUVJ444P: (AV_PIX_FMT_YUV444P, true)
    case AV_PIX_FMT_YUVJ440P: (AV_PIX_FMT_YUV440P, true)
    case AV_PIX_FMT_YUVJ411P: (AV_PIX_FMT_YUV411P, true)
    default: (format, false)
    }
  }
}
