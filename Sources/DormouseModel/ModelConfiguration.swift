public import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// The checked content of a model's `config.json`: one value for each feature, none of them guessed.
public struct ModelConfiguration: Sendable, Equatable {
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
  /// The kinds of attention that the layers have; the first layer's comes first.
  public internal(set) var attentions: [AttentionConfiguration]
  /// One entry a layer: which of `attentions` it has.
  public internal(set) var attentionKinds: [Int]
  /// Width of a dense layer's feed-forward network.
  public internal(set) var intermediateSize: Int
  /// Width of one expert.
  public internal(set) var moeIntermediateSize: Int
  /// n_shared_experts; 0 for none.
  public internal(set) var sharedExpertCount: Int
  /// Width of one shared expert.
  public internal(set) var sharedIntermediateSize: Int
  public internal(set) var router: RouterConfiguration
  /// One entry a layer, from `mlp_layer_types` or `first_k_dense_replace` and `moe_layer_freq`.
  public internal(set) var feedForward: [FeedForward]
  public internal(set) var rmsNormEpsilon: Float
  /// The output head is the embedding table.
  public internal(set) var tiesWordEmbeddings: Bool
  public internal(set) var maximumPositions: Int
  /// num_nextn_predict_layers: layers for multi-token prediction behind the others in the checkpoint.
  public internal(set) var nextTokenLayerCount: Int
  public internal(set) var quantization: BlockQuantization?

  /// The attention of the first layer.
  public var attention: LatentAttentionConfiguration { attentions[0].latent }

  /// Width of all shared experts of a layer together.
  public var sharedExpertsWidth: Int { sharedExpertCount * sharedIntermediateSize }

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
    let text = try TextModelFields(document)
    (architecture, composite) = (text.architecture, text.composite)
    let family = architecture.family
    let fields = try family.completed(text.fields)
    try Self.requireKnownFeatures(fields)
    vocabularySize = try fields.integer("vocab_size", 1...(1 << 24))
    hiddenSize = try fields.integer("hidden_size", Self.widthRange)
    hiddenLayerCount = try fields.integer("num_hidden_layers", Self.layerRange)
    intermediateSize = try fields.integer("intermediate_size", Self.widthRange)
    moeIntermediateSize = try fields.integer("moe_intermediate_size", Self.widthRange)
    sharedExpertCount = try fields.optionalInteger("n_shared_experts", 0...1024) ?? 0
    router = try family.router(fields)
    feedForward = try family.feedForward(fields, layerCount: hiddenLayerCount)
    rmsNormEpsilon = Float(try fields.number("rms_norm_eps", Self.epsilonRange))
    maximumPositions = try fields.integer("max_position_embeddings", Self.positionRange)
    attentions = []
    attentionKinds = []
    tiesWordEmbeddings = try document.optionalBoolean("tie_word_embeddings") ?? composite?.tiesWordEmbeddings ?? false
    nextTokenLayerCount = try Self.nextTokenLayers(fields)
    let ownQuantization = try BlockQuantization(document: fields)
    quantization =
      composite == nil || ownQuantization != nil ? ownQuantization : try BlockQuantization(document: document)
    sharedIntermediateSize = try family.sharedExpertWidth(fields, expertWidth: moeIntermediateSize)
    for attention in try family.attentions(
      fields, layerCount: hiddenLayerCount, maximumPositions: maximumPositions)
    {
      // Most layers are like the one before.
      let known = attentions.lastIndex(of: attention)
      if known == nil { attentions.append(attention) }
      attentionKinds.append(known ?? attentions.count - 1)
    }
    _ = try withContext(fields.file) { () throws(Failure) in try parameterCount() }
  }

  static let layerRange = 1...4096
  static let headCountRange = 1...4096
  static let headRange = 1...65536
  static let widthRange = 1...(1 << 20)
  static let positionRange = 1...(1 << 31)
  static let epsilonRange = 1e-30...1e-1
}

// MARK: - Features

extension ModelConfiguration {
  /// Features of which Dormouse has one value only.
  private static func requireKnownFeatures(_ fields: JSONFields) throws(Failure) {
    if let activation = try fields.optionalString("hidden_act"), activation != "silu" {
      throw fields.unsupported("hidden_act", .string(activation), supported: "silu")
    }
    if try fields.optionalBoolean("mlp_bias") ?? false {
      throw fields.unsupported("mlp_bias", .bool(true), supported: "false")
    }
  }

  /// transformers 5 writes the same number under its own name.
  private static func nextTokenLayers(_ fields: JSONFields) throws(Failure) -> Int {
    let range = 0...layerRange.upperBound
    let published = try fields.optionalInteger("num_nextn_predict_layers", range)
    let native = try fields.optionalInteger("num_mtp_layers", range)
    return published ?? native ?? 0
  }
}
