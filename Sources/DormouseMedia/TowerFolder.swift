import DormouseKernels
import DormouseSupport
import DormouseWeights

/// A tower of a model's folder, configuration and headers read and checked; no weights loaded.
protocol TowerFolder: Sendable {
  /// What it answers for; no two towers of a model have one in common.
  var modalities: [Modality] { get }
  /// Bytes of its weights in the files' types, and of the float32 copies that loading will make.
  var weightByteCount: Int { get }
  var floatByteCount: Int { get }

  /// Loads the weights.
  /// - Parameter progress: bytes of this tower's weights loaded; `false` cancels.
  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder
}

extension VisionFolder: TowerFolder {
  var modalities: [Modality] { configuration.seesFilms ? [.image, .video] : [.image] }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try VisionEncoder(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension VoiceTowerFolder: TowerFolder {
  var modalities: [Modality] { [.audio] }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try VoiceEncoder(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension DotsAudioFolder: TowerFolder {
  var modalities: [Modality] { [.audio] }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try VoiceEncoder(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

/// The towers of a model that has several, each of which answers for its modalities.
struct CompositeEncoder: MediaEncoder {
  private let encoders: [Modality: any MediaEncoder]

  /// - Parameter towers: each with the modalities that it answers for.
  init(_ towers: [(modalities: [Modality], encoder: any MediaEncoder)]) {
    encoders = towers.reduce(into: [:]) { encoders, tower in
      for modality in tower.modalities { encoders[modality] = tower.encoder }
    }
  }

  func placeholder(of modality: Modality) -> String? { encoders[modality]?.placeholder(of: modality) }

  func paddingTokens(of modality: Modality) -> [String] { encoders[modality]?.paddingTokens(of: modality) ?? [] }

  func prepare(_ item: MediaItem) throws(Failure) -> any PreparedMedia { try encoder(item.modality).prepare(item) }

  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) -> any EncodingRun {
    try encoder(prepared.modality).begin(prepared, into: rows)
  }

  private func encoder(_ modality: Modality) throws(Failure) -> any MediaEncoder {
    guard let encoder = encoders[modality] else {
      throw Failure(.unsupported, "this model takes no parts of type \(modality.rawValue)")
    }
    return encoder
  }
}
