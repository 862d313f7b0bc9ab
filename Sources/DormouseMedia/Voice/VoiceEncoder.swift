import DormouseKernels
import DormouseSupport
import DormouseWeights

/// How models hear: a tower, and the prompts of their published processors.
final class VoiceEncoder: MediaEncoder {
  private let tower: any SoundTower
  /// The token that stands for a row, also where a template has a sound.
  private let padding: String
  private let scratchByteCount: Int

  /// Loads the tower of a folder that was checked.
  init(
    _ folder: some SoundTowerFolder, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels,
    progress: Progress?
  ) throws(Failure) {
    padding = folder.audioTokenName
    scratchByteCount = try folder.plan(threadCount: pool.threadCount, kernels: kernels).scratchByteCount
    tower = try folder.loadTower(residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  func placeholder(of modality: Modality) -> String? { modality == .audio ? padding : nil }

  func paddingTokens(of modality: Modality) -> [String] { [padding] }

  func prepare(_ item: MediaItem) throws(Failure) -> any PreparedMedia {
    guard case .audio(let sound) = item else {
      throw Failure(.unsupported, "this model takes no parts of type \(item.modality.rawValue)")
    }
    let samples = try sound.samples(rate: LogMelConfiguration.samplingRate, kernels: tower.kernels)
    let rowCount = try tower.tokenCount(sampleCount: samples.count)
    try Waveform.requireFinite(samples)
    var hash = BLAKE2b()
    samples.withUnsafeBytes { hash.update($0) }
    return PreparedSound(
      samples: samples, rowCount: rowCount, contentHash: ContentHash(hash.finish()), scratchByteCount: scratchByteCount)
  }

  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) -> any EncodingRun {
    guard let sound = prepared as? PreparedSound else {
      throw Failure(.internalError, "a tower for sounds was given something else")
    }
    return try tower.begin(sound.samples, into: rows)
  }
}

private struct PreparedSound: PreparedMedia {
  let modality = Modality.audio
  /// 16,000 a second.
  let samples: [Float]
  let rowCount: Int
  let contentHash: ContentHash
  let scratchByteCount: Int

  var byteCount: Int { samples.count * MemoryLayout<Float>.stride }

  /// Templates write what stands around it.
  func replacement(padding: String) -> String { String(repeating: padding, count: rowCount) }
}
