import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

typealias WhisperTowerFolder = TowerFolder<WhisperTowerConfiguration>

/// The dimensions of an audio tower: a Whisper encoder and a projector that makes rows of a text model's embedding of
/// what it hears. The text model may be any.
struct WhisperTowerConfiguration: Sendable, Equatable {
  let architecture: Architecture
  /// Whether the tower is one of several: the model is of a type that sees, and has an audio_config as well.
  let isBesideVision: Bool
  let encoder: AudioEncoderConfiguration
  /// text_config.hidden_size.
  let textHiddenSize: Int
  /// The token whose place the rows take in a prompt; nil where the file does not say.
  let audioToken: Int32?
  let projection: Projection

  /// How the encoder's positions become rows.
  struct Projection: Sendable, Equatable {
    /// Neighbouring positions that become one row.
    let positionsPerRow: Int
    /// Whether a row is made of the mean of its two positions, taken before the encoder's last norm; else they stand side
    /// by side.
    let averages: Bool
    let hasBias: Bool
    /// Whether features are those of the whole audio with the silence that it is filled up with, and all of it counts.
    let hearsSilence: Bool
  }

  init(_ fields: JSONFields) throws(Failure) {
    let own = try Architecture.own(fields)
    guard let audio = try fields.fields("audio_config"), let text = try fields.fields("text_config") else {
      throw Failure(.malformed, "\(fields.file): audio_config or text_config is missing; expected two objects")
    }
    isBesideVision = own == nil
    architecture = if let own { own } else { try Architecture.ofEncoder(audio) }
    encoder = try AudioEncoderConfiguration(audio, audio.has("hidden_size") ? .tower : .whisper)
    textHiddenSize = try text.integer("hidden_size", 1...65536)
    audioToken = try fields.optionalInteger("audio_token_id", 0...Int(Int32.max)).map { Int32($0) }
    let activation = try fields.optionalString("projector_hidden_act") ?? "gelu"
    guard activation == "gelu" else {
      throw fields.unsupported("projector_hidden_act", .string(activation), supported: "gelu")
    }
    projection = try architecture.family.projection(fields, audio, encoder)
  }

  /// Columns of the projector's input.
  private var projectorInputs: Int {
    projection.averages ? encoder.hiddenSize : projection.positionsPerRow * encoder.hiddenSize
  }

  /// Bytes of a projector's results between its two maps, for a window.
  func projectorByteCount() throws(Failure) -> Int {
    try CheckedSize.product(
      encoder.sourcePositions / projection.positionsPerRow, textHiddenSize, 4, of: "a projector's scratch memory")
  }
}

extension WhisperTowerConfiguration: AudioTowerConfiguration {
  var hearsWhole: Bool { projection.hearsSilence }

  func processor(folder: String, _ fields: JSONFields) throws(Failure) -> AudioProcessor {
    let features = try LogMelConfiguration.load(folder: folder)
    try fields.fields("audio_config")?.require(features, of: encoder)
    let family = architecture.family
    guard isBesideVision || family.hasProcessorFile else {
      return AudioProcessor(
        features: features, maximumSeconds: family.maximumSeconds, audioToken: family.audioToken)
    }
    let name = "processor_config.json"
    let none = try JSONFields(.object(JSONObject()), file: "\(folder)/\(name)")
    let file = try ProcessorFiles.document(name, folder: folder) ?? none
    let seconds = try file.optionalInteger("max_audio_len", 1...86400) ?? family.maximumSeconds
    // No published processor takes images and audio: where a model does, the file has to name the token.
    let token =
      isBesideVision ? try file.string("audio_token") : try file.optionalString("audio_token") ?? family.audioToken
    return AudioProcessor(features: features, maximumSeconds: seconds, audioToken: token)
  }

  func tensors(in checkpoint: Checkpoint) -> TensorGroup<WhisperTowerWeights> {
    // The class with a head has one more level of names than the files that are published.
    let root = checkpoint.has("model.audio_tower.conv1.weight") ? "model." : ""
    // In a model that sees, the usual name is its vision tower's projector.
    let projector = root + (isBesideVision ? "audio_projector." : "multi_modal_projector.")
    let (text, hasBias) = (textHiddenSize, projection.hasBias)
    return TensorGroup(
      AudioTensors(hiddenSize: encoder.hiddenSize).encoder(encoder, prefix: "\(root)audio_tower."),
      .linear("\(projector)linear_1", shape: [text, projectorInputs], hasBias: hasBias),
      .linear("\(projector)linear_2", shape: [text, text], hasBias: hasBias)
    ) { WhisperTowerWeights(encoder: $0, projector: ($1, $2)) }
  }

  /// A window counts in full, with the silence it is filled up with, or as far as its samples begin frames.
  func window(sampleCount: Int, _ features: LogMelConfiguration) -> (inputCount: Int, rows: Int) {
    let frames = CheckedSize.ceilingQuotient(sampleCount, features.hopLength)
    let begun = CheckedSize.ceilingQuotient(frames, AudioEncoderConfiguration.framesPerPosition)
    let positions = projection.hearsSilence && sampleCount > 0 ? encoder.sourcePositions : begun
    return (positions, positions / projection.positionsPerRow)
  }

  func networkByteCount(_ features: LogMelConfiguration, threadCount: Int) throws(Failure) -> Int {
    let encoder = try AudioEncoder.Layout(self.encoder, threadCount: threadCount)
    return try CheckedSize.sum(encoder.rows.layout.byteCount(), projectorByteCount(), of: "the memory plan")
  }

  func threadScratchByteCount(_ features: LogMelConfiguration, _ kernels: Kernels) -> Int {
    max(
      AudioEncoder.threadScratchByteCount(encoder, kernels),
      kernels.scratchByteCount(columns: max(projectorInputs, textHiddenSize), count: encoder.sourcePositions))
  }

  static func network(_ tower: WhisperTower) throws(Failure) -> any AudioNetwork { try WhisperTowerNetwork(tower) }
}
