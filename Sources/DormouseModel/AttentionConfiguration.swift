import DormouseCache
import DormouseSupport

/// The attention of one kind of layers.
public enum AttentionConfiguration: Sendable, Equatable {
  /// Tokens attend to all positions that they see.
  case latent(LatentAttentionConfiguration)
  /// Of these, tokens attend to those that an indexer picks (DeepSeek sparse attention).
  case indexed(LatentAttentionConfiguration, IndexerConfiguration)

  /// What all kinds have.
  public var latent: LatentAttentionConfiguration {
    switch self {
    case .latent(let latent), .indexed(let latent, _): latent
    }
  }

  /// What a layer keeps in the cache, section by section: the latent, and its indexer's key.
  var rowSections: [RowSection] {
    let latent = RowSection(rank: self.latent.kvLoraRank, rope: self.latent.qkRopeHeadDimension)
    return switch self {
    case .latent: [latent]
    case .indexed(_, let indexer): [latent, RowSection(rank: indexer.headDimension)]
    }
  }
}

/// Latent attention: its sizes, its positions, and what of the timeline its tokens see.
public struct LatentAttentionConfiguration: Sendable, Equatable {
  /// num_attention_heads.
  public internal(set) var headCount: Int
  /// q_lora_rank; nil where queries come straight from `q_proj`.
  public internal(set) var qLoraRank: Int?
  public internal(set) var kvLoraRank: Int
  public internal(set) var qkNopeHeadDimension: Int
  public internal(set) var qkRopeHeadDimension: Int
  public internal(set) var vHeadDimension: Int
  public internal(set) var rope: RopeConfiguration
  /// Whether rotation turns channels 2i and 2i+1 against each other, or i and i + half.
  public internal(set) var ropeInterleaved = true
  /// attention_bias: biases on `q_a_proj`, `kv_a_proj_with_mqa` and `o_proj`.
  public internal(set) var hasBias = false
  /// The epsilon of `q_a_layernorm` and `kv_a_layernorm`: the classes of transformers build both with their default,
  /// whatever `rms_norm_eps` says, but for dots3.
  public internal(set) var latentNormEpsilon: Float = 1e-6
  /// What the query's latent is multiplied by behind its norm; dots3: sqrt(hidden_size / q_lora_rank).
  public internal(set) var queryLatentFactor: Float = 1
  /// What the latent is multiplied by behind its norm; dots3: sqrt(hidden_size / kv_lora_rank).
  public internal(set) var latentFactor: Float = 1
  /// `k_rope_only_layernorm`: the shared key is normalised before it is rotated (dots3).
  public internal(set) var normalizesRotatedKey = false
  /// `g_proj`: each head's output is multiplied by a sigmoid of its own (dots3).
  public internal(set) var gatesHeads = false
  /// sliding_window: a token sees so many positions, its own among them; nil for all.
  public internal(set) var slidingWindow: Int?

  /// nope + rope: channels of a query and key head.
  public var qkHeadDimension: Int { qkNopeHeadDimension + qkRopeHeadDimension }

  /// Values that the cache holds a token: the latent and the rotated key.
  public var latentWidth: Int { kvLoraRank + qkRopeHeadDimension }

  /// The softmax scale, YaRN's square of the magnitude in it (DeepSeek-V3 `inference/model.py`, class MLA).
  public var softmaxScale: Float {
    Float(1 / Double(qkHeadDimension).squareRoot() * rope.softmaxFactor)
  }

  /// Positions that a token sees which stands behind `first` others.
  public func visibleRange(at first: Int) -> Range<Int> {
    let end = first + 1
    guard let slidingWindow else { return 0..<end }
    return max(0, end - slidingWindow)..<end
  }
}

/// DeepSeek sparse attention's indexer (DeepSeek-V3.2-Exp), which picks the positions that a token attends to.
public struct IndexerConfiguration: Sendable, Equatable {
  /// index_n_heads.
  public internal(set) var headCount: Int
  /// index_head_dim: channels of a query head and of the key that all share.
  public internal(set) var headDimension: Int
  /// index_topk: positions that are picked; a token that sees no more of them attends to all.
  public internal(set) var selectedCount: Int

  /// The epsilon of `k_norm`.
  static let normEpsilon: Float = 1e-6
}

extension LatentAttentionConfiguration {
  /// The one kind of a model whose layers are alike.
  init(_ fields: JSONFields, maximumPositions: Int) throws(Failure) {
    self.init(
      try AttentionSizes(fields), rope: try RopeConfiguration(fields, maximumPositions: maximumPositions))
    ropeInterleaved = try fields.optionalBoolean("rope_interleave") ?? true
    hasBias = try fields.optionalBoolean("attention_bias") ?? false
  }

  init(_ sizes: AttentionSizes, rope: RopeConfiguration) {
    headCount = sizes.headCount
    qLoraRank = sizes.qLoraRank
    kvLoraRank = sizes.kvLoraRank
    qkNopeHeadDimension = sizes.qkNopeHeadDimension
    qkRopeHeadDimension = sizes.qkRopeHeadDimension
    vHeadDimension = sizes.vHeadDimension
    self.rope = rope
  }
}

/// The sizes of an attention layer, under the names that `config.json` has for them.
struct AttentionSizes: Equatable {
  var headCount: Int
  var qLoraRank: Int?
  var kvLoraRank: Int
  var qkNopeHeadDimension: Int
  var qkRopeHeadDimension: Int
  var vHeadDimension: Int

  /// - Throws: `Failure` naming the field.
  init(_ fields: JSONFields) throws(Failure) {
    headCount = try fields.integer("num_attention_heads", ModelConfiguration.headCountRange)
    qLoraRank = try Self.queryRank(fields)
    kvLoraRank = try fields.integer("kv_lora_rank", ModelConfiguration.widthRange)
    qkNopeHeadDimension = try fields.integer("qk_nope_head_dim", ModelConfiguration.headRange)
    qkRopeHeadDimension = try fields.integer("qk_rope_head_dim", ModelConfiguration.headRange)
    vHeadDimension = try fields.integer("v_head_dim", ModelConfiguration.headRange)
    try requireEvenRope(fields, "qk_rope_head_dim")
    try requireKeyHeads(fields, "num_key_value_heads")
  }

  private static func queryRank(_ fields: JSONFields) throws(Failure) -> Int? {
    guard fields.has("q_lora_rank") else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)q_lora_rank is missing; expected an integer, or null for a direct q_proj")
    }
    return try fields.optionalInteger("q_lora_rank", ModelConfiguration.widthRange)
  }

  /// - Parameter key: what the document calls it.
  func requireEvenRope(_ fields: JSONFields, _ key: String) throws(Failure) {
    guard qkRopeHeadDimension % 2 == 0 else {
      throw fields.wrong(
        key, .integer(Int64(qkRopeHeadDimension)), expected: "an even number, since channels turn in pairs")
    }
  }

  func requireKeyHeads(_ fields: JSONFields, _ key: String) throws(Failure) {
    if let heads = try fields.optionalInteger(key, ModelConfiguration.headCountRange), heads != headCount {
      throw fields.unsupported(
        key, .integer(Int64(heads)),
        supported: "num_attention_heads, which is \(headCount), since the latent serves every head")
    }
  }
}
