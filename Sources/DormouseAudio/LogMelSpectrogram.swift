public import DormouseSupport
import Glibc

/// Samples at 16 kHz -> log-mel features, as the published extractors make them.
///
/// A frame is `fftLength` samples under a Hann window; its power spectrum goes through the mel filters, and each
/// channel's energy is `log10` of what comes out, 1e-10 at least. Features are the energies of a whole chunk, cut 8
/// below its greatest (80 dB), plus 4, divided by 4: so a chunk's last sample may change its first feature, and what can
/// be had in pieces are the energies (`LogMelStream`).
///
/// Rows are frames: [frames, featureSize], where the reference has [featureSize, frames]. Thread: any.
public final class LogMelSpectrogram: Sendable {
  public let configuration: LogMelConfiguration
  private let fourier: RealFourier
  private let filters: MelFilterBank
  /// [fftLength].
  private let window: [Float]

  /// - Throws: `Failure(.outOfMemory)`.
  public init(_ configuration: LogMelConfiguration) throws(Failure) {
    self.configuration = configuration
    fourier = try RealFourier(count: configuration.fftLength)
    filters = MelFilterBank(
      filterCount: configuration.featureSize, binCount: configuration.fftLength / 2 + 1,
      samplingRate: LogMelConfiguration.samplingRate)
    // torch.hann_window, which is periodic.
    window = (0..<configuration.fftLength).map {
      Float(0.5 - 0.5 * cos(2 * Double.pi * Double($0) / Double(configuration.fftLength)))
    }
  }

  // MARK: - Whole signals

  /// The features of a chunk.
  ///
  /// - Parameters:
  ///   - rows: [frames, featureSize], with frames = signal.count / hopLength.
  /// - Throws: `Failure(.invalidArgument)` for a signal too short to be mirrored or a buffer too small,
  ///   `Failure(.outOfMemory)`.
  public func features(
    of signal: PaddedSignal, pool: ThreadPool, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    let frames = 0..<configuration.frameCount(sampleCount: signal.count)
    try energies(of: signal, frames: frames, pool: pool, into: rows)
    let written = UnsafeMutableBufferPointer(rebasing: rows[..<(frames.count * configuration.featureSize)])
    Self.normalize(written, maximum: Self.maximum(UnsafeBufferPointer(written)))
  }

  /// The energies of some frames of a signal, logarithmic and not yet normalised.
  /// - Parameter rows: [frames.count, featureSize].
  public func energies(
    of signal: PaddedSignal, frames: Range<Int>, pool: ThreadPool, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    try requireMirror(signal.count)
    let all = configuration.frameCount(sampleCount: signal.count)
    let needed = try CheckedSize.product(frames.count, configuration.featureSize, of: "log-mel features")
    guard frames.lowerBound >= 0, frames.upperBound <= all, rows.count >= needed, let target = rows.baseAddress else {
      throw Failure(
        .invalidArgument,
        "log-mel frames \(frames.lowerBound)..<\(frames.upperBound) of \(all) into \(rows.count) values; expected"
          + " \(configuration.featureSize) values for each")
    }
    let block = Self.blockFrames
    let scratch = try Scratch(self, count: pool.threadCount)
    pool.run(CheckedSize.ceilingQuotient(frames.count, block)) { task, worker in
      let first = frames.lowerBound + task * block
      let some = min(block, frames.upperBound - first)
      let samples = scratch.samples(worker)
      let start = first * configuration.hopLength - configuration.fftLength / 2
      signal.copy(start..<start + sampleCount(frames: some), into: samples)
      energies(samples, frames: some, scratch.vectors(worker), into: target + task * block * configuration.featureSize)
    }
  }

  /// The greatest energy of a signal, found a block of frames at a time.
  public func maximum(
    of signal: PaddedSignal, pool: ThreadPool, _ interruption: Interruption = .never
  ) throws(Failure) -> Float {
    let size = configuration.featureSize
    let frameCount = configuration.frameCount(sampleCount: signal.count)
    let block = min(frameCount, Self.blockFrames * 32)
    let buffer = try AlignedBuffer(
      byteCount: CheckedSize.product(block, size, 4, of: "log-mel features"), for: "log-mel features")
    let rows = buffer.bound(to: Float.self)
    var top = -Float.infinity
    for first in stride(from: 0, to: frameCount, by: max(block, 1)) {
      try interruption.check()
      let frames = first..<min(first + block, frameCount)
      try energies(of: signal, frames: frames, pool: pool, into: rows)
      top = max(top, Self.maximum(UnsafeBufferPointer(rebasing: rows[..<(frames.count * size)])))
    }
    withExtendedLifetime(buffer) {}
    return top
  }

  /// The greatest of `rows`; -infinity for none.
  public static func maximum(_ rows: UnsafeBufferPointer<Float>) -> Float {
    var top = -Float.infinity
    for value in rows where value > top { top = value }
    return top
  }

  /// Energies -> features: `(max(energy, maximum - 8) + 4) / 4`.
  public static func normalize(_ rows: UnsafeMutableBufferPointer<Float>, maximum: Float) {
    let floor = maximum - 8
    for index in rows.indices { rows[index] = (max(rows[index], floor) + 4) / 4 }
  }

  /// Mirroring half a frame at both ends takes more samples than that.
  func requireMirror(_ count: Int) throws(Failure) {
    guard count > configuration.fftLength / 2 else {
      throw Failure(
        .invalidArgument,
        "audio of \(count) samples; log-mel features need more than \(configuration.fftLength / 2)")
    }
  }

  // MARK: - Frames

  /// Frames of a task.
  static let blockFrames = 32

  /// Samples that `frames` neighbouring frames cover.
  func sampleCount(frames: Int) -> Int {
    frames > 0 ? (frames - 1) * configuration.hopLength + configuration.fftLength : 0
  }

  /// What energies are computed in, for each of some threads.
  final class Scratch: @unchecked Sendable {
    private let memory: AlignedBuffer
    private let base: UnsafeMutableRawPointer
    private let vectorBytes: Int
    private let stride: Int

    init(_ spectrogram: LogMelSpectrogram, count: Int) throws(Failure) {
      let vector = MemoryLayout<FrameVector>.stride
      vectorBytes = (2 * spectrogram.fourier.scratchCount + spectrogram.fourier.half + 1) * vector
      let samples = spectrogram.sampleCount(frames: blockFrames) * MemoryLayout<Float>.stride
      stride = CheckedSize.ceilingQuotient(vectorBytes + samples, AlignedBuffer.alignment) * AlignedBuffer.alignment
      memory = try AlignedBuffer(
        byteCount: CheckedSize.product(stride, count, of: "log-mel scratch"), for: "log-mel scratch")
      guard let base = memory.bytes.baseAddress else { throw Failure(.internalError, "log-mel scratch: no memory") }
      self.base = base
    }

    /// Room for the samples of `blockFrames` frames.
    func samples(_ worker: Int) -> UnsafeMutablePointer<Float> {
      (vectors(worker) + vectorBytes).assumingMemoryBound(to: Float.self)
    }

    func vectors(_ worker: Int) -> UnsafeMutableRawPointer { base + worker * stride }
  }

  /// The energies of `frames` frames, the first of which begins at `samples`, into rows [frames, featureSize].
  func energies(
    _ samples: UnsafePointer<Float>, frames: Int, _ scratch: UnsafeMutableRawPointer,
    into rows: UnsafeMutablePointer<Float>
  ) {
    let lanes = FrameVector.scalarCount
    let pairs = scratch.assumingMemoryBound(to: RealFourier.Complex.self)
    let other = pairs + fourier.half
    let powers = UnsafeMutableRawPointer(other + fourier.half).assumingMemoryBound(to: FrameVector.self)
    for first in stride(from: 0, to: frames, by: lanes) {
      let some = min(lanes, frames - first)
      loadWindowed(samples + first * configuration.hopLength, some, pairs)
      fourier.powers(pairs, scratch: other, into: powers)
      writeEnergies(powers, some, rows + first * configuration.featureSize)
    }
  }

  /// Multiplies frames by the window, and lays them out as the transform wants them; lanes without a frame repeat the
  /// last one.
  private func loadWindowed(
    _ samples: UnsafePointer<Float>, _ count: Int, _ pairs: UnsafeMutablePointer<RealFourier.Complex>
  ) {
    let hop = configuration.hopLength
    var starts = SIMD8<Int>()
    for lane in 0..<FrameVector.scalarCount { starts[lane] = min(lane, count - 1) * hop }
    window.withUnsafeBufferPointer { window in
      for n in 0..<fourier.half {
        var even = FrameVector()
        var odd = FrameVector()
        for lane in 0..<FrameVector.scalarCount {
          even[lane] = samples[starts[lane] + 2 * n]
          odd[lane] = samples[starts[lane] + 2 * n + 1]
        }
        pairs[n] = RealFourier.Complex(re: even * window[2 * n], im: odd * window[2 * n + 1])
      }
    }
  }

  private func writeEnergies(
    _ powers: UnsafePointer<FrameVector>, _ count: Int, _ rows: UnsafeMutablePointer<Float>
  ) {
    let size = configuration.featureSize
    for (channel, filter) in filters.filters.enumerated() {
      var energy = FrameVector()
      for (offset, weight) in filter.weights.enumerated() { energy += powers[filter.firstBin + offset] * weight }
      for lane in 0..<count { rows[lane * size + channel] = log10f(max(energy[lane], 1e-10)) }
    }
  }
}
