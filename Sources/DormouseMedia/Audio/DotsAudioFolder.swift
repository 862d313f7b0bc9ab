import DormouseAudio
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
  /// Those of the tower alone.
  let tensors: CheckedTensors<DotsAudioWeights>
  let audioTokenName = "<|audio_comp_pad|>"

  /// - Parameter checkpoint: the folder's files where they are open already.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init(_ path: String, checkpoint: Checkpoint? = nil) throws(Failure) {
    let file = "\(path)/config.json"
    let fields = try JSONFields(File.readJSON(file), file: file)
    self.path = path
    configuration = try DotsAudioConfiguration(fields)
    features = try LogMelConfiguration.loadDots(folder: path)
    try configuration.require(features, fields)
    let checkpoint = if let checkpoint { checkpoint } else { try Checkpoint(folder: path) }
    tensors = try CheckedTensors(
      DotsAudioWeights.tensors(configuration, in: checkpoint), in: checkpoint, of: "the audio tower")
  }

  /// Rows of audio, and places of the audio token in its prompt.
  /// - Throws: `Failure(.invalidArgument)` for audio without samples.
  public func tokenCount(sampleCount: Int) throws(Failure) -> Int {
    try configuration.chunks(sampleCount: sampleCount, features: features).reduce(0) { $0 + $1.rows }
  }

  /// The memory that the tower and one audio input at a time will take, however long it is.
  public func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan {
    let rowCount = configuration.chunkRows(features)
    let layers = try DotsAudioLayers.Layout(configuration, rowCount: rowCount, threadCount: threadCount)
    let own = DotsAudioTower.threadScratchByteCount(configuration, rowCount: rowCount, kernels)
    let scratch = try CheckedSize.sum(
      layers.rows.layout.byteCount(), AudioFeatures.byteCount(features), of: "the memory plan")
    return try AudioModelPlan(tensors, scratchByteCount: scratch, ownByteCount: own, threadCount: threadCount)
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
