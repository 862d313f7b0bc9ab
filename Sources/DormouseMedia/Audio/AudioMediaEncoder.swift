import DormouseAudio
import DormouseKernels
import DormouseSupport
import DormouseWeights

/// How models hear: a tower, and the prompts of their published processors.
final class AudioMediaEncoder: MediaEncoder {
  private let tower: any AudioTower
  /// The token that stands for a row, also where a template has audio.
  private let padding: String
  private let scratchByteCount: Int

  /// Loads the tower of a folder that was checked.
  init(
    _ folder: some AudioTowerFolder, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels,
    progress: Progress?
  ) throws(Failure) {
    padding = folder.audioTokenName
    scratchByteCount = try folder.plan(threadCount: pool.threadCount, kernels: kernels).scratchByteCount
    tower = try folder.loadTower(residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  func placeholder(of modality: Modality) -> String? { modality == .audio ? padding : nil }

  func paddingTokens(of modality: Modality) -> [String] { [padding] }

  func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia {
    guard case .audio(let audio) = item else {
      throw Failure(.unsupported, "this model takes no parts of type \(item.modality.rawValue)")
    }
    let limit = sampleLimit(terms)
    try checkLength(of: audio, limit, terms)
    let samples = try audio.samples(
      rate: LogMelConfiguration.samplingRate, kernels: tower.kernels, limit: limit, terms)
    if let limit, samples.values.count > limit { throw tooLong(nil, limit, terms) }
    try terms.limits.checkOutput(samples.values.count * MemoryLayout<Float>.stride)
    let rowCount = try tower.tokenCount(sampleCount: samples.values.count)
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
    return try tower.begin(audio.samples.values, into: rows, interruption)
  }

  // MARK: - Length

  /// Samples for which model and context have room; nil: any number.
  private func sampleLimit(_ terms: MediaTerms) -> Int? {
    [tower.maximumSampleCount, terms.rowLimit.map { tower.sampleCount(rows: $0) }].compactMap { $0 }.min()
  }

  /// Refuses audio before it is decoded or brought to another rate.
  private func checkLength(of audio: any Audio, _ limit: Int?, _ terms: MediaTerms) throws(Failure) {
    guard let limit, limit < .max else { return }
    let rate = LogMelConfiguration.samplingRate
    if let count = try audio.exactSampleCount(rate: rate, kernels: tower.kernels) {
      if count > limit { throw tooLong(Double(count) / Double(rate), limit, terms) }
    } else if audio.seconds > Double(limit) / Double(rate) + Self.toldTolerance {
      throw tooLong(audio.seconds, limit, terms)
    }
  }

  /// Seconds by which a file may tell more than it has: what its coder adds at both ends.
  private static let toldTolerance = 1.0

  /// - Parameter seconds: of the audio, as far as they are known.
  private func tooLong(_ seconds: Double?, _ limit: Int, _ terms: MediaTerms) -> Failure {
    let rate = Double(LogMelConfiguration.samplingRate)
    let found = seconds.map { "audio of \($0) s" } ?? "audio of more than \(Double(limit) / rate) s"
    // Where a larger context would not help, the model is the reason.
    if let maximum = tower.maximumSampleCount, limit == maximum || (seconds ?? 0) * rate > Double(maximum) {
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
