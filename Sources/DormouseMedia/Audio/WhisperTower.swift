import DormouseAudio
public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

struct WhisperTowerWeights: Sendable {
  let encoder: AudioEncoderWeights
  /// [text hidden, projector inputs], [text hidden, text hidden].
  let projector: (first: Linear, second: Linear)

  static func tensors(_ c: WhisperTowerConfiguration, in checkpoint: Checkpoint) -> TensorGroup<WhisperTowerWeights> {
    // The class with a head has one more level of names than the files that are published.
    let root = checkpoint.has("model.audio_tower.conv1.weight") ? "model." : ""
    // In a model that sees, the usual name is its vision tower's projector.
    let projector = root + (c.isBesideVision ? "audio_projector." : "multi_modal_projector.")
    let text = c.textHiddenSize
    return TensorGroup(
      AudioTensors(hiddenSize: c.encoder.hiddenSize).encoder(c.encoder, prefix: "\(root)audio_tower."),
      .linear("\(projector)linear_1", shape: [text, c.projectorInputs], hasBias: c.hasProjectorBias),
      .linear("\(projector)linear_2", shape: [text, text], hasBias: c.hasProjectorBias)
    ) { WhisperTowerWeights(encoder: $0, projector: ($1, $2)) }
  }
}

/// A loaded audio tower: audio -> rows that stand in a prompt in place of embeddings. Immutable: any number of threads
/// may encode at once, and take turns on the pool.
public final class WhisperTower: AudioTower {
  public let configuration: WhisperTowerConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  let folder: WhisperTowerFolder
  let weights: WhisperTowerWeights
  let spectrogram: LogMelSpectrogram
  private let memory: TensorMemory

  /// Opens the tower of a folder as published on a model hub; the text model's weights are left alone.
  /// - Throws: `Failure` naming file, and field or tensor.
  public convenience init(
    folder: String, residency: Checkpoint.Residency = .mapped, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    try self.init(WhisperTowerFolder(folder), residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  /// Loads a folder that was checked.
  public init(
    _ folder: WhisperTowerFolder, residency: Checkpoint.Residency = .mapped, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    self.folder = folder
    configuration = folder.configuration
    self.pool = pool
    self.kernels = kernels
    spectrogram = try LogMelSpectrogram(folder.features)
    (weights, memory) = try folder.tensors.load(residency: residency, pool: pool, progress: progress)
  }

  /// Rows of audio, and places of the audio token in its prompt.
  /// - Throws: `Failure(.invalidArgument)` for audio that is too short or too long.
  public func tokenCount(sampleCount: Int) throws(Failure) -> Int { try folder.tokenCount(sampleCount: sampleCount) }

  var windowSampleCount: Int { folder.features.chunkSampleCount }

  func windowRowCount(sampleCount: Int) -> Int {
    configuration.windowPositions(sampleCount: sampleCount, features: folder.features) / configuration.positionsPerRow
  }

  var maximumSampleCount: Int? { folder.maximumSeconds.map { $0 * LogMelConfiguration.samplingRate } }

  /// - Parameters:
  ///   - samples: mono, 16,000 a second, of finite numbers; at least one.
  ///   - rows: [tokenCount(sampleCount: samples.count), text hidden size].
  ///   - interruption: asked once a layer of every window.
  ///   - onProgress: seconds of the audio that are done, and all.
  /// - Throws: `Failure(.invalidArgument)` for samples that make no sense or a buffer too small,
  ///   `.outOfMemory`, and what `interruption` says.
  public func encode(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption = .never,
    onProgress: (_ done: Double, _ all: Double) -> Void = { _, _ in }
  ) throws(Failure) {
    try Waveform.requireFinite(samples)
    var run = try WhisperTowerRun(self, samples, into: rows)
    let seconds = Double(samples.count) / Double(LogMelConfiguration.samplingRate)
    while try run.prepareNext() {
      onProgress(run.seconds, seconds)
      repeat {
        try interruption.check()
      } while try !run.advance()
    }
    onProgress(seconds, seconds)
  }

  func begin(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption = .never
  ) throws(Failure) -> any EncodingRun {
    try WhisperTowerRun(self, samples, into: rows, interruption)
  }

  /// Bytes that a thread keeps for the kernels.
  static func threadScratchByteCount(_ c: WhisperTowerConfiguration, _ kernels: Kernels) -> Int {
    max(
      AudioEncoder.threadScratchByteCount(c.encoder, kernels),
      kernels.scratchByteCount(columns: max(c.projectorInputs, c.textHiddenSize), count: c.encoder.sourcePositions))
  }
}
