public import DormouseSupport

/// What samples of a caller must be, and how channels become one.
public enum Waveform {
  /// Channels that are mixed down at most; more are a caller's mistake.
  public static let channelRange = 1...32

  /// - Throws: `Failure(.invalidArgument)` naming the first sample that is no number, or infinite.
  public static func requireFinite(_ samples: UnsafeBufferPointer<Float>) throws(Failure) {
    guard let index = samples.firstIndex(where: { !$0.isFinite }) else { return }
    throw Failure(.invalidArgument, "sample \(index) is \(samples[index]); expected finite numbers")
  }

  public static func requireFinite(_ samples: [Float]) throws(Failure) {
    let outcome: Result<Void, Failure> = samples.withUnsafeBufferPointer { samples in
      Result { () throws(Failure) in try requireFinite(samples) }
    }
    try outcome.get()
  }

  /// The mean of the channels of interleaved samples [frames, channels], as players and the published processors mix.
  /// - Parameter mono: [frames]; may be where the samples begin.
  /// - Throws: `Failure(.invalidArgument)` for a number of channels out of range or with unequal numbers of samples, and
  ///   for a buffer too small.
  public static func mixDown(
    _ samples: UnsafeBufferPointer<Float>, channels: Int, into mono: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    guard channelRange.contains(channels), samples.count % channels == 0 else {
      throw Failure(
        .invalidArgument,
        "\(samples.count) samples of \(channels) channels; expected \(channelRange.lowerBound) to"
          + " \(channelRange.upperBound) channels, and the same number of samples of each")
    }
    let frames = samples.count / channels
    guard mono.count >= frames else {
      throw Failure(.invalidArgument, "room for \(mono.count) samples; \(frames) are to be written")
    }
    let share = 1 / Float(channels)
    for frame in 0..<frames {
      var sum: Float = 0
      for channel in 0..<channels { sum += samples[frame * channels + channel] }
      mono[frame] = sum * share
    }
  }
}
