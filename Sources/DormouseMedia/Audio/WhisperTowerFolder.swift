import DormouseAudio
public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// A folder's audio tower, its configuration and headers read and checked against each other; no weights loaded.
public struct WhisperTowerFolder: Sendable {
  public let path: String
  public let configuration: WhisperTowerConfiguration
  public let features: LogMelConfiguration
  /// Seconds of audio at most, from `processor_config.json`; longer ones are refused.
  public let maximumSeconds: Int?
  /// The token whose place the rows take, as prompts write it.
  public let audioTokenName: String
  /// Those of the tower alone.
  let tensors: CheckedTensors<WhisperTowerWeights>

  /// - Parameter checkpoint: the folder's files where they are open already.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init(_ path: String, checkpoint: Checkpoint? = nil) throws(Failure) {
    let file = "\(path)/config.json"
    let fields = try JSONFields(File.readJSON(file), file: file)
    self.path = path
    configuration = try WhisperTowerConfiguration(fields)
    features = try LogMelConfiguration.load(folder: path)
    guard let audio = try fields.fields("audio_config") else {
      throw Failure(.internalError, "\(file): audio_config is gone")
    }
    try audio.require(features, of: configuration.encoder)
    (maximumSeconds, audioTokenName) = try Self.processor(path, configuration)
    let checkpoint = if let checkpoint { checkpoint } else { try Checkpoint(folder: path) }
    tensors = try CheckedTensors(
      WhisperTowerWeights.tensors(configuration, in: checkpoint), in: checkpoint, of: "the audio tower")
  }

  /// What the processor makes of audio: seconds at most, and the token. `AudioFlamingo3Processor` cuts longer audio
  /// off, and says so where nobody may look; Voxtral's takes its token from mistral_common. No published processor takes
  /// images and audio: where a model does, the file has to name the token.
  private static func processor(
    _ path: String, _ configuration: WhisperTowerConfiguration
  ) throws(Failure) -> (Int?, String) {
    let name = "processor_config.json"
    let isVoxtral = configuration.architecture == .voxtral
    if isVoxtral, !configuration.isBesideVision { return (nil, "[AUDIO]") }
    let fields =
      if let found = try ProcessorFiles.document(name, folder: path) { found } else {
        try JSONFields(.object(JSONObject()), file: "\(path)/\(name)")
      }
    let seconds = try fields.optionalInteger("max_audio_len", 1...86400) ?? (isVoxtral ? nil : 600)
    if configuration.isBesideVision { return (seconds, try fields.string("audio_token")) }
    return (seconds, try fields.optionalString("audio_token") ?? "<sound>")
  }

  /// Rows of audio; see `WhisperTowerConfiguration.tokenCount`.
  /// - Throws: `Failure(.invalidArgument)` also for audio that is too long.
  public func tokenCount(sampleCount: Int) throws(Failure) -> Int {
    if let maximumSeconds, sampleCount > maximumSeconds * LogMelConfiguration.samplingRate {
      throw Failure(
        .invalidArgument,
        "audio of \(Double(sampleCount) / Double(LogMelConfiguration.samplingRate)) s; the model takes"
          + " \(maximumSeconds) s at most")
    }
    return try configuration.tokenCount(sampleCount: sampleCount, features: features)
  }

  /// The memory that the tower and one audio input at a time will take, however long it is.
  public func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan {
    let c = configuration
    let encoder = try AudioEncoder.Layout(c.encoder, threadCount: threadCount)
    let features = try CheckedSize.product(
      c.encoder.windowFrameCount, c.encoder.melBinCount, 4, of: "a window's features")
    let projector = try c.projectorByteCount()
    let own = WhisperTower.threadScratchByteCount(c, kernels)
    let scratch = try CheckedSize.sum(encoder.rows.layout.byteCount(), features, projector, of: "the memory plan")
    return try AudioModelPlan(tensors, scratchByteCount: scratch, ownByteCount: own, threadCount: threadCount)
  }
}
