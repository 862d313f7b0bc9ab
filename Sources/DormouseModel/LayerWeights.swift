import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

/// From hidden state to queries [heads * (nope + rope)].
enum QueryWeights: Sendable {
  /// q_proj [heads * (nope + rope), hidden].
  case direct(Weight)
  /// q_a_proj [qLoraRank, hidden], q_a_layernorm [qLoraRank], q_b_proj [heads * (nope + rope), qLoraRank].
  case lowRank(down: Linear, norm: FloatVector, up: Weight)
}

struct AttentionWeights: Sendable {
  let query: QueryWeights
  /// kv_a_proj_with_mqa [kvLoraRank + rope, hidden].
  let latent: Linear
  /// kv_a_layernorm [kvLoraRank].
  let latentNorm: FloatVector
  let expansion: ExpansionWeights
  /// o_proj [hidden, heads * v].
  let output: Linear
  /// k_rope_only_layernorm [rope].
  var rotatedKeyNorm: FloatVector?
  /// g_proj [heads, hidden].
  var headGate: Linear?
  var indexer: IndexerWeights?
}

/// What picks the positions that a token attends to.
struct IndexerWeights: Sendable {
  /// wq_b [index heads * index head, qLoraRank].
  let query: Linear
  /// wk [index head, hidden].
  let key: Linear
  /// k_norm [index head], a layer norm.
  let keyNorm: FloatVector
  let keyNormBias: FloatVector
  /// weights_proj [index heads, hidden].
  let headWeights: Linear
}

/// down(silu(gate x) * up x): a dense layer's network, an expert, or the shared experts in one.
struct GatedWeights: Sendable {
  /// [width, hidden].
  let gate: Weight
  let up: Weight
  /// [hidden, width].
  let down: Weight

  var width: Int { gate.rows }
}

struct ExpertsWeights: Sendable {
  /// mlp.gate [experts, hidden], as the file has it.
  let router: WeightMatrix
  /// e_score_correction_bias [experts].
  let correctionBias: FloatVector?
  let experts: [GatedWeights]
  let shared: GatedWeights?
}

enum FeedForwardWeights: Sendable {
  case dense(GatedWeights)
  case experts(ExpertsWeights)
}

struct LayerWeights: Sendable {
  /// input_layernorm [hidden].
  let inputNorm: FloatVector
  let attention: AttentionWeights
  /// post_attention_layernorm [hidden].
  let feedForwardNorm: FloatVector
  let feedForward: FeedForwardWeights
}

/// All weights of a model, bound once; nothing is looked up by name later.
struct ModelWeights: Sendable {
  /// embed_tokens [vocabulary, hidden].
  let embedding: WeightMatrix
  let layers: [LayerWeights]
  /// norm [hidden].
  let finalNorm: FloatVector
  /// lm_head [vocabulary, hidden], or the embedding.
  let head: Weight
  /// What the matrices point into.
  let store: TensorStore?
  /// What the packed matrices point into.
  let panels: AlignedBuffer?
  /// What the vectors point into.
  let floats: [AlignedBuffer]
}
