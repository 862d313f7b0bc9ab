import CFFmpeg
import DormouseSupport

/// Decodes the audio of a file from its beginning, piece after piece.
struct AudioTrack {
  private let demuxer: Demuxer
  private let track: Track
  private let decoder: CodecDecoder
  private let watch: MediaWatch

  /// - Throws: `Failure(.unsupported)` where the file has no audio that can be decoded.
  init(_ source: ByteSource, watch: MediaWatch) throws(Failure) {
    demuxer = try Demuxer(source, watch: watch)
    guard let track = Track.audio(of: demuxer) else {
      throw watch.failure(.unsupported, "the file has no audio that can be decoded")
    }
    self.track = track
    self.watch = watch
    demuxer.select([track.index])
    decoder = try CodecDecoder(track.codec, parameters: track.parameters, what: "the audio", watch: watch) { context in
      context.pointee.pkt_timebase = track.stream.pointee.time_base
    }
  }

  /// What a piece of audio is like.
  struct Properties {
    var channelCount: Int
    /// Samples a second.
    var sampleRate: Int
    /// Samples of what one packet holds; 0: unknown.
    var packetSamples: Int
  }

  /// The properties of the first piece that can be decoded: containers tell neither channels nor rate for some codecs,
  /// and half the rate for others. What the container tells, where nothing can be decoded.
  func measured() throws(Failure) -> Properties {
    let told = track.parameters.pointee
    var properties = Properties(
      channelCount: Int(told.ch_layout.nb_channels), sampleRate: Int(told.sample_rate), packetSamples: 0)
    do throws(Failure) {
      try decode { (frame) throws(Failure) in
        properties = Properties(
          channelCount: Int(frame.pointee.ch_layout.nb_channels), sampleRate: Int(frame.pointee.sample_rate),
          packetSamples: Int(frame.pointee.nb_samples))
        return false
      }
    } catch { guard error.status == .malformed else { throw error } }
    return properties
  }

  /// Decodes everything to one channel.
  /// - Parameters:
  ///   - rate: of the samples, 0 for the file's own.
  ///   - receive: takes the next samples; false ends the work.
  func decode(rate: Int32, _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure) {
    let resampler = SampleRateConverter(rate: rate, watch: watch)
    let isComplete = try decode { (frame) throws(Failure) in try resampler.resample(frame, receive) }
    if isComplete { _ = try resampler.finish(receive) }
  }

  /// Decodes frame after frame until one is answered with false. True: there are no more.
  ///
  /// Damage behind which nothing more can be decoded is where a file was cut off, and what came before is given.
  @discardableResult
  private func decode(_ receive: (UnsafeMutablePointer<AVFrame>) throws(Failure) -> Bool) throws(Failure) -> Bool {
    let packet = try Packet(watch: watch)
    var seconds = 0.0
    var damage: Failure?
    var isAtEnd = false
    while !isAtEnd {
      isAtEnd = try !demuxer.read(packet)
      try send(isAtEnd ? nil : packet, &damage)
      while try next(&damage) {
        if let damage, !isAtEnd { throw damage }
        let frame = decoder.frame
        seconds += Double(frame.pointee.nb_samples) / Double(max(frame.pointee.sample_rate, 1))
        try watch.checkDuration(seconds)
        guard try receive(frame) else { return false }
      }
    }
    guard seconds > 0 else { throw damage ?? watch.failure(.malformed, "the audio has no samples") }
    return true
  }

  private func send(_ packet: Packet?, _ damage: inout Failure?) throws(Failure) {
    let code = decoder.send(packet)
    guard code < 0, code != ffmpeg_error_end else { return }
    try remember(watch.failure(code, "cannot decode the audio"), in: &damage)
  }

  private func next(_ damage: inout Failure?) throws(Failure) -> Bool {
    do throws(Failure) { return try decoder.next() } catch { try remember(error, in: &damage) }
    return false
  }

  private func remember(_ failure: Failure, in damage: inout Failure?) throws(Failure) {
    guard failure.status == .malformed else { throw failure }
    damage = damage ?? failure
  }
}
