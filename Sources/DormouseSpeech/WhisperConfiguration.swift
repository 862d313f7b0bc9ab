import DormouseAudio
public import DormouseSupport

/// `config.json` of a `whisper` folder, checked field by field.
public struct WhisperConfiguration: Sendable, Equatable {
  public let encoder: AudioEncoderConfiguration
  public let vocabularySize: Int
  public let decoderLayerCount: Int
  public let decoderAttentionHeadCount: Int
  public let decoderIntermediateSize: Int
  /// max_target_positions: tokens of a window with its prompt at most.
  public let targetPositions: Int
  /// The output head is the embedding table.
  public internal(set) var tiesWordEmbeddings: Bool

  public var hiddenSize: Int { encoder.hiddenSize }
  public var decoderHeadDimension: Int { hiddenSize / decoderAttentionHeadCount }

  /// - Throws: `Failure` naming file, field and value.
  public init(_ fields: JSONFields) throws(Failure) {
    let type = try fields.string("model_type")
    guard type == "whisper" else {
      throw fields.unsupported(
        "model_type", .string(type),
        supported: "whisper, to transcribe audio; a model that chats is opened as an engine (dormouse_engine_open, "
          + "dormouse.Engine, the command 'dormouse run')")
    }
    encoder = try AudioEncoderConfiguration(fields, .whisper)
    vocabularySize = try fields.integer("vocab_size", 1...1_000_000)
    decoderLayerCount = try fields.integer("decoder_layers", 1...256)
    decoderAttentionHeadCount = try fields.headCount("decoder_attention_heads", of: encoder.hiddenSize)
    decoderIntermediateSize = try fields.integer("decoder_ffn_dim", 1...65536)
    // Half of it may be what was said before, and a few tokens say what is wanted.
    targetPositions = try fields.integer("max_target_positions", 16...65536)
    tiesWordEmbeddings = try fields.optionalBoolean("tie_word_embeddings") ?? true
  }
}
