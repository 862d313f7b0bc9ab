import CFFmpeg
import DormouseSupport

/// Decodes the sound of a file from its beginning, piece after piece.
struct Sound {
  private let demuxer: Demuxer
  private let track: Track
  private let decoder: Decoder
  private let watch: MediaWatch

  /// - Throws: `Failure(.unsupported)` where the file has no sound that can be decoded.
  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    demuxer = try Demuxer(source, watch: watch)
    guard let track = Track.sound(of: demuxer) else {
      throw watch.failure(.unsupported, "the file has no sound that can be decoded")
    }
    self.track = track
    self.watch = watch
    demuxer.select([track.index])
    decoder = try Decoder(track.codec, parameters: track.parameters, what: "the sound", watch: watch) { context in
      context.pointee.pkt_timebase = track.stream.pointee.time_base
    }
  }

  /// Decodes everything.
  /// - Parameters:
  ///   - rate: of the samples, 0 for the file's own.
  ///   - receive: takes the next samples; false ends the work.
  func decode(rate: Int32, _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure) {
    let resampler = Resampler(rate: rate, watch: watch)
    let packet = try Packet(watch: watch)
    var seconds = 0.0
    var isAtEnd = false
    while !isAtEnd {
      isAtEnd = try !demuxer.read(packet)
      try watch.checked(sent(isAtEnd ? nil : packet), "cannot decode the sound")
      while try decoder.next() {
        let frame = decoder.frame
        seconds += Double(frame.pointee.nb_samples) / Double(max(frame.pointee.sample_rate, 1))
        try watch.checkDuration(seconds)
        guard try resampler.resample(frame, receive) else { return }
      }
    }
    guard seconds > 0 else { throw watch.failure(.malformed, "the sound has no samples") }
    _ = try resampler.finish(receive)
  }

  private func sent(_ packet: Packet?) -> Int32 {
    let code = decoder.send(packet)
    return code == ffmpeg_error_end ? 0 : code
  }
}
