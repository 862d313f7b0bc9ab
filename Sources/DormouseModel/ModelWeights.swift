import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

struct LayerWeights: Sendable {
  /// input_layernorm [hidden].
  let inputNorm: FloatVector
  let attention: AttentionWeights
  /// post_attention_layernorm [hidden].
  let feedForwardNorm: FloatVector
  let feedForward: FeedForwardWeights

  init(_ tensors: LayerTensors, _ loaded: LoadedTensors) throws(Failure) {
    inputNorm = try loaded.floats(tensors.inputNorm)
    attention = try AttentionWeights(tensors.attention, loaded)
    feedForwardNorm = try loaded.floats(tensors.feedForwardNorm)
    feedForward = try FeedForwardWeights(tensors.feedForward, loaded)
  }
}

/// All weights of a model, bound once; nothing is looked up by name later.
struct ModelWeights: Sendable {
  /// embed_tokens [vocabulary, hidden].
  let embedding: WeightMatrix
  let layers: [LayerWeights]
  /// The routed experts of all layers.
  let experts: ResidentExperts
  /// norm [hidden].
  let finalNorm: FloatVector
  /// lm_head [vocabulary, hidden], or the embedding.
  let head: Weight
  /// What the matrices point into.
  let store: TensorStore
  /// What the packed matrices point into.
  let panels: AlignedBuffer?
  /// What the vectors point into.
  let floats: [AlignedBuffer]

  init(_ tensors: ModelTensors, _ loaded: LoadedTensors) throws(Failure) {
    embedding = try loaded.matrix(tensors.embedding)
    var layers: [LayerWeights] = []
    var experts: [[ExpertWeights]] = []
    for index in 0..<tensors.configuration.hiddenLayerCount {
      let layer = tensors.layer(index)
      layers.append(try LayerWeights(layer, loaded))
      experts.append(try layer.feedForward.routedExperts(loaded))
    }
    self.layers = layers
    self.experts = ResidentExperts(experts)
    finalNorm = try loaded.floats(tensors.finalNorm)
    // A head that is the embedding stays as it is, since it would be there twice.
    head = if let head = tensors.head { try loaded.weight(head) } else { .rows(embedding) }
    store = loaded.store
    panels = loaded.panels
    floats = loaded.floats
  }
}
