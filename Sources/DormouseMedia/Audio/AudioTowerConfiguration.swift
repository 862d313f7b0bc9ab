import DormouseAudio
import DormouseKernels
import DormouseSupport
import DormouseWeights

/// How a tower that makes rows of audio is made.
protocol AudioTowerConfiguration: TowerConfiguration where Processor == AudioProcessor {
  /// The width of the rows that come out.
  var textHiddenSize: Int { get }

  /// Whether a window's features depend on the whole audio.
  var hearsWhole: Bool { get }

  /// - Parameter sampleCount: samples of a window, at most those of the feature extractor's chunk.
  /// - Returns: what counts of the network's input, and rows that are made of it: 0 for too few samples.
  func window(sampleCount: Int, _ features: LogMelConfiguration) -> (inputCount: Int, rows: Int)

  /// Bytes that the network works in, whatever the audio's length.
  func networkByteCount(_ features: LogMelConfiguration, threadCount: Int) throws(Failure) -> Int

  /// Bytes that a thread keeps for the kernels.
  func threadScratchByteCount(_ features: LogMelConfiguration, _ kernels: Kernels) -> Int

  /// - Throws: `Failure(.outOfMemory)`.
  static func network(_ tower: AudioTower<Self>) throws(Failure) -> any AudioNetwork
}

/// What the processors' files say of audio.
struct AudioProcessor: Sendable {
  let features: LogMelConfiguration
  /// Seconds of audio at most; longer ones are refused.
  let maximumSeconds: Int?
  /// The token whose place the rows take, as prompts write it.
  let audioToken: String
}

/// A piece of audio that a tower takes at a time.
struct AudioWindow: Equatable {
  /// Of the audio's samples.
  let samples: Range<Int>
  /// What counts of the network's input: frames of features, or positions that are made of them.
  let inputCount: Int
  let rows: Int
}

extension AudioTowerConfiguration {
  static var towerName: String { "audio tower" }
  var modalities: [Modality] { [.audio] }

  static func load(
    _ folder: TowerFolder<Self>, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels,
    progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try AudioTower(folder, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  /// Audio in windows of the feature extractor's length.
  /// - Throws: `Failure(.invalidArgument)` for audio without samples, or too short for a row.
  func windows(sampleCount: Int, features: LogMelConfiguration) throws(Failure) -> [AudioWindow] {
    guard sampleCount > 0 else { throw Failure(.invalidArgument, "audio without samples") }
    let size = features.chunkSampleCount
    let windows = stride(from: 0, to: sampleCount, by: size).map { start in
      let count = min(size, sampleCount - start)
      let (inputCount, rows) = window(sampleCount: count, features)
      return AudioWindow(samples: start..<start + count, inputCount: inputCount, rows: rows)
    }
    guard windows.contains(where: { $0.rows > 0 }) else {
      throw Failure(.invalidArgument, "audio of \(sampleCount) samples is too short for the model to hear")
    }
    return windows
  }
}

extension TowerFolder where Configuration: AudioTowerConfiguration {
  /// - Throws: `Failure(.invalidArgument)` for audio without samples, too short for a row, or too long.
  func windows(sampleCount: Int) throws(Failure) -> [AudioWindow] {
    if let most = processor.maximumSeconds, sampleCount > most * LogMelConfiguration.samplingRate {
      let seconds = Double(sampleCount) / Double(LogMelConfiguration.samplingRate)
      throw Failure(.invalidArgument, "audio of \(seconds) s; the model takes \(most) s at most")
    }
    return try configuration.windows(sampleCount: sampleCount, features: processor.features)
  }

  /// How many rows audio becomes, and so how many places of the audio token stand for it in a prompt.
  /// - Throws: as `windows`.
  func tokenCount(sampleCount: Int) throws(Failure) -> Int {
    try windows(sampleCount: sampleCount).reduce(0) { $0 + $1.rows }
  }

  /// The memory that the tower and one audio input at a time will take, however long it is.
  func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan {
    let features = processor.features
    let scratch = try CheckedSize.sum(
      configuration.networkByteCount(features, threadCount: threadCount), AudioFeatures.byteCount(features),
      of: "the memory plan")
    return try AudioModelPlan(
      tensors, scratchByteCount: scratch, ownByteCount: configuration.threadScratchByteCount(features, kernels),
      threadCount: threadCount)
  }
}
