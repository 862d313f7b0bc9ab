import CFFmpeg
import DormouseSupport

/// A media file that somebody has opened: what it is, its frames, its sound.
///
/// Thread: one call at a time.
final class MediaFile {
  /// What a file is, as far as that is known before its frames and samples are asked for.
  struct Summary {
    var format: String
    var frames: (any FrameTrack)?
    /// Why the film cannot be seen, where only its sound can be had.
    var filmProblem: Failure?
    var sound: Sound.Properties?
    var soundSeconds = 0.0
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
    let picture = PictureFormat(signature: try source.prefix(PictureFormat.signatureByteCount))
    let isAnimatedPNG = picture == .png ? try PictureHeader.isAnimatedPNG(source) : false
    if let format = picture, !isAnimatedPNG {
      if format == .webp, let animation = try WebPAnimation(source, watch: watch) {
        return Summary(format: format.rawValue, frames: animation)
      }
      return Summary(format: format.rawValue, frames: try StillPicture(format, source, watch: watch))
    }
    let demuxer = try Demuxer(source, watch: watch)
    let (film, sound) = (Track.film(of: demuxer), Track.sound(of: demuxer))
    guard film != nil || sound != nil else {
      throw watch.failure(.unsupported, "the file has no pictures and no sound that can be decoded")
    }
    do throws(Failure) { return try examine(demuxer, film: film, sound: sound) } catch {
      // A film that cannot be seen may still be heard.
      guard film != nil, sound != nil, [.malformed, .unsupported].contains(error.status) else { throw error }
      let demuxer = try Demuxer(source, watch: watch)
      var summary = try examine(demuxer, film: nil, sound: Track.sound(of: demuxer))
      summary.filmProblem = error
      return summary
    }
  }

  /// Examines the tracks of a film or a sound.
  private func examine(_ demuxer: Demuxer, film: Track?, sound: Track?) throws(Failure) -> Summary {
    let index = try FilmIndex(demuxer, film: film, sound: sound, watch: watch)
    var summary = Summary(format: demuxer.format)
    if let film {
      summary.frames = try Film(
        source, demuxer: demuxer, track: film, index: index, options: try decoderOptions(film.codec), watch: watch)
    }
    guard sound != nil else { return summary }
    do throws(Failure) {
      let properties = try Sound(source, watch: watch).measured()
      summary.soundSeconds = try soundSeconds(index, properties)
      summary.sound = properties
    } catch {
      // Nor is a film lost whose sound cannot be heard; whoever asks for its samples is told why.
      guard film != nil, [.malformed, .unsupported].contains(error.status) else { throw error }
    }
    return summary
  }

  /// How long the sound lasts; formats that tell no times are told by the number of their packets.
  private func soundSeconds(_ index: FilmIndex, _ sound: Sound.Properties?) throws(Failure) -> Double {
    guard index.soundSeconds <= 0, let sound, sound.sampleRate > 0 else { return index.soundSeconds }
    let seconds = Double(index.soundPacketCount) * Double(sound.packetSamples) / Double(sound.sampleRate)
    try watch.checkDuration(seconds)
    return seconds
  }

  private func decoderOptions(_ codec: AVCodecID) throws(Failure) -> [String: String] {
    guard codec == AV_CODEC_ID_GIF, let color = try GIFColors.transparentColor(source) else { return [:] }
    return ["trans_color": String(color)]
  }

  /// The pictures.
  /// - Throws: `Failure(.invalidArgument)` where the file has sound alone, and what is wrong with a film that cannot be
  ///   seen.
  func frames() throws(Failure) -> any FrameTrack {
    let summary = try summary()
    guard let frames = summary.frames else {
      throw summary.filmProblem ?? watch.failure(.invalidArgument, "the file has sound, but no pictures")
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

  /// Decodes the sound at `rate` (0: its own).
  func samples(rate: Int32, _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure) {
    try Sound(source, watch: watch).decode(rate: rate, receive)
  }
}
