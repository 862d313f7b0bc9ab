import DormouseAudio
public import DormouseSupport

/// The dimensions of an audio tower: a Whisper encoder and a projector that makes rows of a text model's embedding of
/// what it hears (`VoxtralConfig`, `AudioFlamingo3Config` of transformers 5.23). The text model may be any.
public struct WhisperTowerConfiguration: Sendable, Equatable {
  public enum Architecture: String, Sendable, CaseIterable {
    /// Neighbouring rows side by side, then two linear maps.
    case voxtral
    /// The mean of two neighbouring rows, then two linear maps; what is behind the audio's end is not attended to.
    case audioFlamingo3 = "audioflamingo3"

    /// audio_config.model_type, which tells the kind of tower where the whole is a model of another type.
    var encoderType: String { "\(rawValue)_encoder" }
  }

  public let architecture: Architecture
  /// Whether the tower is one of several: the model is of a type that sees, and has an audio_config as well.
  public let isBesideVision: Bool
  public let encoder: AudioEncoderConfiguration
  /// text_config.hidden_size: the width of the rows that come out.
  public let textHiddenSize: Int
  /// The token whose place the rows take in a prompt; nil where the file does not say.
  public let audioToken: Int32?
  /// projector_bias.
  public let hasProjectorBias: Bool
  /// Positions of the encoder that become one row.
  public let positionsPerRow: Int

  /// Columns of the projector's input.
  var projectorInputs: Int { architecture == .voxtral ? encoder.intermediateSize : encoder.hiddenSize }

  /// - Parameter fields: `config.json`.
  /// - Throws: `Failure` naming file, field and value; `.unsupported` for a model without a tower of this kind.
  public init(_ fields: JSONFields) throws(Failure) {
    let own = try Self.ownArchitecture(fields)
    guard let audio = try fields.fields("audio_config"), let text = try fields.fields("text_config") else {
      throw Failure(.malformed, "\(fields.file): audio_config or text_config is missing; expected two objects")
    }
    isBesideVision = own == nil
    architecture = if let own { own } else { try Self.architecture(ofEncoder: audio) }
    encoder = try AudioEncoderConfiguration(audio, audio.has("hidden_size") ? .tower : .whisper)
    textHiddenSize = try text.integer("hidden_size", 1...65536)
    audioToken = try fields.optionalInteger("audio_token_id", 0...Int(Int32.max)).map { Int32($0) }
    let activation = try fields.optionalString("projector_hidden_act") ?? "gelu"
    guard activation == "gelu" else {
      throw fields.unsupported("projector_hidden_act", .string(activation), supported: "gelu")
    }
    switch architecture {
    case .voxtral:
      hasProjectorBias = false
      positionsPerRow = try Self.grouping(audio, encoder)
    case .audioFlamingo3:
      hasProjectorBias = try fields.optionalBoolean("projector_bias") ?? true
      positionsPerRow = 2
    }
  }

  /// The model's type; nil for one that sees, whose audio_config tells.
  private static func ownArchitecture(_ fields: JSONFields) throws(Failure) -> Architecture? {
    let type = try fields.string("model_type")
    if let own = Architecture(rawValue: type) { return own }
    guard VisionConfiguration.Architecture(rawValue: type) == nil else { return nil }
    let known = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
    throw fields.unsupported("model_type", .string(type), supported: known)
  }

  private static func architecture(ofEncoder audio: JSONFields) throws(Failure) -> Architecture {
    let type = try audio.string("model_type")
    guard let found = Architecture.allCases.first(where: { $0.encoderType == type }) else {
      let known = Architecture.allCases.map(\.encoderType).joined(separator: ", ")
      throw audio.unsupported("model_type", .string(type), supported: known)
    }
    return found
  }

  /// Voxtral's rows are as wide as the encoder's feed-forward layers: so many positions make one.
  private static func grouping(_ audio: JSONFields, _ encoder: AudioEncoderConfiguration) throws(Failure) -> Int {
    let count = encoder.intermediateSize / encoder.hiddenSize
    guard count >= 1, encoder.intermediateSize % encoder.hiddenSize == 0, encoder.sourcePositions % count == 0 else {
      throw audio.wrong(
        "intermediate_size", .integer(Int64(encoder.intermediateSize)),
        expected: "a multiple of hidden_size, \(encoder.hiddenSize), that divides the"
          + " \(encoder.sourcePositions) positions evenly")
    }
    return count
  }
}

extension WhisperTowerConfiguration {
  /// Whether a model of this `config.json` has such a tower: it is of a type that hears, or of one that sees and has an
  /// `audio_config`.
  static func isKnown(_ fields: JSONFields) throws(Failure) -> Bool {
    guard let type = try fields.optionalString("model_type") else { return false }
    if Architecture(rawValue: type) != nil { return true }
    // dots3-note's audio_config is of another kind.
    guard let vision = VisionConfiguration.Architecture(rawValue: type), vision != .dots3Note else { return false }
    return fields.value("audio_config") != nil
  }

  /// Bytes of a projector's results between its two maps, for a window.
  func projectorByteCount() throws(Failure) -> Int {
    try CheckedSize.product(
      encoder.sourcePositions / positionsPerRow, textHiddenSize, 4, of: "a projector's scratch memory")
  }

  /// A window of audio as the encoder takes it.
  struct Window: Equatable {
    /// Of the audio's samples.
    let samples: Range<Int>
    /// Positions of the encoder that count, and rows made of them.
    let positions: Int
    let rows: Int
  }

  /// How many rows audio becomes, and so how many places of the audio token stand for it in a prompt.
  /// - Throws: `Failure(.invalidArgument)` for audio without samples, or too short for a row.
  public func tokenCount(sampleCount: Int, features: LogMelConfiguration) throws(Failure) -> Int {
    try windows(sampleCount: sampleCount, features: features).reduce(0) { $0 + $1.rows }
  }

  /// Audio in windows of the encoder's length. Voxtral's last window counts in full, with the silence it is filled up
  /// with; Audio Flamingo 3 counts the frames that the samples begin.
  func windows(sampleCount: Int, features: LogMelConfiguration) throws(Failure) -> [Window] {
    guard sampleCount > 0 else { throw Failure(.invalidArgument, "audio without samples") }
    let size = features.chunkSampleCount
    let windows = stride(from: 0, to: sampleCount, by: size).map { start in
      let end = start + min(size, sampleCount - start)
      let positions = windowPositions(sampleCount: end - start, features: features)
      return Window(samples: start..<end, positions: positions, rows: positions / positionsPerRow)
    }
    guard windows.contains(where: { $0.rows > 0 }) else {
      throw Failure(.invalidArgument, "audio of \(sampleCount) samples is too short for the model to hear")
    }
    return windows
  }

  /// The encoder's positions that count of a window of so many samples.
  func windowPositions(sampleCount: Int, features: LogMelConfiguration) -> Int {
    guard architecture == .audioFlamingo3 else { return sampleCount > 0 ? encoder.sourcePositions : 0 }
    let frames = CheckedSize.ceilingQuotient(sampleCount, features.hopLength)
    return CheckedSize.ceilingQuotient(frames, AudioEncoderConfiguration.framesPerPosition)
  }
}
