import DormouseKernels
import DormouseSupport
import DormouseWeights

/// Finds every tensor of a model by its published name and checks its shape and type.
struct Binding {
  let configuration: ModelConfiguration
  let names: TensorNames
  var source: TensorSource

  /// - Parameter store: the loaded tensors; nil to check headers only.
  init(_ configuration: ModelConfiguration, _ checkpoint: Checkpoint, store: TensorStore?) {
    self.configuration = configuration
    names = TensorNames(checkpoint)
    source = TensorSource(checkpoint, store: store, configuration.quantization)
  }

  mutating func weights() throws(Failure) -> ModelWeights {
    let hidden = configuration.hiddenSize
    let vocabulary = configuration.vocabularySize
    let embedding = try source.matrix(names.embedding, rows: vocabulary, columns: hidden)
    var layers: [LayerWeights] = []
    for index in 0..<configuration.hiddenLayerCount { layers.append(try layer(index)) }
    let norm = try source.vector(names.finalNorm, count: hidden)
    let head =
      configuration.tiesWordEmbeddings
      ? embedding : try source.matrix(names.head, rows: vocabulary, columns: hidden)
    return ModelWeights(
      embedding: embedding, layers: layers, finalNorm: norm, head: head, store: source.store, floats: source.floats)
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
    let c = configuration
    let heads = c.attentionHeadCount
    return AttentionWeights(
      query: try query(layer),
      latent: try linear(layer, "kv_a_proj_with_mqa", rows: c.latentWidth, columns: c.hiddenSize),
      latentNorm: try source.vector(names.attention(layer, "kv_a_layernorm.weight"), count: c.kvLoraRank),
      expansion: try source.matrix(
        names.attention(layer, "kv_b_proj.weight"), rows: heads * (c.qkNopeHeadDimension + c.vHeadDimension),
        columns: c.kvLoraRank),
      output: try linear(layer, "o_proj", rows: c.hiddenSize, columns: heads * c.vHeadDimension))
  }

  private mutating func query(_ layer: Int) throws(Failure) -> QueryWeights {
    let rows = configuration.attentionHeadCount * configuration.qkHeadDimension
    guard let rank = configuration.qLoraRank else {
      return .direct(
        try source.matrix(names.attention(layer, "q_proj.weight"), rows: rows, columns: configuration.hiddenSize))
    }
    return .lowRank(
      down: try linear(layer, "q_a_proj", rows: rank, columns: configuration.hiddenSize),
      norm: try source.vector(names.attention(layer, "q_a_layernorm.weight"), count: rank),
      up: try source.matrix(names.attention(layer, "q_b_proj.weight"), rows: rows, columns: rank))
  }

  /// One of the three projections that `attention_bias` gives a bias.
  private mutating func linear(_ layer: Int, _ part: String, rows: Int, columns: Int) throws(Failure) -> Linear {
    let weight = try source.matrix(names.attention(layer, "\(part).weight"), rows: rows, columns: columns)
    guard configuration.attentionBias else { return Linear(weight: weight, bias: nil) }
    return Linear(weight: weight, bias: try source.vector(names.attention(layer, "\(part).bias"), count: rows))
  }

  // MARK: - Feed-forward

  private mutating func gated(_ prefix: String, width: Int) throws(Failure) -> GatedWeights {
    let hidden = configuration.hiddenSize
    return GatedWeights(
      gate: try source.matrix("\(prefix)gate_proj.weight", rows: width, columns: hidden),
      up: try source.matrix("\(prefix)up_proj.weight", rows: width, columns: hidden),
      down: try source.matrix("\(prefix)down_proj.weight", rows: hidden, columns: width))
  }

  private mutating func experts(_ layer: Int) throws(Failure) -> ExpertsWeights {
    let count = configuration.router.expertCount
    let width = configuration.moeIntermediateSize
    let router = try source.floatMatrix(
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
      let sharedWidth = try CheckedSize.product(
        width, configuration.sharedExpertCount, of: "the shared experts' width")
      shared = try gated(names.feedForward(layer, "shared_experts."), width: sharedWidth)
    }
    return ExpertsWeights(router: router, correctionBias: bias, experts: experts, shared: shared)
  }

  /// transformers' own layout: gate_up_proj [experts, 2 * width, hidden], down_proj [experts, hidden, width].
  private mutating func fusedExperts(_ layer: Int, count: Int, width: Int) throws(Failure) -> [GatedWeights] {
    let hidden = configuration.hiddenSize
    let gateUp = try source.matrices(
      names.feedForward(layer, "experts.gate_up_proj"), count: count, rows: 2 * width, columns: hidden)
    let down = try source.matrices(
      names.feedForward(layer, "experts.down_proj"), count: count, rows: hidden, columns: width)
    return zip(gateUp, down).map { gateUp, down in
      GatedWeights(gate: gateUp.slice(rows: 0..<width), up: gateUp.slice(rows: width..<2 * width), down: down)
    }
  }
}

// MARK: - Leftovers

extension Binding {
  /// Tells the log about tensors that the model does not use.
  func reportLeftovers(_ log: Log) {
    let used = Set(source.names.map { ExactString($0) })
    var skipped = 0
    var unexpected: [String] = []
    for name in source.checkpoint.tensorNames where !used.contains(ExactString(name)) {
      switch names.leftover(name, configuration) {
      case .redundant: break
      case .nextTokenLayer: skipped += 1
      case .unexpected: unexpected.append(JSON.string(name).text())
      }
    }
    let folder = source.checkpoint.folder
    if skipped > 0 {
      log(.information, "\(folder): \(skipped) tensors of multi-token prediction layers are not used")
    }
    if !unexpected.isEmpty {
      let shown = unexpected.prefix(Binding.shownNames).joined(separator: ", ")
      let more = unexpected.count > Binding.shownNames ? " and \(unexpected.count - Binding.shownNames) more" : ""
      log(.warning, "\(folder): \(unexpected.count) tensors are not part of the model: \(shown)\(more)")
    }
  }

  private static let shownNames = 8
}
