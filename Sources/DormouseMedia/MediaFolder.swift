public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// The towers of a model's folder, configuration and headers read and checked; no weights loaded.
public struct MediaFolder: Sendable {
  private enum Kind: Sendable {
    case vision(VisionFolder)
    case voice(VoiceTowerFolder)
  }

  private let kind: Kind
  public let modalities: [Modality]
  /// Bytes of the towers' weights in the files' types, and of the float32 copies that loading will make.
  public let weightByteCount: Int
  public let floatByteCount: Int

  /// - Parameter checkpoint: the folder's files.
  /// - Returns: nil for a model of text alone.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init?(_ path: String, checkpoint: Checkpoint) throws(Failure) {
    if try VoiceTowerConfiguration.isKnown(folder: path) {
      let voice = try VoiceTowerFolder(path, checkpoint: checkpoint)
      kind = .voice(voice)
      modalities = [.audio]
      weightByteCount = voice.weightByteCount
      floatByteCount = voice.floatByteCount
      return
    }
    guard try VisionConfiguration.load(folder: path) != nil else { return nil }
    let vision = try VisionFolder(path, checkpoint: checkpoint)
    kind = .vision(vision)
    modalities = vision.configuration.seesFilms ? [.image, .video] : [.image]
    weightByteCount = vision.weightByteCount
    floatByteCount = vision.floatByteCount
  }

  /// Bytes of both.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func byteCount() throws(Failure) -> Int {
    try CheckedSize.sum(weightByteCount, floatByteCount, of: "the towers' size")
  }

  /// Loads the weights.
  /// - Parameter progress: bytes of weights loaded; `false` cancels.
  public func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress? = nil
  ) throws(Failure) -> any MediaEncoder {
    switch kind {
    case .vision(let folder):
      try VisionEncoder(folder, residency: residency, pool: pool, kernels: kernels, progress: progress)
    case .voice(let folder):
      try VoiceEncoder(folder, residency: residency, pool: pool, kernels: kernels, progress: progress)
    }
  }
}
