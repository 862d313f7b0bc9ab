public import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// The checked content of a model's `config.json`: one value for each feature, none of them guessed.
public struct ModelConfiguration: Sendable, Equatable {
  /// The `model_type`s that Dormouse computes; all are multi-head latent attention with fine-grained experts.
  public enum Architecture: String, Sendable, CaseIterable {
    case deepseekV2 = "deepseek_v2"
    /// DeepSeek-V3, R1, V3.1, Moonlight, GigaChat3 and others.
    case deepseekV3 = "deepseek_v3"
    case kimiK2 = "kimi_k2"
    case glm4MoELite = "glm4_moe_lite"
    /// The text model of dots3-note: layers with an indexer, and with a sliding window.
    case dots3Note = "dots3_note_text"
  }

  /// The `model_type`s of models that take pictures, video or sound; their text model is one of `Architecture`, and its
  /// fields are in `text_config`; those of dots3_note may also stand beside the others.
  public enum Composite: String, Sendable, CaseIterable {
    /// Kimi-K2.5.
    case kimiK25 = "kimi_k25"
    /// Kimi-VL.
    case kimiVL = "kimi_vl"
    case voxtral
    case audioFlamingo3 = "audioflamingo3"
    case dots3Note = "dots3_note"
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
  public var attention: AttentionConfiguration { attentions[0] }

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
    let modelType = try document.optionalString("model_type")
    composite = modelType.flatMap { Composite(rawValue: $0) }
    var fields = composite == nil ? document : try Self.textFields(document, composite)
    architecture = try Self.architecture(fields, composite, isWhole: fields.path.isEmpty)
    if architecture == .dots3Note { fields = try Dots3NoteFields.withDefaults(fields) }
    try Self.requireKnownFeatures(fields)
    vocabularySize = try fields.integer("vocab_size", 1...(1 << 24))
    hiddenSize = try fields.integer("hidden_size", Self.widthRange)
    hiddenLayerCount = try fields.integer("num_hidden_layers", Self.layerRange)
    intermediateSize = try fields.integer("intermediate_size", Self.widthRange)
    moeIntermediateSize = try fields.integer("moe_intermediate_size", Self.widthRange)
    sharedExpertCount = try fields.optionalInteger("n_shared_experts", 0...1024) ?? 0
    router = try Self.router(fields, architecture)
    feedForward = try Self.feedForward(fields, architecture, layers: hiddenLayerCount)
    rmsNormEpsilon = Float(try fields.number("rms_norm_eps", Self.epsilonRange))
    maximumPositions = try fields.integer("max_position_embeddings", Self.positionRange)
    sharedIntermediateSize = moeIntermediateSize
    attentions = []
    attentionKinds = []
    tiesWordEmbeddings = try document.optionalBoolean("tie_word_embeddings") ?? (composite == .kimiK25)
    nextTokenLayerCount = try Self.nextTokenLayers(fields)
    let ownQuantization = try BlockQuantization(document: fields)
    quantization =
      composite == nil || ownQuantization != nil ? ownQuantization : try BlockQuantization(document: document)
    try readAttention(fields)
    _ = try withContext(fields.file) { () throws(Failure) in try parameterCount() }
  }

  private mutating func readAttention(_ fields: JSONFields) throws(Failure) {
    guard architecture == .dots3Note else {
      attentions = [try AttentionConfiguration(fields, architecture, maximumPositions: maximumPositions)]
      attentionKinds = Array(repeating: 0, count: hiddenLayerCount)
      return
    }
    let own = try Dots3NoteFields(fields)
    sharedIntermediateSize = try own.sharedExpertWidth()
    for attention in try own.attentions() {
      let known = attentions.firstIndex(of: attention)
      if known == nil { attentions.append(attention) }
      attentionKinds.append(known ?? attentions.count - 1)
    }
  }

  /// Whether the checkpoint has tensors that are not of the text model.
  var isPartOfMore: Bool { composite != nil }

  static let layerRange = 1...4096
  static let headCountRange = 1...4096
  static let headRange = 1...65536
  static let widthRange = 1...(1 << 20)
  static let positionRange = 1...(1 << 31)
  static let epsilonRange = 1e-30...1e-1
}

// MARK: - Features

extension ModelConfiguration {
  /// dots3_note is published with the text model's fields beside the towers' objects.
  private static func textFields(_ document: JSONFields, _ composite: Composite?) throws(Failure) -> JSONFields {
    if let fields = try document.fields("text_config") { return fields }
    guard composite == .dots3Note else {
      throw Failure(.malformed, "\(document.file): text_config is missing; expected the text model's fields")
    }
    return document
  }

  /// - Parameter isWhole: `fields` are those of the whole document, whose type is the composite's where it has one.
  private static func architecture(
    _ fields: JSONFields, _ composite: Composite?, isWhole: Bool
  ) throws(Failure) -> Architecture {
    if composite == .dots3Note, isWhole { return .dots3Note }
    let name: String
    switch composite {
    // The classes take these where text_config names no type.
    case .kimiK25: name = try fields.optionalString("model_type") ?? Architecture.deepseekV3.rawValue
    case .dots3Note: name = try fields.optionalString("model_type") ?? Architecture.dots3Note.rawValue
    default: name = try fields.string("model_type")
    }
    guard let architecture = Architecture(rawValue: name) else {
      if composite == nil, name == transcriberType {
        throw Failure(
          .unsupported,
          "\(fields.file): model_type is \"\(name)\", a model that writes down sounds and has no chat; open it as a "
            + "transcriber (dormouse_transcriber_open, dormouse.Transcriber, the command 'dormouse transcribe')")
      }
      let known = Architecture.allCases.map(\.rawValue) + (composite == nil ? Composite.allCases.map(\.rawValue) : [])
      throw fields.unsupported("model_type", .string(name), supported: known.joined(separator: ", "))
    }
    return architecture
  }

  /// A model of another kind, which has a place of its own in the library.
  private static let transcriberType = "whisper"

  /// Features of which Dormouse has one value only.
  private static func requireKnownFeatures(_ fields: JSONFields) throws(Failure) {
    if let activation = try fields.optionalString("hidden_act"), activation != "silu" {
      throw fields.unsupported("hidden_act", .string(activation), supported: "silu")
    }
    if try fields.optionalBoolean("mlp_bias") ?? false {
      throw fields.unsupported("mlp_bias", .bool(true), supported: "false")
    }
  }

  private static func router(
    _ fields: JSONFields, _ architecture: Architecture
  ) throws(Failure) -> RouterConfiguration {
    switch architecture {
    case .deepseekV2:
      try RouterConfiguration(fields, defaultMethod: .greedy, allowed: [.greedy, .groupLimitedGreedy])
    case .deepseekV3, .kimiK2, .glm4MoELite, .dots3Note:
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
    if architecture == .dots3Note, let schedule = fields.value("moe_layer_freq")?.arrayValue {
      return try feedForward(fields, schedule: schedule, dense: dense, layers: layers)
    }
    let frequency = try fields.optionalInteger("moe_layer_freq", layerRange) ?? 1
    return (0..<layers).map { $0 >= dense && $0 % frequency == 0 ? .experts : .dense }
  }

  /// `moe_layer_freq` as dots3 also has it: one entry a layer, 0 for a dense one.
  private static func feedForward(
    _ fields: JSONFields, schedule: [JSON], dense: Int, layers: Int
  ) throws(Failure) -> [FeedForward] {
    guard schedule.count == layers else {
      throw Failure(
        .malformed, "\(fields.file): moe_layer_freq has \(schedule.count) entries; expected \(layers), one a layer")
    }
    var result: [FeedForward] = []
    for (index, entry) in schedule.enumerated() {
      guard let number = entry.integerValue else {
        throw fields.wrong("moe_layer_freq[\(index)]", entry, expected: "an integer")
      }
      result.append(index >= dense && number != 0 ? .experts : .dense)
    }
    return result
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

  /// transformers 5 writes the same number under its own name.
  private static func nextTokenLayers(_ fields: JSONFields) throws(Failure) -> Int {
    let range = 0...layerRange.upperBound
    let published = try fields.optionalInteger("num_nextn_predict_layers", range)
    let native = try fields.optionalInteger("num_mtp_layers", range)
    return published ?? native ?? 0
  }
}
