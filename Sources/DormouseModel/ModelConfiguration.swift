public import DormouseLayers
public import DormouseSupport

/// The checked content of a model's `config.json`: one value for each feature, none of them guessed.
public struct ModelConfiguration: Sendable, Equatable {
  /// The `model_type`s that Dormouse computes; all are multi-head latent attention with fine-grained experts.
  public enum Architecture: String, Sendable, CaseIterable {
    case deepseekV2 = "deepseek_v2"
    /// DeepSeek-V3, R1, V3.1, Moonlight, GigaChat3 and others.
    case deepseekV3 = "deepseek_v3"
    case kimiK2 = "kimi_k2"
    case glm4MoELite = "glm4_moe_lite"
  }

  /// The `model_type`s of models that take pictures, video or sound; their text model is one of `Architecture`, and its
  /// fields are in `text_config`.
  public enum Composite: String, Sendable, CaseIterable {
    /// Kimi-K2.5.
    case kimiK25 = "kimi_k25"
    /// Kimi-VL.
    case kimiVL = "kimi_vl"
    case voxtral
    case audioFlamingo3 = "audioflamingo3"
  }

  public enum FeedForward: Sendable, Equatable {
    /// One gated network of `intermediateSize`.
    case dense
    /// Routed and shared experts of `moeIntermediateSize`.
    case experts
  }

  public internal(set) var architecture: Architecture
  /// What the text model is part of; nil for a model of its own.
  public internal(set) var composite: Composite?
  public internal(set) var vocabularySize: Int
  public internal(set) var hiddenSize: Int
  public internal(set) var hiddenLayerCount: Int
  public internal(set) var attentionHeadCount: Int
  /// q_lora_rank; nil where queries come straight from `q_proj`.
  public internal(set) var qLoraRank: Int?
  public internal(set) var kvLoraRank: Int
  public internal(set) var qkNopeHeadDimension: Int
  public internal(set) var qkRopeHeadDimension: Int
  public internal(set) var vHeadDimension: Int
  /// Width of a dense layer's feed-forward network.
  public internal(set) var intermediateSize: Int
  /// Width of one expert.
  public internal(set) var moeIntermediateSize: Int
  /// n_shared_experts; 0 for none.
  public internal(set) var sharedExpertCount: Int
  public internal(set) var router: RouterConfiguration
  /// One entry a layer, from `mlp_layer_types` or `first_k_dense_replace` and `moe_layer_freq`.
  public internal(set) var feedForward: [FeedForward]
  public internal(set) var rmsNormEpsilon: Float
  public internal(set) var rope: RopeConfiguration
  /// Whether rotation turns channels 2i and 2i+1 against each other, or i and i + half.
  public internal(set) var ropeInterleaved: Bool
  /// Biases on `q_a_proj`, `kv_a_proj_with_mqa` and `o_proj`.
  public internal(set) var attentionBias: Bool
  /// The output head is the embedding table.
  public internal(set) var tiesWordEmbeddings: Bool
  public internal(set) var maximumPositions: Int
  /// num_nextn_predict_layers: layers for multi-token prediction behind the others in the checkpoint.
  public internal(set) var nextTokenLayerCount: Int
  public internal(set) var quantization: BlockQuantization?

  /// The epsilon of `q_a_layernorm` and `kv_a_layernorm`: the classes of transformers build both with their default,
  /// whatever `rms_norm_eps` says.
  public static let latentNormEpsilon: Float = 1e-6

  /// nope + rope: channels of a query and key head.
  public var qkHeadDimension: Int { qkNopeHeadDimension + qkRopeHeadDimension }

  /// Values that the cache holds a token and layer: the latent and the rotated key.
  public var latentWidth: Int { kvLoraRank + qkRopeHeadDimension }

  /// The softmax scale, YaRN's square of the magnitude in it (DeepSeek-V3 `inference/model.py`, class MLA).
  public var softmaxScale: Float {
    Float(1 / Double(qkHeadDimension).squareRoot() * rope.softmaxFactor)
  }

  /// Reads `config.json` of a model's folder.
  /// - Throws: `Failure` naming file, field, value and expectation: `.malformed` for what is missing or wrong,
  ///   `.unsupported` for a well-formed feature that Dormouse does not have.
  public static func load(folder: String) throws(Failure) -> ModelConfiguration {
    let path = "\(folder)/config.json"
    return try ModelConfiguration(json: File.readJSON(path), file: path)
  }

  /// - Parameter file: how the document is called in failures.
  public init(json: JSON, file: String = "config.json") throws(Failure) {
    let document = try JSONFields(json, file: file)
    let modelType = try document.optionalString("model_type")
    composite = modelType.flatMap { Composite(rawValue: $0) }
    let fields = composite == nil ? document : try Self.textFields(document)
    architecture = try Self.architecture(fields, composite)
    try Self.requireKnownFeatures(fields)
    vocabularySize = try fields.integer("vocab_size", 1...(1 << 24))
    hiddenSize = try fields.integer("hidden_size", Self.widthRange)
    hiddenLayerCount = try fields.integer("num_hidden_layers", Self.layerRange)
    attentionHeadCount = try fields.integer("num_attention_heads", 1...4096)
    qLoraRank = try Self.queryRank(fields)
    kvLoraRank = try fields.integer("kv_lora_rank", Self.widthRange)
    qkNopeHeadDimension = try fields.integer("qk_nope_head_dim", Self.headRange)
    qkRopeHeadDimension = try fields.integer("qk_rope_head_dim", Self.headRange)
    vHeadDimension = try fields.integer("v_head_dim", Self.headRange)
    intermediateSize = try fields.integer("intermediate_size", Self.widthRange)
    moeIntermediateSize = try fields.integer("moe_intermediate_size", Self.widthRange)
    sharedExpertCount = try fields.optionalInteger("n_shared_experts", 0...1024) ?? 0
    router = try Self.router(fields, architecture)
    feedForward = try Self.feedForward(fields, architecture, layers: hiddenLayerCount)
    rmsNormEpsilon = Float(try fields.number("rms_norm_eps", 1e-30...1e-1))
    maximumPositions = try fields.integer("max_position_embeddings", Self.positionRange)
    rope = try RopeConfiguration(fields, maximumPositions: maximumPositions)
    ropeInterleaved = try Self.interleaved(fields, architecture)
    attentionBias = try fields.optionalBoolean("attention_bias") ?? false
    tiesWordEmbeddings = try document.optionalBoolean("tie_word_embeddings") ?? (composite == .kimiK25)
    nextTokenLayerCount = try Self.nextTokenLayers(fields)
    let ownQuantization = try BlockQuantization(document: fields)
    quantization =
      composite == nil || ownQuantization != nil ? ownQuantization : try BlockQuantization(document: document)
    try checkDimensions(fields)
  }

  /// Whether the checkpoint has tensors that are not of the text model.
  var isPartOfMore: Bool { composite != nil }

  static let layerRange = 1...4096
  static let headRange = 1...65536
  static let widthRange = 1...(1 << 20)
  static let positionRange = 1...(1 << 31)

  private func checkDimensions(_ fields: JSONFields) throws(Failure) {
    guard qkRopeHeadDimension % 2 == 0 else {
      throw fields.wrong(
        "qk_rope_head_dim", .integer(Int64(qkRopeHeadDimension)),
        expected: "an even number, since channels turn in pairs")
    }
    if let heads = try fields.optionalInteger("num_key_value_heads", 1...4096), heads != attentionHeadCount {
      throw fields.unsupported(
        "num_key_value_heads", .integer(Int64(heads)),
        supported: "num_attention_heads, which is \(attentionHeadCount), since the latent serves every head")
    }
    _ = try withContext(fields.file) { () throws(Failure) in try parameterCount() }
  }
}

// MARK: - Features

extension ModelConfiguration {
  private static func textFields(_ document: JSONFields) throws(Failure) -> JSONFields {
    guard let fields = try document.fields("text_config") else {
      throw Failure(.malformed, "\(document.file): text_config is missing; expected the text model's fields")
    }
    return fields
  }

  private static func architecture(_ fields: JSONFields, _ composite: Composite?) throws(Failure) -> Architecture {
    // The class of kimi_k25 takes deepseek_v3 where text_config names no type.
    let name =
      composite == .kimiK25
      ? try fields.optionalString("model_type") ?? "deepseek_v3" : try fields.string("model_type")
    guard let architecture = Architecture(rawValue: name) else {
      let known = Architecture.allCases.map(\.rawValue) + (composite == nil ? Composite.allCases.map(\.rawValue) : [])
      throw fields.unsupported("model_type", .string(name), supported: known.joined(separator: ", "))
    }
    return architecture
  }

  /// Features of which Dormouse has one value only.
  private static func requireKnownFeatures(_ fields: JSONFields) throws(Failure) {
    if let activation = try fields.optionalString("hidden_act"), activation != "silu" {
      throw fields.unsupported("hidden_act", .string(activation), supported: "silu")
    }
    if try fields.optionalBoolean("mlp_bias") ?? false {
      throw fields.unsupported("mlp_bias", .bool(true), supported: "false")
    }
  }

  private static func queryRank(_ fields: JSONFields) throws(Failure) -> Int? {
    guard fields.has("q_lora_rank") else {
      throw Failure(
        .malformed, "\(fields.file): q_lora_rank is missing; expected an integer, or null for a direct q_proj")
    }
    return try fields.optionalInteger("q_lora_rank", widthRange)
  }

  private static func router(
    _ fields: JSONFields, _ architecture: Architecture
  ) throws(Failure) -> RouterConfiguration {
    switch architecture {
    case .deepseekV2:
      try RouterConfiguration(fields, defaultMethod: .greedy, allowed: [.greedy, .groupLimitedGreedy])
    case .deepseekV3, .kimiK2, .glm4MoELite:
      try RouterConfiguration(fields, defaultMethod: .noAuxiliaryLoss, allowed: [.noAuxiliaryLoss])
    }
  }

  private static func feedForward(
    _ fields: JSONFields, _ architecture: Architecture, layers: Int
  ) throws(Failure) -> [FeedForward] {
    if let types = try fields.optionalArray("mlp_layer_types") {
      return try feedForward(fields, types, layers: layers)
    }
    let dense =
      architecture == .glm4MoELite && !fields.has("first_k_dense_replace")
      ? 1 : try fields.integer("first_k_dense_replace", 0...layerRange.upperBound)
    let frequency = try fields.optionalInteger("moe_layer_freq", layerRange) ?? 1
    return (0..<layers).map { $0 >= dense && $0 % frequency == 0 ? .experts : .dense }
  }

  private static func feedForward(
    _ fields: JSONFields, _ types: [JSON], layers: Int
  ) throws(Failure) -> [FeedForward] {
    guard types.count == layers else {
      throw Failure(
        .malformed,
        "\(fields.file): mlp_layer_types has \(types.count) entries; expected \(layers), one a layer")
    }
    var result: [FeedForward] = []
    for (index, type) in types.enumerated() {
      switch type.stringValue {
      case "dense": result.append(.dense)
      case "sparse": result.append(.experts)
      default: throw fields.unsupported("mlp_layer_types[\(index)]", type, supported: "dense, sparse")
      }
    }
    return result
  }

  /// The class of deepseek_v2 always turns neighbours; the others read `rope_interleave`.
  private static func interleaved(
    _ fields: JSONFields, _ architecture: Architecture
  ) throws(Failure) -> Bool {
    let interleaved = try fields.optionalBoolean("rope_interleave") ?? true
    guard interleaved || architecture != .deepseekV2 else {
      throw fields.unsupported("rope_interleave", .bool(false), supported: "true with deepseek_v2")
    }
    return interleaved
  }

  /// transformers 5 writes the same number under its own name.
  private static func nextTokenLayers(_ fields: JSONFields) throws(Failure) -> Int {
    let range = 0...layerRange.upperBound
    let published = try fields.optionalInteger("num_nextn_predict_layers", range)
    let native = try fields.optionalInteger("num_mtp_layers", range)
    return published ?? native ?? 0
  }
}
