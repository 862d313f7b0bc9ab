import DormouseSupport

/// The features of a sound's windows: Voxtral's are those of the whole sound with the silence it is filled up with, cut
/// afterwards; Audio Flamingo 3's are of each window alone.
struct VoiceFeatures {
  private let samples: [Float]
  private let spectrogram: LogMelSpectrogram
  private let pool: ThreadPool
  /// [window frames, mel bins].
  private let rows: AlignedBuffer
  /// Samples of all windows, and the greatest energy of them; nil where each window has its own.
  private let whole: (count: Int, maximum: Float)?

  /// - Parameter samples: 16,000 a second; at least one.
  /// - Throws: `Failure(.outOfMemory)`.
  init(_ samples: [Float], _ tower: VoiceTower) throws(Failure) {
    self.samples = samples
    spectrogram = tower.spectrogram
    pool = tower.pool
    let encoder = tower.configuration.encoder
    rows = try AlignedBuffer(
      byteCount: CheckedSize.product(encoder.windowFrameCount, encoder.melBinCount, 4, of: "a window's features"),
      for: "a window's features")
    guard tower.configuration.architecture == .voxtral else {
      whole = nil
      return
    }
    let size = spectrogram.configuration.chunkSampleCount
    let count = try CheckedSize.product(
      CheckedSize.ceilingQuotient(samples.count, size), size, of: "a sound's samples")
    let outcome: Result<Float, Failure> = samples.withUnsafeBufferPointer { [spectrogram, pool] samples in
      Result { () throws(Failure) in try spectrogram.maximum(of: PaddedSignal(samples, paddedTo: count), pool: pool) }
    }
    whole = (count, try outcome.get())
  }

  /// Computes those of a window, and hands them to `body`: [window frames, mel bins].
  func load(
    _ window: VoiceTowerConfiguration.Window, _ body: (UnsafePointer<Float>) -> Void
  ) throws(Failure) {
    let target = rows.bound(to: Float.self)
    let outcome: Result<Void, Failure> = samples.withUnsafeBufferPointer { samples in
      Result { () throws(Failure) in try compute(window, samples, into: target) }
    }
    try outcome.get()
    if let base = target.baseAddress { body(UnsafePointer(base)) }
    withExtendedLifetime(rows) {}
  }

  private func compute(
    _ window: VoiceTowerConfiguration.Window, _ samples: UnsafeBufferPointer<Float>,
    into target: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    let c = spectrogram.configuration
    guard let whole else {
      let own = UnsafeBufferPointer(rebasing: samples[window.samples])
      return try spectrogram.features(of: PaddedSignal(own, paddedTo: c.chunkSampleCount), pool: pool, into: target)
    }
    let first = window.samples.lowerBound / c.hopLength
    try spectrogram.energies(
      of: PaddedSignal(samples, paddedTo: whole.count), frames: first..<first + c.chunkFrameCount, pool: pool,
      into: target)
    LogMelSpectrogram.normalize(target, maximum: whole.maximum)
  }
}
