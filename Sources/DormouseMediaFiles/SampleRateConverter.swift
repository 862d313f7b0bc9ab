import CFFmpeg
import DormouseSupport

/// Turns decoded audio into one channel of float32 at some rate, by swresample: the mean of the channels.
final class SampleRateConverter {
  private let watch: MediaWatch
  private let outputRate: Int32
  private var context: OpaquePointer?
  /// What `context` was made for.
  private var input: (rate: Int32, format: Int32, channels: Int32) = (0, 0, 0)
  private var samples: [Float] = []

  /// Channels that swresample takes (SWR_CH_MAX).
  private static let channelLimit = 64
  /// Samples a second that come in. swresample makes a filter for every ratio it is asked for, however long that takes.
  private static let inputRates: ClosedRange<Int32> = 1...768_000
  /// Samples a second that may be asked for.
  static let outputRates: ClosedRange<Int32> = 1000...768_000
  /// Samples that are handed on at a time.
  private static let pieceLength = 8192

  /// - Parameter rate: of the samples that come out; 0: as they come in.
  init(rate: Int32, watch: MediaWatch) {
    self.watch = watch
    outputRate = rate
  }

  deinit { swr_free(&context) }

  /// Hands on what the frame gives, and what was held back before. False: the receiver wants no more.
  func resample(_ frame: UnsafeMutablePointer<AVFrame>, _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool)
    throws(Failure) -> Bool
  {
    let found = (frame.pointee.sample_rate, frame.pointee.format, frame.pointee.ch_layout.nb_channels)
    if context == nil || input != found {
      // A track that changes on its way is joined from pieces, each resampled by itself.
      guard try finish(receive) else { return false }
      try open(frame.pointee, found)
    }
    return try convert(UnsafeMutablePointer(frame.pointee.extended_data), frame.pointee.nb_samples, receive)
  }

  /// Hands on what is still held back.
  func finish(_ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure) -> Bool {
    guard context != nil else { return true }
    return try convert(nil, 0, receive)
  }

  private func open(_ frame: AVFrame, _ found: (rate: Int32, format: Int32, channels: Int32)) throws(Failure) {
    swr_free(&context)
    guard SampleRateConverter.inputRates.contains(found.rate),
      (1...Int32(SampleRateConverter.channelLimit)).contains(found.channels)
    else {
      throw watch.failure(.unsupported, "audio with \(found.channels) channels at \(found.rate) Hz is not supported")
    }
    var (mono, layout) = (AVChannelLayout(), AVChannelLayout())
    av_channel_layout_default(&mono, 1)
    // Which loudspeaker a channel belongs to makes no difference to the mean.
    layout.order = AV_CHANNEL_ORDER_UNSPEC
    layout.nb_channels = found.channels
    let action = "cannot convert the audio"
    try watch.checked(
      swr_alloc_set_opts2(
        &context, &mono, AV_SAMPLE_FMT_FLT, outputRate > 0 ? outputRate : found.rate, &layout,
        AVSampleFormat(found.format), found.rate, QuietContext.levelOffset, nil), action)
    let share = [Double](repeating: 1 / Double(found.channels), count: Int(found.channels))
    try watch.checked(swr_set_matrix(context, share, found.channels), action)
    try watch.checked(swr_init(context), action)
    input = found
  }

  private func convert(
    _ planes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, _ count: Int32,
    _ receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool
  ) throws(Failure) -> Bool {
    if samples.isEmpty { samples = [Float](repeating: 0, count: SampleRateConverter.pieceLength) }
    var (source, remaining) = (
      UnsafeMutableRawPointer(planes)?.assumingMemoryBound(to: UnsafePointer<UInt8>?.self), count
    )
    while true {
      try watch.check()
      let length: Int32 = samples.withUnsafeMutableBytes { buffer in
        var target = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return swr_convert(context, &target, Int32(SampleRateConverter.pieceLength), source, remaining)
      }
      try watch.checked(length, "cannot convert the audio")
      // What did not fit stays inside, and comes when nothing new is given.
      (source, remaining) = (nil, 0)
      guard length > 0 else { return true }
      try watch.countOutput(Int(length) * MemoryLayout<Float>.size)
      guard try hand(Int(length), to: receive) else { return false }
      if planes != nil && Int(length) < SampleRateConverter.pieceLength { return true }
    }
  }

  private func hand(_ length: Int, to receive: (UnsafeBufferPointer<Float>) throws(Failure) -> Bool) throws(Failure)
    -> Bool
  {
    let outcome: Result<Bool, Failure> = samples.withUnsafeBufferPointer { buffer in
      do throws(Failure) { return .success(try receive(UnsafeBufferPointer(rebasing: buffer[..<length]))) } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
