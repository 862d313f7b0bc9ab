import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

/// The tensors of one layer's attention.
enum AttentionTensors {
  case latent(LatentAttentionTensors)
  case indexed(LatentAttentionTensors, IndexerTensors)

  /// - Parameter prefix: stands before every name.
  init(_ attention: AttentionConfiguration, hidden: Int, prefix: String) {
    let latent = LatentAttentionTensors(attention.latent, hidden: hidden, prefix: prefix)
    switch attention {
    case .latent: self = .latent(latent)
    case .indexed(let a, let indexer):
      let queryInputs = a.qLoraRank ?? hidden
      self = .indexed(
        latent, IndexerTensors(indexer, queryInputs: queryInputs, hidden: hidden, prefix: "\(prefix)indexer."))
    }
  }

  var all: [TensorSpec] {
    switch self {
    case .latent(let latent): latent.all
    case .indexed(let latent, let indexer): latent.all + indexer.all
    }
  }
}

/// The tensors of latent attention.
struct LatentAttentionTensors {
  enum Query {
    /// q_proj.
    case direct(TensorSpec)
    /// q_a_proj, q_a_layernorm, q_b_proj.
    case lowRank(down: LinearTensors, norm: TensorSpec, up: TensorSpec)
  }

  let query: Query
  let latent: LinearTensors
  let latentNorm, expansion: TensorSpec
  let output: LinearTensors
  let rotatedKeyNorm: TensorSpec?
  let headGate: LinearTensors?

  init(_ a: LatentAttentionConfiguration, hidden: Int, prefix: String) {
    func linear(_ name: String, _ rows: Int, _ part: TensorPart, columns: Int? = nil, hasBias: Bool) -> LinearTensors {
      LinearTensors("\(prefix)\(name)", rows: rows, columns: columns ?? hidden, part, hasBias: hasBias)
    }
    let queries = a.headCount * a.qkHeadDimension
    if let rank = a.qLoraRank {
      query = .lowRank(
        down: linear("q_a_proj", rank, .queryProjection, hasBias: a.hasBias),
        norm: .vector("\(prefix)q_a_layernorm.weight", count: rank, .queryProjection, factor: a.queryLatentFactor),
        up: .weight("\(prefix)q_b_proj.weight", rows: queries, columns: rank, .queryProjection))
    } else {
      query = .direct(.weight("\(prefix)q_proj.weight", rows: queries, columns: hidden, .queryProjection))
    }
    latent = linear("kv_a_proj_with_mqa", a.latentWidth, .latentProjection, hasBias: a.hasBias)
    latentNorm = .vector(
      "\(prefix)kv_a_layernorm.weight", count: a.kvLoraRank, .latentProjection, factor: a.latentFactor)
    let (keys, values) = (a.qkNopeHeadDimension, a.vHeadDimension)
    expansion = TensorSpec(
      "\(prefix)kv_b_proj.weight", shape: [a.headCount * (keys + values), a.kvLoraRank], part: .latentExpansion,
      role: .blocks(
        count: a.headCount, cuts: [RowCut(rows: 0..<keys, isTransposed: true), RowCut(rows: keys..<keys + values)]))
    output = linear("o_proj", hidden, .outputProjection, columns: a.headCount * a.vHeadDimension, hasBias: a.hasBias)
    rotatedKeyNorm =
      a.normalizesRotatedKey
      ? .vector("\(prefix)k_rope_only_layernorm.weight", count: a.qkRopeHeadDimension, .latentProjection) : nil
    headGate = a.gatesHeads ? linear("g_proj", a.headCount, .outputProjection, hasBias: false) : nil
  }

  var all: [TensorSpec] {
    let queries =
      switch query {
      case .direct(let weight): [weight]
      case .lowRank(let down, let norm, let up): down.all + [norm, up]
      }
    return queries + latent.all + [latentNorm, expansion] + output.all + (rotatedKeyNorm.map { [$0] } ?? [])
      + (headGate?.all ?? [])
  }
}

/// The tensors of what picks the positions that a token attends to.
struct IndexerTensors {
  let query, key: LinearTensors
  let keyNorm, keyNormBias: TensorSpec
  let headWeights: LinearTensors

  init(_ indexer: IndexerConfiguration, queryInputs: Int, hidden: Int, prefix: String) {
    let (heads, width) = (indexer.headCount, indexer.headDimension)
    query = LinearTensors("\(prefix)wq_b", rows: heads * width, columns: queryInputs, .indexer)
    key = LinearTensors("\(prefix)wk", rows: width, columns: hidden, .indexer)
    keyNorm = .vector("\(prefix)k_norm.weight", count: width, .indexer)
    keyNormBias = .vector("\(prefix)k_norm.bias", count: width, .indexer)
    headWeights = LinearTensors("\(prefix)weights_proj", rows: heads, columns: hidden, .indexer)
  }

  var all: [TensorSpec] { query.all + key.all + [keyNorm, keyNormBias] + headWeights.all }
}

/// The tensors of y = W x + b.
struct LinearTensors {
  let weight: TensorSpec
  let bias: TensorSpec?

  init(_ name: String, rows: Int, columns: Int, _ part: TensorPart, hasBias: Bool = false) {
    weight = .weight("\(name).weight", rows: rows, columns: columns, part)
    bias = hasBias ? .vector("\(name).bias", count: rows, part) : nil
  }

  var all: [TensorSpec] { [weight] + (bias.map { [$0] } ?? []) }
}

// MARK: - Bound

/// From hidden state to queries [heads * (nope + rope)].
enum QueryWeights: Sendable {
  /// q_proj [heads * (nope + rope), hidden].
  case direct(Weight)
  /// q_a_proj [qLoraRank, hidden], q_a_layernorm [qLoraRank], q_b_proj [heads * (nope + rope), qLoraRank].
  case lowRank(down: Linear, norm: FloatVector, up: Weight)
}

enum AttentionWeights: Sendable {
  case latent(LatentAttentionWeights)
  case indexed(LatentAttentionWeights, IndexerWeights)

  init(_ tensors: AttentionTensors, _ loaded: LoadedTensors) throws(Failure) {
    switch tensors {
    case .latent(let latent): self = .latent(try LatentAttentionWeights(latent, loaded))
    case .indexed(let latent, let indexer):
      self = .indexed(try LatentAttentionWeights(latent, loaded), try IndexerWeights(indexer, loaded))
    }
  }
}

struct LatentAttentionWeights: Sendable {
  let query: QueryWeights
  /// kv_a_proj_with_mqa [kvLoraRank + rope, hidden].
  let latent: Linear
  /// kv_a_layernorm [kvLoraRank].
  let latentNorm: FloatVector
  let expansion: ExpansionWeights
  /// o_proj [hidden, heads * v].
  let output: Linear
  /// k_rope_only_layernorm [rope].
  let rotatedKeyNorm: FloatVector?
  /// g_proj [heads, hidden].
  let headGate: Linear?

  init(_ tensors: LatentAttentionTensors, _ loaded: LoadedTensors) throws(Failure) {
    switch tensors.query {
    case .direct(let weight): query = .direct(try loaded.weight(weight))
    case .lowRank(let down, let norm, let up):
      query = .lowRank(down: try loaded.linear(down), norm: try loaded.floats(norm), up: try loaded.weight(up))
    }
    latent = try loaded.linear(tensors.latent)
    latentNorm = try loaded.floats(tensors.latentNorm)
    expansion = try ExpansionWeights(loaded.blocks(tensors.expansion))
    output = try loaded.linear(tensors.output)
    rotatedKeyNorm = if let norm = tensors.rotatedKeyNorm { try loaded.floats(norm) } else { nil }
    headGate = if let gate = tensors.headGate { try loaded.linear(gate) } else { nil }
  }
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

  init(_ tensors: IndexerTensors, _ loaded: LoadedTensors) throws(Failure) {
    query = try loaded.linear(tensors.query)
    key = try loaded.linear(tensors.key)
    keyNorm = try loaded.floats(tensors.keyNorm)
    keyNormBias = try loaded.floats(tensors.keyNormBias)
    headWeights = try loaded.linear(tensors.headWeights)
  }
}

extension LoadedTensors {
  func linear(_ tensors: LinearTensors) throws(Failure) -> Linear {
    let bias = try tensors.bias.map { (spec) throws(Failure) in try floats(spec) }
    return Linear(weight: try weight(tensors.weight), bias: bias)
  }
}
