import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

/// Finds every tensor of a model by its published name and checks its shape and type.
struct Binding {
  let configuration: ModelConfiguration
  let precision: WeightPrecision
  let names: TensorNames
  var source: TensorSource

  /// - Parameters:
  ///   - store: the loaded tensors; nil to check headers only.
  ///   - panels: memory for the packed matrices, which `source.packingJobs` then fill.
  init(
    _ configuration: ModelConfiguration, _ checkpoint: Checkpoint, precision: WeightPrecision = .native,
    store: TensorStore? = nil, panels: AlignedBuffer? = nil
  ) {
    self.configuration = configuration
    self.precision = precision
    names = TensorNames(checkpoint)
    source = TensorSource(checkpoint, store: store, panels: panels, configuration.quantization)
  }

  mutating func weights() throws(Failure) -> ModelWeights {
    let hidden = configuration.hiddenSize
    let vocabulary = configuration.vocabularySize
    let embedding = try source.matrix(names.embedding, rows: vocabulary, columns: hidden)
    var layers: [LayerWeights] = []
    for index in 0..<configuration.hiddenLayerCount { layers.append(try layer(index)) }
    let norm = try source.vector(names.finalNorm, count: hidden)
    // A head that is the embedding stays as it is, since it would be there twice.
    let head: Weight =
      configuration.tiesWordEmbeddings
      ? .rows(embedding) : try weight(names.head, rows: vocabulary, columns: hidden, .head)
    return ModelWeights(
      embedding: embedding, layers: layers, finalNorm: norm, head: head, store: source.store, panels: source.panels,
      floats: source.floats)
  }

  private mutating func weight(
    _ name: String, rows: Int, columns: Int, _ part: WeightPart
  ) throws(Failure) -> Weight {
    try source.weight(name, rows: rows, columns: columns, as: precision.packedType(of: part))
  }

  private mutating func layer(_ index: Int) throws(Failure) -> LayerWeights {
    let hidden = configuration.hiddenSize
    let kind = configuration.feedForward[index]
    return LayerWeights(
      inputNorm: try source.vector("\(names.layer(index))input_layernorm.weight", count: hidden),
      attention: try attention(index),
      feedForwardNorm: try source.vector("\(names.layer(index))post_attention_layernorm.weight", count: hidden),
      feedForward: kind == .dense
        ? .dense(try gated(names.feedForward(index, ""), width: configuration.intermediateSize))
        : .experts(try experts(index)))
  }

  // MARK: - Attention

  private mutating func attention(_ layer: Int) throws(Failure) -> AttentionWeights {
    let a = configuration.attentions[configuration.attentionKinds[layer]]
    let hidden = configuration.hiddenSize
    var weights = AttentionWeights(
      query: try query(layer, a),
      latent: try linear(
        layer, "kv_a_proj_with_mqa", rows: a.latentWidth, columns: hidden, .latentProjection, a.hasBias),
      latentNorm: try source.vector(
        names.attention(layer, "kv_a_layernorm.weight"), count: a.kvLoraRank, factor: a.latentFactor),
      expansion: try expansion(layer, a),
      output: try linear(
        layer, "o_proj", rows: hidden, columns: a.headCount * a.vHeadDimension, .outputProjection, a.hasBias))
    if a.normalizesRotatedKey {
      weights.rotatedKeyNorm = try source.vector(
        names.attention(layer, "k_rope_only_layernorm.weight"), count: a.qkRopeHeadDimension)
    }
    if a.gatesHeads {
      weights.headGate = try linear(layer, "g_proj", rows: a.headCount, columns: hidden, .outputProjection, false)
    }
    if let indexer = a.indexer { weights.indexer = try self.indexer(layer, indexer, rank: a.qLoraRank) }
    return weights
  }

  private mutating func query(_ layer: Int, _ a: AttentionConfiguration) throws(Failure) -> QueryWeights {
    let rows = a.headCount * a.qkHeadDimension
    guard let rank = a.qLoraRank else {
      return .direct(
        try weight(
          names.attention(layer, "q_proj.weight"), rows: rows, columns: configuration.hiddenSize, .queryProjection))
    }
    return .lowRank(
      down: try linear(
        layer, "q_a_proj", rows: rank, columns: configuration.hiddenSize, .queryProjection, a.hasBias),
      norm: try source.vector(
        names.attention(layer, "q_a_layernorm.weight"), count: rank, factor: a.queryLatentFactor),
      up: try weight(names.attention(layer, "q_b_proj.weight"), rows: rows, columns: rank, .queryProjection))
  }

  private mutating func expansion(_ layer: Int, _ a: AttentionConfiguration) throws(Failure) -> ExpansionWeights {
    let name = names.attention(layer, "kv_b_proj.weight")
    let (keys, values) = (a.qkNopeHeadDimension, a.vHeadDimension)
    guard let type = precision.packedType(of: .latentExpansion) else {
      return .rows(try source.matrix(name, rows: a.headCount * (keys + values), columns: a.kvLoraRank))
    }
    let panels = try source.panels(
      name, count: a.headCount, rows: keys + values, columns: a.kvLoraRank,
      parts: [.init(rows: 0..<keys, isTransposed: true), .init(rows: keys..<keys + values)], as: type)
    return .panels(keys: panels[0], values: panels[1])
  }

  private mutating func indexer(
    _ layer: Int, _ indexer: IndexerConfiguration, rank: Int?
  ) throws(Failure) -> IndexerWeights {
    let hidden = configuration.hiddenSize
    let width = indexer.headDimension
    return IndexerWeights(
      query: try linear(
        layer, "indexer.wq_b", rows: indexer.headCount * width, columns: rank ?? hidden, .indexer, false),
      key: try linear(layer, "indexer.wk", rows: width, columns: hidden, .indexer, false),
      keyNorm: try source.vector(names.attention(layer, "indexer.k_norm.weight"), count: width),
      keyNormBias: try source.vector(names.attention(layer, "indexer.k_norm.bias"), count: width),
      headWeights: try linear(
        layer, "indexer.weights_proj", rows: indexer.headCount, columns: hidden, .indexer, false))
  }

  /// A projection of the attention block; `attention_bias` gives some of them a bias.
  private mutating func linear(
    _ layer: Int, _ name: String, rows: Int, columns: Int, _ part: WeightPart, _ hasBias: Bool
  ) throws(Failure) -> Linear {
    let weight = try weight(names.attention(layer, "\(name).weight"), rows: rows, columns: columns, part)
    guard hasBias else { return Linear(weight: weight, bias: nil) }
    return Linear(weight: weight, bias: try source.vector(names.attention(layer, "\(name).bias"), count: rows))
  }

  // MARK: - Feed-forward

  private mutating func gated(_ prefix: String, width: Int) throws(Failure) -> GatedWeights {
    let hidden = configuration.hiddenSize
    return GatedWeights(
      gate: try weight("\(prefix)gate_proj.weight", rows: width, columns: hidden, .feedForward),
      up: try weight("\(prefix)up_proj.weight", rows: width, columns: hidden, .feedForward),
      down: try weight("\(prefix)down_proj.weight", rows: hidden, columns: width, .feedForward))
  }

  private mutating func experts(_ layer: Int) throws(Failure) -> ExpertsWeights {
    let count = configuration.router.expertCount
    let width = configuration.moeIntermediateSize
    let router = try source.exactMatrix(
      names.feedForward(layer, "gate.weight"), rows: count, columns: configuration.hiddenSize)
    var bias: FloatVector?
    if configuration.router.method == .noAuxiliaryLoss {
      bias = try source.vector(names.feedForward(layer, "gate.e_score_correction_bias"), count: count)
    }
    var experts: [GatedWeights] = []
    if source.has(names.feedForward(layer, "experts.gate_up_proj")) {
      experts = try fusedExperts(layer, count: count, width: width)
    } else {
      experts.reserveCapacity(count)
      for index in 0..<count {
        experts.append(try gated(names.feedForward(layer, "experts.\(index)."), width: width))
      }
    }
    var shared: GatedWeights?
    if configuration.sharedExpertCount > 0 {
      shared = try gated(names.feedForward(layer, "shared_experts."), width: configuration.sharedExpertsWidth)
    }
    return ExpertsWeights(router: router, correctionBias: bias, experts: experts, shared: shared)
  }

  /// transformers' own layout: gate_up_proj [experts, 2 * width, hidden], down_proj [experts, hidden, width].
  private mutating func fusedExperts(_ layer: Int, count: Int, width: Int) throws(Failure) -> [GatedWeights] {
    let hidden = configuration.hiddenSize
    let type = precision.packedType(of: .feedForward)
    let gateUp = try source.weights(
      names.feedForward(layer, "experts.gate_up_proj"), count: count, rows: 2 * width, columns: hidden,
      parts: [0..<width, width..<2 * width], as: type)
    let down = try source.weights(
      names.feedForward(layer, "experts.down_proj"), count: count, rows: hidden, columns: width,
      parts: [0..<hidden], as: type)
    return zip(gateUp, down).map { gateUp, down in GatedWeights(gate: gateUp[0], up: gateUp[1], down: down[0]) }
  }
}

// MARK: - Leftovers

extension Binding {
  /// Tells the log about tensors that the model does not use.
  func reportLeftovers(_ log: Log) {
    let used = Set(source.names.map { ExactString($0) })
    var skipped = 0
    var unexpected: [String] = []
    let checkpoint = source.checkpoint
    let unread = checkpoint.unreadTensors.map(\.name)
    for name in checkpoint.tensorNames + unread where !used.contains(ExactString(name)) {
      switch names.leftover(name, configuration) {
      case .redundant, .tower: break
      case .nextTokenLayer: skipped += 1
      case .unexpected: unexpected.append(JSON.string(name).text())
      }
    }
    let folder = checkpoint.folder
    if skipped > 0 {
      log(.information, "\(folder): \(skipped) tensors of multi-token prediction layers are not used")
    }
    if !unexpected.isEmpty {
      log(
        .warning,
        "\(folder): \(unexpected.count) tensors are not part of the model: \(Binding.shortened(unexpected))")
    }
    let missing = checkpoint.missingTensorNames.map { JSON.string($0).text() }
    if !missing.isEmpty {
      log(
        .warning,
        "\(folder): the index lists \(missing.count) tensors that no shard has: \(Binding.shortened(missing)); the model"
          + " does not use them")
    }
  }

  private static func shortened(_ names: [String]) -> String {
    let more = names.count > shownNames ? " and \(names.count - shownNames) more" : ""
    return names.prefix(shownNames).joined(separator: ", ") + more
  }

  private static let shownNames = 8
}
