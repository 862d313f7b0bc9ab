import DormouseAudio
import DormouseKernels
import DormouseLayers
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
  var weightByteCount: Int { tensors.weightByteCount }
  var floatByteCount: Int { tensors.floatByteCount }

  var modalities: [Modality] { configuration.seesVideo ? [.image, .video] : [.image] }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try VisionEncoder(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

/// The same for a tower that makes rows of audio.
protocol AudioTowerFolder: TowerFolder {
  /// The token whose place the rows take, as prompts write it.
  var audioTokenName: String { get }

  /// The memory that the tower and one audio input at a time will take, however long it is.
  func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan

  func loadTower(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any AudioTower
}

extension AudioTowerFolder {
  var modalities: [Modality] { [.audio] }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try AudioMediaEncoder(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension WhisperTowerFolder: AudioTowerFolder {
  var weightByteCount: Int { tensors.weightByteCount }
  var floatByteCount: Int { tensors.floatByteCount }

  func loadTower(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any AudioTower {
    try WhisperTower(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension DotsAudioFolder: AudioTowerFolder {
  var weightByteCount: Int { tensors.weightByteCount }
  var floatByteCount: Int { tensors.floatByteCount }

  func loadTower(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any AudioTower {
    try DotsAudioTower(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}
