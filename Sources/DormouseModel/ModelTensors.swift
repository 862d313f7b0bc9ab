import DormouseLayers
import DormouseSupport
import DormouseWeights

/// The tensors of one layer's feed-forward half.
enum FeedForwardTensors {
  case dense(GatedTensors)
  case experts(ExpertsTensors)

  /// All of them, those together whose packed matrices lie together.
  var groups: [[TensorSpec]] {
    switch self {
    case .dense(let gated): gated.all.map { [$0] }
    case .experts(let experts): experts.groups
    }
  }
}

/// The tensors of one layer.
struct LayerTensors {
  let inputNorm: TensorSpec
  let attention: AttentionTensors
  let feedForwardNorm: TensorSpec
  let feedForward: FeedForwardTensors

  /// All of them, those together whose packed matrices lie together.
  var groups: [[TensorSpec]] {
    ([inputNorm] + attention.all + [feedForwardNorm]).map { [$0] } + feedForward.groups
  }
}

/// All tensors of a model.
struct ModelTensors {
  let embedding: TensorSpec
  let finalNorm: TensorSpec
  /// nil for a head that is the embedding.
  let head: TensorSpec?
  let configuration: ModelConfiguration
  private let names: TensorNames
  private let checkpoint: Checkpoint?

  /// - Parameter checkpoint: whose spelling the names have; nil to count, under any names and with all experts fused,
  ///   so that there are few tensors.
  init(_ c: ModelConfiguration, _ checkpoint: Checkpoint? = nil) {
    configuration = c
    self.checkpoint = checkpoint
    names = TensorNames(checkpoint)
    let table = [c.vocabularySize, c.hiddenSize]
    embedding = TensorSpec(names.embedding, shape: table, part: .embedding, role: .matrix)
    finalNorm = .vector(names.finalNorm, count: c.hiddenSize, .norm)
    head = c.tiesWordEmbeddings ? nil : TensorSpec(names.head, shape: table, part: .head, role: .weight)
  }

  var outsideLayers: [TensorSpec] { [embedding, finalNorm] + (head.map { [$0] } ?? []) }

  func layer(_ index: Int) -> LayerTensors {
    let c = configuration
    let prefix = names.layer(index)
    return LayerTensors(
      inputNorm: .vector("\(prefix)input_layernorm.weight", count: c.hiddenSize, .norm),
      attention: AttentionTensors(
        c.attentions[c.attentionKinds[index]], hidden: c.hiddenSize, prefix: "\(prefix)self_attn."),
      feedForwardNorm: .vector("\(prefix)post_attention_layernorm.weight", count: c.hiddenSize, .norm),
      feedForward: feedForward(index, prefix: "\(prefix)mlp."))
  }

  private func feedForward(_ index: Int, prefix: String) -> FeedForwardTensors {
    let c = configuration
    switch c.feedForward[index] {
    case .dense: return .dense(GatedTensors(prefix, width: c.intermediateSize, hidden: c.hiddenSize))
    case .experts:
      let isFused = checkpoint?.has(ExpertsTensors.fusedName(prefix)) ?? true
      return .experts(ExpertsTensors(c, prefix: prefix, isFused: isFused))
    }
  }

  /// Calls `body` with every tensor, in the order in which packed ones lie in memory, and with those together that lie
  /// together there.
  func forEachGroup(_ body: ([TensorSpec]) throws(Failure) -> Void) throws(Failure) {
    try body([embedding])
    for index in 0..<configuration.hiddenLayerCount { for group in layer(index).groups { try body(group) } }
    try body([finalNorm])
    if let head { try body([head]) }
  }

  /// Bytes that decoding one token reads of the tensors in `plan`: every matrix once, but one row of the embedding, and
  /// of a layer's routed experts those that the router picks.
  func byteCountPerToken(_ plan: TensorPlan) -> Int {
    func byteCount(_ specs: [TensorSpec]) -> Int { specs.reduce(0) { $0 + plan.byteCount(of: $1) } }
    var total = byteCount([embedding]) / configuration.vocabularySize + byteCount([head ?? embedding])
    for index in 0..<configuration.hiddenLayerCount {
      let layer = layer(index)
      total += byteCount(layer.attention.all)
      switch layer.feedForward {
      case .dense(let gated): total += byteCount(gated.all)
      case .experts(let experts):
        let one =
          if let fused = experts.fused { byteCount([fused.gateUp, fused.down]) / experts.count } else {
            byteCount(experts.expert(0).all)
          }
        total += byteCount([experts.router] + (experts.shared?.all ?? []))
        total += one * configuration.router.expertsPerToken
      }
    }
    return total
  }
}
