import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

typealias WhisperTower = AudioTower<WhisperTowerConfiguration>
typealias DotsAudioTower = AudioTower<DotsAudioConfiguration>

/// How models hear: a loaded tower, which makes of audio rows that stand in a prompt in place of embeddings, and the prompts
/// of its published processor. Immutable: any number of threads may encode at once, and take turns on the pool.
final class AudioTower<Configuration: AudioTowerConfiguration>: MediaEncoder {
  let folder: TowerFolder<Configuration>
  let weights: Configuration.Weights
  let pool: ThreadPool
  let kernels: Kernels
  let spectrogram: LogMelSpectrogram
  private let scratchByteCount: Int
  private let memory: TensorMemory

  var configuration: Configuration { folder.configuration }
  /// The token that stands for a row, also where a template has audio.
  private var padding: String { folder.processor.audioToken }

  /// Loads a folder that was checked.
  /// - Parameter progress: bytes of weights loaded; `false` cancels.
  init(
    _ folder: TowerFolder<Configuration>, residency: Checkpoint.Residency = .mapped, pool: ThreadPool,
    kernels: Kernels, progress: Progress? = nil
  ) throws(Failure) {
    self.folder = folder
    self.pool = pool
    self.kernels = kernels
    spectrogram = try LogMelSpectrogram(folder.processor.features)
    scratchByteCount = try folder.plan(threadCount: pool.threadCount, kernels: kernels).scratchByteCount
    (weights, memory) = try folder.tensors.load(residency: residency, pool: pool, progress: progress)
  }

  func placeholder(of modality: Modality) -> String? { modality == .audio ? padding : nil }

  func paddingTokens(of modality: Modality) -> [String] { [padding] }

  func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia {
    guard case .audio(let audio) = item else {
      throw Failure(.unsupported, "this model takes no parts of type \(item.modality.rawValue)")
    }
    let limit = sampleLimit(terms)
    try checkLength(of: audio, limit, terms)
    let samples = try audio.samples(rate: LogMelConfiguration.samplingRate, kernels: kernels, limit: limit, terms)
    if let limit, samples.values.count > limit { throw tooLong(nil, limit, terms) }
    try terms.limits.checkOutput(samples.values.count * MemoryLayout<Float>.stride)
    let rowCount = try tokenCount(sampleCount: samples.values.count)
    try terms.checkRows(rowCount)
    try Waveform.requireFinite(samples.values)
    var hash = BLAKE2b()
    samples.values.withUnsafeBytes { hash.update($0) }
    return PreparedAudio(
      samples: samples, rowCount: rowCount, contentHash: ContentHash(hash.finish()), scratchByteCount: scratchByteCount)
  }

  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption
  ) throws(Failure) -> any EncodingRun {
    guard let audio = prepared as? PreparedAudio else {
      throw Failure(.internalError, "a tower for audio was given something else")
    }
    return try begin(audio.samples.values, into: rows, interruption)
  }

  /// - Parameters:
  ///   - samples: mono, 16,000 a second, of finite numbers.
  ///   - rows: [tokenCount(sampleCount: samples.count), text hidden size]; the caller keeps them until the run is over.
  ///   - interruption: asked while the whole audio is looked at.
  /// - Throws: `Failure(.invalidArgument)` for audio that the tower does not take or a buffer too small, `.outOfMemory`.
  func begin(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption = .never
  ) throws(Failure) -> AudioTowerRun {
    try AudioTowerRun(self, samples, into: rows, interruption)
  }

  /// Encodes audio as a whole; parameters and errors are those of `begin`, whose samples it checks.
  /// - Parameter interruption: asked before every step of every window.
  func encode(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption = .never
  ) throws(Failure) {
    try Waveform.requireFinite(samples)
    var run = try begin(samples, into: rows)
    while try run.prepareNext() {
      repeat { try interruption.check() } while try !run.advance()
    }
  }

  /// Rows of audio, and places of the model's token in its prompt.
  /// - Throws: `Failure(.invalidArgument)` for audio that the tower does not take.
  func tokenCount(sampleCount: Int) throws(Failure) -> Int { try folder.tokenCount(sampleCount: sampleCount) }

  // MARK: - Length

  /// Samples of audio at most; nil: any number.
  private var maximumSampleCount: Int? { folder.processor.maximumSeconds.map { $0 * LogMelConfiguration.samplingRate } }

  /// Samples of a window, of which audio is made up, and rows of one that has `sampleCount` of them: 0 for too few.
  var windowSampleCount: Int { folder.processor.features.chunkSampleCount }
  func windowRowCount(sampleCount: Int) -> Int {
    configuration.window(sampleCount: sampleCount, folder.processor.features).rows
  }

  /// Samples of the longest audio that makes `rows` rows at most.
  func sampleCount(rows: Int) -> Int {
    let size = windowSampleCount
    let whole = windowRowCount(sampleCount: size)
    guard whole > 0 else { return .max }
    // Fewer samples never make more rows.
    var (low, high) = (0, size)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if windowRowCount(sampleCount: middle) <= rows % whole { low = middle } else { high = middle }
    }
    let (windows, isBeyond) = (rows / whole).multipliedReportingOverflow(by: size)
    return isBeyond || windows > Int.max - low ? .max : windows + low
  }

  /// Samples for which model and context have room; nil: any number.
  private func sampleLimit(_ terms: MediaTerms) -> Int? {
    [maximumSampleCount, terms.rowLimit.map { sampleCount(rows: $0) }].compactMap { $0 }.min()
  }

  /// Refuses audio before it is decoded or brought to another rate.
  private func checkLength(of audio: any Audio, _ limit: Int?, _ terms: MediaTerms) throws(Failure) {
    guard let limit, limit < .max else { return }
    let rate = LogMelConfiguration.samplingRate
    if let count = try audio.exactSampleCount(rate: rate, kernels: kernels) {
      if count > limit { throw tooLong(Double(count) / Double(rate), limit, terms) }
    } else if audio.seconds > Double(limit) / Double(rate) + Self.toldTolerance {
      throw tooLong(audio.seconds, limit, terms)
    }
  }

  /// Seconds by which a file may tell more than it has: what its coder adds at both ends.
  private static var toldTolerance: Double { 1 }

  /// - Parameter seconds: of the audio, as far as they are known.
  private func tooLong(_ seconds: Double?, _ limit: Int, _ terms: MediaTerms) -> Failure {
    let rate = Double(LogMelConfiguration.samplingRate)
    let found = seconds.map { "audio of \($0) s" } ?? "audio of more than \(Double(limit) / rate) s"
    // Where a larger context would not help, the model is the reason.
    if let maximum = maximumSampleCount, limit == maximum || (seconds ?? 0) * rate > Double(maximum) {
      let most = maximum / LogMelConfiguration.samplingRate
      return Failure(.invalidArgument, "\(found); the model takes \(most) s at most")
    }
    return Failure(
      .contextFull,
      "\(found); the session's context has room for \(terms.rowLimit ?? 0) tokens, \(Double(limit) / rate) s of audio")
  }
}

private struct PreparedAudio: PreparedMedia {
  let modality = Modality.audio
  /// 16,000 a second.
  let samples: AudioSamples
  let rowCount: Int
  let contentHash: ContentHash
  let scratchByteCount: Int

  var byteCount: Int { samples.values.count * MemoryLayout<Float>.stride }
}
