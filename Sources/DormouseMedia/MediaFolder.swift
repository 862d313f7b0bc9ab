public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// The towers of a model's folder, configuration and headers read and checked; no weights loaded.
public struct MediaFolder: Sendable {
  private let towers: [any TowerFolder]
  public let modalities: [Modality]
  /// Bytes of the towers' weights in the files' types, and of the float32 copies that loading will make.
  public let weightByteCount: Int
  public let floatByteCount: Int

  /// - Parameter checkpoint: the folder's files.
  /// - Returns: nil for a model of text alone.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init?(_ path: String, checkpoint: Checkpoint) throws(Failure) {
    towers = try Self.towers(path, checkpoint)
    guard !towers.isEmpty else { return nil }
    modalities = towers.flatMap(\.modalities)
    var (weights, floats) = (0, 0)
    for tower in towers {
      weights = try CheckedSize.sum(weights, tower.weightByteCount, of: "\(path): the towers' size")
      floats = try CheckedSize.sum(floats, tower.floatByteCount, of: "\(path): the towers' size")
    }
    weightByteCount = weights
    floatByteCount = floats
  }

  private static func towers(_ path: String, _ checkpoint: Checkpoint) throws(Failure) -> [any TowerFolder] {
    let file = "\(path)/config.json"
    let document = try File.readJSON(file)
    let fields = try JSONFields(document, file: file)
    var towers: [any TowerFolder] = []
    if try VisionConfiguration(json: document, file: file) != nil {
      towers.append(try VisionFolder(path, checkpoint: checkpoint))
    }
    if try WhisperTowerConfiguration.isKnown(fields) {
      towers.append(try WhisperTowerFolder(path, checkpoint: checkpoint))
    }
    if try DotsAudioConfiguration.isKnown(fields) {
      towers.append(try DotsAudioFolder(path, checkpoint: checkpoint))
    }
    return towers
  }

  /// Bytes of both.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func byteCount() throws(Failure) -> Int {
    try CheckedSize.sum(weightByteCount, floatByteCount, of: "the towers' size")
  }

  /// Loads the weights of all towers.
  /// - Parameter progress: bytes of weights loaded, of all towers'; `false` cancels.
  public func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress? = nil
  ) throws(Failure) -> any MediaEncoder {
    var parts = ProgressParts(progress, total: UInt64(clamping: weightByteCount))
    var loaded: [(modalities: [Modality], encoder: any MediaEncoder)] = []
    for tower in towers {
      let own = parts.next(UInt64(clamping: tower.weightByteCount))
      let encoder = try tower.load(residency: residency, pool: pool, kernels: kernels, progress: own)
      loaded.append((tower.modalities, encoder))
    }
    guard loaded.count == 1, let only = loaded.first else { return CompositeEncoder(loaded) }
    return only.encoder
  }
}
