import DormouseSupport

/// The text model of dots3-note: layers of several kinds.
struct Dots3Note: Family {
  func completed(_ fields: JSONFields) throws(Failure) -> JSONFields { try Dots3NoteFields.withDefaults(fields) }

  /// `moe_layer_freq` may also have one entry a layer, 0 for a dense one.
  func feedForward(_ fields: JSONFields, layerCount: Int) throws(Failure) -> [ModelConfiguration.FeedForward] {
    let schedule = FeedForwardSchedule(fields, layerCount: layerCount)
    guard try fields.optionalArray("mlp_layer_types") == nil, let entries = fields.value("moe_layer_freq")?.arrayValue
    else { return try schedule.layers() }
    let dense = try schedule.denseCount()
    guard entries.count == layerCount else {
      throw Failure(
        .malformed, "\(fields.file): moe_layer_freq has \(entries.count) entries; expected \(layerCount), one a layer")
    }
    var result: [ModelConfiguration.FeedForward] = []
    for (index, entry) in entries.enumerated() {
      guard let number = entry.integerValue else {
        throw fields.wrong("moe_layer_freq[\(index)]", entry, expected: "an integer")
      }
      result.append(index >= dense && number != 0 ? .experts : .dense)
    }
    return result
  }

  func sharedExpertWidth(_ fields: JSONFields, expertWidth: Int) throws(Failure) -> Int {
    try Dots3NoteFields(fields).sharedExpertWidth()
  }

  func attentions(
    _ fields: JSONFields, layerCount: Int, maximumPositions: Int
  ) throws(Failure) -> [AttentionConfiguration] {
    try Dots3NoteFields(fields).attentions()
  }

  /// No field names a number of them; the class skips the one layer that follows.
  var unlistedNextTokenLayerCount: Int { 1 }
  var nextTokenPrefix: String? { "mtp." }
}

/// Reads what the text model of dots3-note has of its own in `config.json`.
///
/// Follows `Dots3NoteTextConfig` of transformers 5.23: both the published spelling (`swa_*`, `use_dsa`,
/// `use_sliding_window`, `sliding_window_size`) and that of transformers (`layer_types`, `per_layer_config`, nested
/// `rope_parameters`), and the class's value for every field that the document leaves out.
struct Dots3NoteFields {
  private enum LayerType: String, CaseIterable {
    case full = "full_attention"
    case indexed = "indexed_attention"
    case sliding = "sliding_attention"
  }

  /// The document, with the class's values where it has none.
  let fields: JSONFields
  private let layerCount: Int
  private let hiddenSize: Int

  /// - Parameter fields: from `withDefaults`.
  init(_ fields: JSONFields) throws(Failure) {
    self.fields = fields
    layerCount = try fields.integer("num_hidden_layers", ModelConfiguration.layerRange)
    hiddenSize = try fields.integer("hidden_size", ModelConfiguration.widthRange)
  }

  /// The text model's fields, where the class has values for all of them.
  static func withDefaults(_ document: JSONFields) throws(Failure) -> JSONFields {
    try JSONFields(.object(defaults.merging(document.object)), file: document.file, path: document.path)
  }

  private static let defaults = JSONObject([
    "vocab_size": 152064, "hidden_size": 5120, "intermediate_size": 13824, "moe_intermediate_size": 1536,
    "num_hidden_layers": 46, "num_attention_heads": 128, "n_shared_experts": 1, "n_routed_experts": 256,
    "routed_scaling_factor": 1.0, "kv_lora_rank": 512, "q_lora_rank": 1024, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "qk_nope_head_dim": 128, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 8, "norm_topk_prob": true,
    "max_position_embeddings": 524288, "rms_norm_eps": 1e-5, "index_topk": 2048, "index_head_dim": 128,
    "index_n_heads": 64, "shared_experts_intermediate_size": 1536, "first_k_dense_replace": 1,
  ])

  /// The class's `shared_experts_intermediate_size`, which the published spelling wins over.
  func sharedExpertWidth() throws(Failure) -> Int {
    let published = try fields.optionalInteger("moe_shared_expert_intermediate_size", ModelConfiguration.widthRange)
    let native = try fields.integer("shared_experts_intermediate_size", ModelConfiguration.widthRange)
    return published ?? native
  }

  /// The kind of every layer.
  func attentions() throws(Failure) -> [AttentionConfiguration] {
    try requireKnownFields()
    let types = try layerTypes()
    var kinds: [LayerType: LatentAttentionConfiguration] = [:]
    for type in LayerType.allCases where types.contains(type) { kinds[type] = try attention(type) }
    let indexer = types.contains(.indexed) ? try self.indexer() : nil
    let overrides = try layerOverrides()
    var result: [AttentionConfiguration] = []
    for (layer, type) in types.enumerated() {
      guard var kind = kinds[type] else { continue }
      if let own = overrides?[layer] { try apply(own, to: &kind) }
      try check(kind, type, overrides?[layer] ?? fields)
      if type == .indexed, let indexer {
        try check(indexer, kind)
        result.append(.indexed(rescaled(kind), indexer))
      } else {
        result.append(.latent(rescaled(kind)))
      }
    }
    return result
  }

  private func requireKnownFields() throws(Failure) {
    guard fields.value("q_lora_rank") != nil else {
      throw fields.unsupported("q_lora_rank", .null, supported: "an integer with dots3_note")
    }
    guard try fields.integer("n_shared_experts", 0...1024) > 0 else {
      throw fields.wrong("n_shared_experts", 0, expected: "at least one with dots3_note")
    }
  }

  // MARK: - Layers

  private var hasLayerOverrides: Bool { fields.has("per_layer_config") }

  /// `layer_types`, or the published schedule: two full layers and then one of four. Where no `per_layer_config` says
  /// that the document is transformers' own, "full_attention" stands for a layer with an indexer.
  private func layerTypes() throws(Failure) -> [LayerType] {
    let usesIndexer = try fields.optionalBoolean("use_dsa") ?? (hasLayerOverrides ? nil : true)
    var types: [LayerType]
    if let given = try fields.optionalArray("layer_types") {
      types = try layerTypes(given)
    } else {
      let slides = try fields.optionalBoolean("use_sliding_window") ?? true
      let full = usesIndexer == false ? LayerType.full : .indexed
      types = (0..<layerCount).map { !slides || $0 < 2 || $0 % 4 == 1 ? full : .sliding }
    }
    guard let usesIndexer else { return types }
    let (old, new) = usesIndexer ? (LayerType.full, LayerType.indexed) : (.indexed, .full)
    return types.map { $0 == old ? new : $0 }
  }

  private func layerTypes(_ given: [JSON]) throws(Failure) -> [LayerType] {
    guard given.count == layerCount else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)layer_types has \(given.count) entries; expected \(layerCount), one"
          + " a layer")
    }
    var types: [LayerType] = []
    for (index, name) in given.enumerated() {
      guard let type = name.stringValue.flatMap({ LayerType(rawValue: $0) }) else {
        let known = LayerType.allCases.map(\.rawValue).joined(separator: ", ")
        throw fields.unsupported("layer_types[\(index)]", name, supported: known)
      }
      types.append(type)
    }
    return types
  }

  /// The layers' own values in transformers' spelling; nil in the published one.
  private func layerOverrides() throws(Failure) -> [Int: JSONFields]? {
    guard hasLayerOverrides else { return nil }
    var result: [Int: JSONFields] = [:]
    guard let entries = try fields.fields("per_layer_config") else { return result }
    for key in entries.object.keys {
      guard let layer = Int(key), (0..<layerCount).contains(layer), let own = try entries.fields(key) else {
        throw Failure(
          .malformed,
          "\(fields.file): \(entries.path)\(key) is not the number of a layer; expected 0 to \(layerCount - 1)")
      }
      result[layer] = own
    }
    return result
  }

  // MARK: - Kinds

  private func attention(_ type: LayerType) throws(Failure) -> LatentAttentionConfiguration {
    var sizes = try AttentionSizes(fields)
    if type == .sliding, !hasLayerOverrides { sizes = try publishedSlidingSizes(sizes) }
    var kind = LatentAttentionConfiguration(sizes, rope: try rope(type))
    kind.hasBias = try fields.optionalBoolean("attention_bias") ?? false
    kind.latentNormEpsilon = Float(try fields.number("rms_norm_eps", ModelConfiguration.epsilonRange))
    kind.normalizesRotatedKey = true
    kind.gatesHeads = true
    if type == .sliding { kind.slidingWindow = try slidingWindow() }
    return kind
  }

  /// The published `swa_*` fields, and the class's values without them.
  private func publishedSlidingSizes(_ global: AttentionSizes) throws(Failure) -> AttentionSizes {
    var sizes = global
    let heads = ModelConfiguration.headRange
    let ranks = ModelConfiguration.widthRange
    sizes.headCount = try fields.optionalInteger("swa_num_attention_heads", ModelConfiguration.headCountRange) ?? 64
    sizes.qLoraRank = try fields.optionalInteger("swa_q_lora_rank", ranks) ?? 1024
    sizes.kvLoraRank = try fields.optionalInteger("swa_kv_lora_rank", ranks) ?? 1024
    sizes.qkNopeHeadDimension = try fields.optionalInteger("swa_qk_nope_head_dim", heads) ?? 192
    sizes.vHeadDimension = try fields.optionalInteger("swa_v_head_dim", heads) ?? 128
    let width = try fields.optionalInteger("swa_head_dim", heads) ?? 256
    let rope = try fields.optionalInteger("swa_qk_rope_head_dim", heads)
    sizes.qkRopeHeadDimension = rope ?? width - sizes.qkNopeHeadDimension
    guard sizes.qkRopeHeadDimension > 0, width == sizes.qkNopeHeadDimension + sizes.qkRopeHeadDimension else {
      throw fields.wrong(
        "swa_head_dim", .integer(Int64(width)),
        expected: "the sum of swa_qk_nope_head_dim, which is \(sizes.qkNopeHeadDimension), and swa_qk_rope_head_dim")
    }
    try sizes.requireEvenRope(fields, "swa_qk_rope_head_dim")
    try sizes.requireKeyHeads(fields, "swa_num_key_value_heads")
    return sizes
  }

  private func slidingWindow() throws(Failure) -> Int {
    let range = ModelConfiguration.positionRange
    let own = try fields.optionalInteger("sliding_window", range)
    let published = try fields.optionalInteger("sliding_window_size", range)
    return own ?? published ?? 512
  }

  private func indexer() throws(Failure) -> IndexerConfiguration {
    IndexerConfiguration(
      headCount: try fields.integer("index_n_heads", ModelConfiguration.headCountRange),
      headDimension: try fields.integer("index_head_dim", ModelConfiguration.headRange),
      selectedCount: try fields.integer("index_topk", ModelConfiguration.positionRange))
  }

  /// One theta a type of layer; the class knows no factor for YaRN in the softmax, and no checkpoint asks for it.
  private func rope(_ type: LayerType) throws(Failure) -> RopeConfiguration {
    let outer = try fields.optionalNumber("rope_theta", RopeConfiguration.thetaRange)
    var parameters = try fields.fields("rope_scaling")
    if parameters?.object.isEmpty ?? true { parameters = try fields.fields("rope_parameters") }
    guard let all = parameters, !all.object.isEmpty else {
      let sliding = try fields.optionalNumber("swa_rope_theta", RopeConfiguration.thetaRange)
      return RopeConfiguration(theta: type == .sliding ? sliding ?? 50_000 : outer ?? Self.defaultTheta)
    }
    let isNested = LayerType.allCases.contains { all.has($0.rawValue) }
    guard let own = isNested ? try all.fields(type.rawValue) : all else {
      throw Failure(.malformed, "\(fields.file): \(all.path)\(type.rawValue) is missing; expected an object")
    }
    let key = own.value("rope_type") == nil ? "type" : "rope_type"
    if let name = try own.optionalString(key), name != "default" {
      throw own.unsupported(key, .string(name), supported: "default with dots3_note")
    }
    let theta = try own.optionalNumber("rope_theta", RopeConfiguration.thetaRange)
    return RopeConfiguration(theta: theta ?? outer ?? Self.defaultTheta)
  }

  private static let defaultTheta = 80_000_000.0

  // MARK: - Overrides

  private static let ownFields = [
    "num_attention_heads", "num_key_value_heads", "q_lora_rank", "kv_lora_rank", "head_dim", "qk_nope_head_dim",
    "qk_rope_head_dim", "v_head_dim",
  ]

  private func apply(_ own: JSONFields, to kind: inout LatentAttentionConfiguration) throws(Failure) {
    for key in own.object.keys where !Self.ownFields.contains(key) {
      throw own.unsupported(key, own.object[key] ?? .null, supported: Self.ownFields.joined(separator: ", "))
    }
    var all = fields.object
    for key in Self.ownFields { all[key] = own.object[key] ?? all[key] }
    let merged = try JSONFields(.object(all), file: own.file, path: own.path)
    guard merged.value("q_lora_rank") != nil else {
      throw merged.unsupported("q_lora_rank", .null, supported: "an integer with dots3_note")
    }
    let sizes = try AttentionSizes(merged)
    kind.headCount = sizes.headCount
    kind.qLoraRank = sizes.qLoraRank
    kind.kvLoraRank = sizes.kvLoraRank
    kind.qkNopeHeadDimension = sizes.qkNopeHeadDimension
    kind.qkRopeHeadDimension = sizes.qkRopeHeadDimension
    kind.vHeadDimension = sizes.vHeadDimension
  }

  private func check(_ indexer: IndexerConfiguration, _ kind: LatentAttentionConfiguration) throws(Failure) {
    guard kind.qkRopeHeadDimension > indexer.headDimension else { return }
    throw fields.wrong(
      "index_head_dim", .integer(Int64(indexer.headDimension)),
      expected: "at least qk_rope_head_dim, which is \(kind.qkRopeHeadDimension)")
  }

  private func check(
    _ kind: LatentAttentionConfiguration, _ type: LayerType, _ own: JSONFields
  ) throws(Failure) {
    guard type == .sliding, hasLayerOverrides else { return }
    let width = try own.optionalInteger("head_dim", ModelConfiguration.headRange)
    let global = try fields.optionalInteger("head_dim", ModelConfiguration.headRange)
    let found = width ?? global ?? 256
    guard found == kind.qkHeadDimension else {
      throw own.wrong(
        "head_dim", .integer(Int64(found)),
        expected: "the sum of qk_nope_head_dim and qk_rope_head_dim, which is \(kind.qkHeadDimension)")
    }
  }

  /// With the latents' factors, which follow from the sizes.
  private func rescaled(_ kind: LatentAttentionConfiguration) -> LatentAttentionConfiguration {
    var kind = kind
    let hidden = Double(hiddenSize)
    if let rank = kind.qLoraRank { kind.queryLatentFactor = Float((hidden / Double(rank)).squareRoot()) }
    kind.latentFactor = Float((hidden / Double(kind.kvLoraRank)).squareRoot())
    return kind
  }
}
