import DormouseAudio
public import DormouseKernels
public import DormouseSupport

/// Samples that a host has in memory, or pushes piece by piece.
public struct HeldAudio: Audio {
  public let channelCount: Int
  public let rate: Int
  private var mono: [Float] = []

  /// Silence of no length.
  /// - Parameter rate: samples a second of each channel.
  /// - Throws: `Failure(.invalidArgument)`.
  public init(channelCount: Int, rate: Int) throws(Failure) {
    for (what, found, range) in [
      ("channels", channelCount, Waveform.channelRange), ("samples a second", rate, AudioResampler.rateRange),
    ] where !range.contains(found) {
      throw Failure(
        .invalidArgument, "audio has \(found) \(what); expected \(range.lowerBound) to \(range.upperBound)")
    }
    self.channelCount = channelCount
    self.rate = rate
  }

  /// Samples of a channel.
  public var frameCount: Int { mono.count }

  /// Adds samples at the end.
  /// - Parameter samples: [frames, channelCount], finite; on a failure none is added.
  /// - Throws: `Failure(.invalidArgument)`.
  public mutating func append(_ samples: UnsafeBufferPointer<Float>) throws(Failure) {
    guard !samples.isEmpty else { return }
    try Waveform.requireFinite(samples)
    let start = mono.count
    mono.append(contentsOf: repeatElement(0, count: samples.count / channelCount))
    let outcome: Result<Void, Failure> = mono.withUnsafeMutableBufferPointer { [channelCount] mono in
      Result { () throws(Failure) in
        try Waveform.mixDown(
          samples, channels: channelCount, into: UnsafeMutableBufferPointer(rebasing: mono[start...]))
      }
    }
    if case .failure(let failure) = outcome {
      mono.removeLast(mono.count - start)
      throw failure
    }
  }

  public var seconds: Double { Double(mono.count) / Double(rate) }

  public func exactSampleCount(rate wanted: Int, kernels: Kernels) throws(Failure) -> Int? {
    guard wanted != rate else { return mono.count }
    return try AudioResampler(from: rate, to: wanted, kernels: kernels).totalCount(mono.count)
  }

  public func samples(
    rate wanted: Int, kernels: Kernels, limit: Int?, _ terms: MediaTerms
  ) throws(Failure) -> AudioSamples {
    guard wanted != rate else { return AudioSamples(mono) }
    var resampler = try AudioResampler(from: rate, to: wanted, kernels: kernels)
    return try resampler.all(mono, budget: terms.budget, terms.interruption)
  }

  /// Of the rate and the samples.
  public func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
    var hash = BLAKE2b()
    withUnsafeBytes(of: rate) { hash.update($0) }
    try mono.withUnsafeBufferPointer { (mono) throws(Failure) in
      try hash.update(UnsafeRawBufferPointer(mono), interruption)
    }
    return ContentHash(hash.finish())
  }
}
