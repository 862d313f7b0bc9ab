import CFFmpeg
import DormouseSupport

/// Decodes one track of a video from some place on.
final class VideoReader {
  let track: Int32
  private let demuxer: Demuxer
  private let decoder: CodecDecoder
  private let index: VideoIndex
  private let packet: Packet
  private let watch: MediaWatch
  /// The frame in the decoder's hands, as a number of `index.shown`; nil before the first.
  private var current: Int?
  /// The packet that comes next, as far as a seek has kept its word.
  private var nextPacket = 0
  private var isAtEnd = false
  /// What last went wrong with a packet since the last frame that was asked for.
  private(set) var problem: Failure?

  init(_ source: ByteSource, track: Int32, index: VideoIndex, options: [String: String], watch: MediaWatch)
    throws(Failure)
  {
    demuxer = try Demuxer(source, watch: watch)
    guard let stream = demuxer.streams.first(where: { $0.pointee.index == track }) else {
      throw watch.failure(.malformed, "the video's track \(track) is gone")
    }
    demuxer.select([track])
    let parameters = Track(demuxer, stream).parameters
    decoder = try CodecDecoder(
      parameters.pointee.codec_id, parameters: parameters, options: options, what: "the video", watch: watch
    ) { context in
      context.pointee.pkt_timebase = stream.pointee.time_base
      // Without it a decoder that finds frames out of order drops some.
      context.pointee.has_b_frames = max(context.pointee.has_b_frames, Int32(index.reordering))
    }
    packet = try Packet(watch: watch)
    self.track = track
    self.index = index
    self.watch = watch
  }

  /// The frame that was decoded last.
  var frame: UnsafeMutablePointer<AVFrame> { decoder.frame }

  /// Pixels of the first frame that can be decoded, for a file that does not tell; nil where there is none.
  func measured() throws(Failure) -> (width: Int, height: Int)? {
    guard try advance() else { return nil }
    return (Int(frame.pointee.width), Int(frame.pointee.height))
  }

  /// Decodes up to the frame `wanted`; false when it does not come.
  func decode(_ wanted: Int, seeks: Bool = true) throws(Failure) -> Bool {
    if current == wanted { return true }
    problem = nil
    if seeks && !seekIfUseful(wanted) { return false }
    while try advance() {
      guard let current else { continue }
      if current == wanted { return true }
      if current > wanted { return false }
    }
    return false
  }

  /// Goes to the key frame before `wanted` where it is further on, or where `wanted` has been passed. False when the
  /// format can't, and `wanted` does not come any more.
  private func seekIfUseful(_ wanted: Int) -> Bool {
    let isPassed = isAtEnd || current.map { $0 > wanted } ?? false
    guard index.hasTimestamps, let key = index.keyFrame(before: index.shown[wanted]),
      isPassed || key.packet > nextPacket
    else {
      return !isPassed
    }
    guard demuxer.seek(track: track, timestamp: key.seekTimestamp) else { return !isPassed }
    decoder.flush()
    current = nil
    isAtEnd = false
    nextPacket = key.packet
    return true
  }

  /// Decodes the next frame; false after the last one.
  private func advance() throws(Failure) -> Bool {
    while true {
      try watch.check()
      if try receive() {
        count()
        return true
      }
      guard !isAtEnd else { return false }
      try send()
    }
  }

  /// Finds out which frame the decoder has given.
  private func count() {
    if index.hasTimestamps {
      current = index.frame(at: decoder.frame.pointee.best_effort_timestamp) ?? current
    } else {
      current = current.map { $0 + 1 } ?? 0
    }
  }

  /// A packet that can't be decoded costs its frames; whether one of them is wanted shows when it does not come.
  private func receive() throws(Failure) -> Bool {
    do throws(Failure) { return try decoder.next() } catch { try remember(error) }
    return false
  }

  private func send() throws(Failure) {
    isAtEnd = try !demuxer.read(packet)
    let code = decoder.send(isAtEnd ? nil : packet)
    nextPacket += 1
    guard code >= 0 || code == ffmpeg_error_again || code == ffmpeg_error_end else {
      return try remember(watch.failure(code, "cannot decode the video"))
    }
  }

  private func remember(_ failure: Failure) throws(Failure) {
    guard failure.status == .malformed else { throw failure }
    problem = failure
  }
}
