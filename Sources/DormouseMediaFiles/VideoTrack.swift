import CFFmpeg
import DormouseSupport

/// The frames of a video, decoded one after the other; a frame further on is reached from the key frame before it.
final class VideoTrack: FrameTrack {
  private let source: ByteSource
  private let watch: MediaWatch
  private let index: VideoIndex
  private let orientation: Orientation
  private let options: [String: String]
  private let converter: FrameConverter
  private var reader: VideoReader
  let size: (width: Int, height: Int)
  let timestamps: [Double]
  let duration: Double

  /// - Parameter options: the decoder's own.
  init(
    _ source: ByteSource, demuxer: Demuxer, track: Track, index: VideoIndex, options: [String: String],
    watch: MediaWatch
  ) throws(Failure) {
    guard let first = index.shown.first, let last = index.shown.last else {
      throw watch.failure(.malformed, "the video has no frames")
    }
    self.source = source
    self.watch = watch
    self.index = index
    self.options = options
    orientation = Orientation(displayMatrix: ffmpeg_display_matrix(track.stream))
    converter = FrameConverter(interpolation: .swscale, watch: watch)
    timestamps = index.shown.map { Double($0 &- first) * track.secondsPerUnit }
    let span = (Double(last) - Double(first)) * track.secondsPerUnit
    let average = index.shown.count > 1 ? span / Double(index.shown.count - 1) : 0
    let final = max(0, Double(index.end) - Double(last)) * track.secondsPerUnit
    // A GIF with one frame is an image, whatever its delay says.
    let isImage = demuxer.format == "gif" && timestamps.count == 1
    duration = isImage ? 0 : span + (final > 0 ? final : average)
    try watch.checkDuration(duration)
    reader = try VideoReader(source, track: track.index, index: index, options: options, watch: watch)
    size = try VideoTrack.shownSize(track, orientation, reader, watch)
  }

  /// The size that the container tells, or that of the first frame: FFmpeg takes none from MP4 for codecs whose own
  /// headers have it (MPEG-4 Part 2, H.263).
  private static func shownSize(
    _ track: Track, _ orientation: Orientation, _ reader: VideoReader, _ watch: MediaWatch
  ) throws(Failure) -> (width: Int, height: Int) {
    var (width, height) = (Int(track.parameters.pointee.width), Int(track.parameters.pointee.height))
    if width <= 0 || height <= 0 {
      guard let measured = try reader.measured() else {
        throw reader.problem ?? watch.failure(.malformed, "no frame of the video can be decoded")
      }
      (width, height) = measured
    }
    try watch.checkSize(width: width, height: height)
    return orientation.isTransposed ? (height, width) : (width, height)
  }

  func decode(_ wanted: Int) throws(Failure) -> RGBFrame {
    if try !reader.decode(wanted) {
      // A seek may have led too far: the way from the beginning finds every frame that is there.
      reader = try VideoReader(source, track: reader.track, index: index, options: options, watch: watch)
      guard try reader.decode(wanted, seeks: false) else {
        let problem = reader.problem.map { ": \($0.message)" } ?? ""
        throw watch.failure(.malformed, "frame \(wanted), at \(timestamps[wanted]) s, cannot be decoded\(problem)")
      }
    }
    return try converter.convert(reader.frame).shown(orientation, watch: watch)
  }
}
