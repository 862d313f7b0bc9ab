import DormouseKernels
import DormouseSupport
import DormouseWeights

/// A tower of a model's folder, configuration and headers read and checked; no weights loaded.
protocol TowerFolder: Sendable {
  /// What it answers for; no two towers of a model have one in common.
  var modalities: [Modality] { get }
  var tensors: CheckedTensors { get }

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

/// The same for a tower that makes rows of sounds.
protocol SoundTowerFolder: TowerFolder {
  /// The token whose place the rows take, as prompts write it.
  var audioTokenName: String { get }

  /// The memory that the tower and one sound at a time will take, however long the sound is.
  func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan

  func loadTower(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any SoundTower
}

extension SoundTowerFolder {
  var modalities: [Modality] { [.audio] }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try VoiceEncoder(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension VoiceTowerFolder: SoundTowerFolder {
  func loadTower(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any SoundTower {
    try VoiceTower(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension DotsAudioFolder: SoundTowerFolder {
  func loadTower(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any SoundTower {
    try DotsAudioTower(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}
