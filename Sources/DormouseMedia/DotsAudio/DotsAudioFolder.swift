public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// The audio tower of a dots3-note folder, configuration and headers read and checked against each other; no weights
/// loaded.
public struct DotsAudioFolder: Sendable {
  public let path: String
  public let configuration: DotsAudioConfiguration
  public let features: LogMelConfiguration
  /// Bytes of the weights as the files have them.
  public let weightByteCount: Int
  /// Bytes of the float32 copies of norms and biases that loading will make.
  public let floatByteCount: Int
  let checkpoint: Checkpoint
  /// The tensors of the tower alone.
  public let tensorNames: [String]

  /// - Parameter checkpoint: the folder's files where they are open already.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init(_ path: String, checkpoint: Checkpoint? = nil) throws(Failure) {
    let file = "\(path)/config.json"
    let fields = try JSONFields(File.readJSON(file), file: file)
    self.path = path
    configuration = try DotsAudioConfiguration(fields)
    features = try LogMelConfiguration.loadDots(folder: path)
    try configuration.require(features, fields)
    if let checkpoint { self.checkpoint = checkpoint } else { self.checkpoint = try Checkpoint(folder: path) }
    var source = TensorSource(self.checkpoint, store: nil, panels: nil, nil)
    _ = try DotsAudioWeights(&source, configuration)
    tensorNames = source.loadedNames
    weightByteCount = try source.loadedByteCount(of: "\(path): the audio tower's size")
    floatByteCount = source.floatByteCount
  }

  /// Rows of a sound, and places of the audio token in its prompt.
  /// - Throws: `Failure(.invalidArgument)` for a sound without samples.
  public func tokenCount(sampleCount: Int) throws(Failure) -> Int {
    try configuration.chunks(sampleCount: sampleCount, features: features).reduce(0) { $0 + $1.rows }
  }

  /// The memory that the tower and one sound at a time will take, however long the sound is.
  public func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan {
    let rowCount = configuration.chunkRows(features)
    let layers = try DotsAudioLayers.Layout(configuration, rowCount: rowCount, threadCount: threadCount)
    let own = DotsAudioTower.threadScratchByteCount(configuration, rowCount: rowCount, kernels)
    let threads = try CheckedSize.product(threadCount, own, of: "the threads' scratch memory")
    let scratch = try CheckedSize.sum(
      layers.rows.layout.byteCount(), VoiceFeatures.byteCount(features), of: "the memory plan")
    _ = try CheckedSize.sum(weightByteCount, floatByteCount, scratch, threads, of: "the memory plan")
    return AudioModelPlan(
      weightByteCount: weightByteCount, floatByteCount: floatByteCount, cacheByteCount: 0, scratchByteCount: scratch,
      threadScratchByteCount: threads)
  }
}

extension DotsAudioConfiguration {
  /// Rows of a chunk, at most: of a minute they are 750.
  private static let mostChunkRows = 1 << 16

  /// Checks that the features are those the tower takes.
  fileprivate func require(_ features: LogMelConfiguration, _ fields: JSONFields) throws(Failure) {
    let rows = chunkRows(features)
    guard rows <= Self.mostChunkRows else {
      throw Failure(
        .unsupported,
        "\(fields.file): a chunk of \(features.chunkLength) s has \(rows) rows of \(samplesPerRow) samples; at most"
          + " \(Self.mostChunkRows) are supported")
    }
    guard let audio = try fields.fields("audio_config") else { return }
    for (key, own, found) in [
      ("feature_size", melBinCount, features.featureSize), ("hop_length", hopLength, features.hopLength),
    ] where own != found {
      throw audio.wrong(key, .integer(Int64(own)), expected: "\(found), as the feature extractor's")
    }
  }
}
