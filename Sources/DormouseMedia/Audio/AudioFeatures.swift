import DormouseAudio
import DormouseSupport

/// The features of the audio's windows: those of the whole audio with the silence it is filled up with, cut afterwards, as
/// Voxtral's, or those of each window alone, filled up, as Audio Flamingo 3's and dots3-note's.
struct AudioFeatures {
  private let samples: [Float]
  private let spectrogram: LogMelSpectrogram
  private let pool: ThreadPool
  /// [window frames, mel bins].
  private let rows: AlignedBuffer
  /// Samples of all windows, and the greatest energy of them; nil where each window has its own.
  private let whole: (count: Int, maximum: Float)?

  /// - Parameter samples: 16,000 a second; at least one.
  /// - Throws: `Failure(.outOfMemory)`.
  init(
    _ samples: [Float], _ spectrogram: LogMelSpectrogram, isWhole: Bool, pool: ThreadPool,
    _ interruption: Interruption = .never
  ) throws(Failure) {
    self.samples = samples
    self.spectrogram = spectrogram
    self.pool = pool
    let c = spectrogram.configuration
    rows = try AlignedBuffer(byteCount: Self.byteCount(c), for: "a window's features")
    guard isWhole else {
      whole = nil
      return
    }
    let size = c.chunkSampleCount
    let count = try CheckedSize.product(
      CheckedSize.ceilingQuotient(samples.count, size), size, of: "the audio's samples")
    let outcome: Result<Float, Failure> = samples.withUnsafeBufferPointer { samples in
      Result { () throws(Failure) in
        try spectrogram.maximum(of: PaddedSignal(samples, paddedTo: count), pool: pool, interruption)
      }
    }
    whole = (count, try outcome.get())
  }

  /// Bytes of a window's features.
  static func byteCount(_ c: LogMelConfiguration) throws(Failure) -> Int {
    try CheckedSize.product(c.chunkFrameCount, c.featureSize, 4, of: "a window's features")
  }

  /// Computes those of a window.
  /// - Parameter window: of the audio's samples; begins at a whole number of windows.
  func load(_ window: Range<Int>) throws(Failure) {
    let target = rows.bound(to: Float.self)
    let outcome: Result<Void, Failure> = samples.withUnsafeBufferPointer { samples in
      Result { () throws(Failure) in try compute(window, samples, into: target) }
    }
    try outcome.get()
  }

  /// Hands those of the last window to `body`: [window frames, mel bins].
  func withRows(_ body: (UnsafePointer<Float>) -> Void) {
    if let base = rows.bound(to: Float.self).baseAddress { body(UnsafePointer(base)) }
    withExtendedLifetime(rows) {}
  }

  private func compute(
    _ window: Range<Int>, _ samples: UnsafeBufferPointer<Float>, into target: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    let c = spectrogram.configuration
    guard let whole else {
      let own = UnsafeBufferPointer(rebasing: samples[window])
      return try spectrogram.features(of: PaddedSignal(own, paddedTo: c.chunkSampleCount), pool: pool, into: target)
    }
    let first = window.lowerBound / c.hopLength
    try spectrogram.energies(
      of: PaddedSignal(samples, paddedTo: whole.count), frames: first..<first + c.chunkFrameCount, pool: pool,
      into: target)
    LogMelSpectrogram.normalize(target, maximum: whole.maximum)
  }
}
