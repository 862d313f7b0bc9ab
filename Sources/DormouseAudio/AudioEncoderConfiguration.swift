public import DormouseSupport

/// The dimensions of a Whisper encoder, whatever model it is a part of.
public struct AudioEncoderConfiguration: Sendable, Equatable {
  /// num_mel_bins.
  public let melBinCount: Int
  /// d_model, hidden_size.
  public let hiddenSize: Int
  public let layerCount: Int
  public let attentionHeadCount: Int
  /// encoder_ffn_dim, intermediate_size.
  public let intermediateSize: Int
  /// max_source_positions: rows of a window, each from two frames of features.
  public let sourcePositions: Int

  /// The names that a configuration gives the fields: those of `whisper`, or of the towers made from it.
  public enum Spelling {
    case whisper, tower

    public var hiddenSize: String { self == .whisper ? "d_model" : "hidden_size" }
    public var layers: String { self == .whisper ? "encoder_layers" : "num_hidden_layers" }
    public var heads: String { self == .whisper ? "encoder_attention_heads" : "num_attention_heads" }
    public var intermediateSize: String { self == .whisper ? "encoder_ffn_dim" : "intermediate_size" }
  }

  /// Frames of features that one row is made of: the stride of the second convolution.
  public static let framesPerPosition = 2
  /// `nn.LayerNorm`'s default, which no configuration changes.
  public static let layerNormEpsilon: Float = 1e-5

  /// - Throws: `Failure` naming file, field and value.
  public init(_ fields: JSONFields, _ spelling: Spelling) throws(Failure) {
    melBinCount = try fields.integer("num_mel_bins", 1...512)
    hiddenSize = try fields.integer(spelling.hiddenSize, 1...16384)
    layerCount = try fields.integer(spelling.layers, 1...256)
    attentionHeadCount = try fields.headCount(spelling.heads, of: hiddenSize)
    intermediateSize = try fields.integer(spelling.intermediateSize, 1...65536)
    sourcePositions = try fields.integer("max_source_positions", 1...65536)
    try fields.requireWhisperLayers()
  }

  public var headDimension: Int { hiddenSize / attentionHeadCount }
  /// Frames of a window.
  public var windowFrameCount: Int { sourcePositions * Self.framesPerPosition }
}

extension JSONFields {
  /// A number of attention heads that share `hiddenSize` evenly.
  public func headCount(_ key: String, of hiddenSize: Int) throws(Failure) -> Int {
    let heads = try integer(key, 1...hiddenSize)
    guard hiddenSize % heads == 0 else {
      throw wrong(key, .integer(Int64(heads)), expected: "a divisor of the hidden size, which is \(hiddenSize)")
    }
    return heads
  }

  /// What all models of the family have in common, and no other value is computed for.
  public func requireWhisperLayers() throws(Failure) {
    let activation = try optionalString("activation_function") ?? "gelu"
    guard activation == "gelu" else {
      throw unsupported("activation_function", .string(activation), supported: "gelu")
    }
    guard try optionalBoolean("scale_embedding") != true else {
      throw unsupported("scale_embedding", .bool(true), supported: "false")
    }
  }

  /// Checks that the features of `preprocessor_config.json` are those the encoder takes.
  public func require(_ features: LogMelConfiguration, of encoder: AudioEncoderConfiguration) throws(Failure) {
    guard features.featureSize == encoder.melBinCount else {
      throw wrong(
        "num_mel_bins", .integer(Int64(encoder.melBinCount)),
        expected: "the feature_size of the feature extractor, which is \(features.featureSize)")
    }
    guard features.chunkSampleCount == encoder.windowFrameCount * features.hopLength else {
      throw wrong(
        "max_source_positions", .integer(Int64(encoder.sourcePositions)),
        expected: "half of the feature extractor's frames, \(features.chunkSampleCount) samples at"
          + " \(features.hopLength) each")
    }
  }
}
