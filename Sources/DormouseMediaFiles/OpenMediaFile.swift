import CFFmpeg
import DormouseSupport

/// A media file that somebody has opened: what it is, its frames, its audio.
///
/// Thread: one call at a time.
final class OpenMediaFile {
  /// What a file is, as far as that is known before its frames and samples are asked for.
  struct Summary {
    var format: String
    var frames: (any FrameTrack)?
    /// Why the video cannot be seen, where only its audio can be had.
    var videoProblem: Failure?
    var audio: AudioTrack.Properties?
    var audioSeconds = 0.0
  }

  private let source: ByteSource
  private let watch: MediaWatch
  private var known: Summary?

  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    self.source = source
    self.watch = watch
    guard source.count <= watch.limits.byteLimit else {
      throw watch.failure(
        .unsupported, "the file has \(source.count) bytes, more than max_bytes, \(watch.limits.byteLimit)")
    }
    guard source.count > 0 else { throw watch.failure(.malformed, "the file is empty") }
  }

  /// Begins a call of the caller's, from which its time counts.
  func begin() { watch.begin() }

  func summary() throws(Failure) -> Summary {
    if let known { return known }
    let found = try examine()
    known = found
    return found
  }

  private func examine() throws(Failure) -> Summary {
    let image = ImageFormat(signature: try source.prefix(ImageFormat.signatureByteCount))
    let isAnimatedPNG = image == .png ? try ImageHeader.isAnimatedPNG(source) : false
    if let format = image, !isAnimatedPNG {
      if format == .webp, let animation = try WebPAnimation(source, watch: watch) {
        return Summary(format: format.rawValue, frames: animation)
      }
      return Summary(format: format.rawValue, frames: try StillImage(format, source, watch: watch))
    }
    let demuxer = try Demuxer(source, watch: watch)
    let (video, audio) = (Track.video(of: demuxer), Track.audio(of: demuxer))
    guard video != nil || audio != nil else {
      throw watch.failure(.unsupported, "the file has no images and no audio that can be decoded")
    }
    do throws(Failure) { return try examine(demuxer, video: video, audio: audio) } catch {
      // A video that cannot be seen may still be heard.
      guard video != nil, audio != nil, [.malformed, .unsupported].contains(error.status) else { throw error }
      let demuxer = try Demuxer(source, watch: watch)
      var summary = try examine(demuxer, video: nil, audio: Track.audio(of: demuxer))
      summary.videoProblem = error
      return summary
    }
  }

  /// Examines the tracks of a video or audio.
  private func examine(_ demuxer: Demuxer, video: Track?, audio: Track?) throws(Failure) -> Summary {
    let index = try VideoIndex(demuxer, video: video, audio: audio, watch: watch)
    var summary = Summary(format: demuxer.format)
    if let video {
      summary.frames = try VideoTrack(
        source, demuxer: demuxer, track: video, index: index, options: try decoderOptions(video.codec), watch: watch)
    }
    guard audio != nil else { return summary }
    do throws(Failure) {
      let properties = try AudioTrack(source, watch: watch).measured()
      summary.audioSeconds = try audioSeconds(index, properties)
      summary.audio = properties
    } catch {
      // Nor is a video lost whose audio cannot be heard; whoever asks for its samples is told why.
      guard video != nil, [.malformed, .unsupported].contains(error.status) else { throw error }
    }
    return summary
  }

  /// How long the audio lasts; formats that tell no times are told by the number of their packets.
  private func audioSeconds(_ index: VideoIndex, _ audio: AudioTrack.Properties?) throws(Failure) -> Double {
    guard index.audioSeconds <= 0, let audio, audio.sampleRate > 0 else { return index.audioSeconds }
    let seconds = Double(index.audioPacketCount) * Double(audio.packetSamples) / Double(audio.sampleRate)
    try watch.checkDuration(seconds)
    return seconds
  }

  private func decoderOptions(_ codec: AVCodecID) throws(Failure) -> [String: String] {
    guard codec == AV_CODEC_ID_GIF, let color = try GIFColors.transparentColor(source) else { return [:] }
    return ["trans_color": String(color)]
  }

  /// The images.
  /// - Throws: `Failure(.invalidArgument)` where the file has audio alone, and what is wrong with a video that cannot be
  ///   seen.
  func frames() throws(Failure) -> any FrameTrack {
    let summary = try summary()
    guard let frames = summary.frames else {
      throw summary.videoProblem ?? watch.failure(.invalidArgument, "the file has audio, but no images")
    }
    return frames
  }

  /// Decodes frames of ascending indices.
  /// - Parameter receive: takes a frame; false ends the work.
  func decode(
    _ indices: UnsafeBufferPointer<UInt64>, _ receive: (Int, Double, RGBFrame) throws(Failure) -> Bool
  ) throws(Failure) {
    let frames = try frames()
    let timestamps = frames.timestamps
    var previous = -1
    for wanted in indices {
      guard let index = Int(exactly: wanted), index < timestamps.count, index > previous else {
        throw watch.failure(
          .invalidArgument, "indices must ascend from 0 to at most \(timestamps.count - 1), but \(wanted) is there")
      }
      previous = index
      try watch.check()
      let frame = try frames.decode(index)
      try watch.countOutput(frame.pixels.count)
      guard try receive(index, timestamps[index], frame) else { return }
    }
  }

  /// Decodes the audio at `rate` (0: its own).
  func samples(rate: Int32, _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure) {
    try AudioTrack(source, watch: watch).decode(rate: rate, receive)
  }
}
