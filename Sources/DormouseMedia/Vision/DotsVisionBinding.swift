import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

/// The tensors of dots3-note's vision tower, under the published names and those of the modules of transformers 5.23
/// (whose `save_pretrained` writes the published ones).
struct DotsVisionBinding {
  private let c: VisionConfiguration
  private let spellings: TensorSpellings
  private(set) var source: TensorSource

  init(_ configuration: VisionConfiguration, _ source: TensorSource) {
    c = configuration
    self.source = source
    spellings = TensorSpellings(
      checkpoint: source.checkpoint, prefixes: ["vision_encoder.", "model.vision_tower.", "vision_tower."])
  }

  mutating func weights() throws(Failure) -> VisionWeights {
    let patchEmbedding = try source.patchEmbedding(spellings.find(["patch_embed.proj"]), c)
    let embeddingNorm = try norm(["patch_embed.norm"], c.hiddenSize)
    var layers: [VisionLayerWeights] = []
    for (index, network) in c.networks.enumerated() { layers.append(try layer("blocks.\(index).", network)) }
    let finalNorm = try norm(["post_trunk_norm", "norm"], c.hiddenSize)
    let projectorNorm = try source.layerNorm(
      spellings.find(["adapter.ln_q", "merger.ln_q"]), count: c.hiddenSize, epsilon: c.projectorNormEpsilon)
    let projectorIn = try linear(["adapter.mlp.0", "merger.mlp.0"], c.mergedWidth, c.mergedWidth)
    return VisionWeights(
      patchEmbedding: patchEmbedding, embeddingNorm: embeddingNorm, positions: nil, layers: layers,
      finalNorm: finalNorm, projectorNorm: projectorNorm, projectorIn: projectorIn,
      projectorOut: try linear(["adapter.mlp.2", "merger.mlp.2"], c.textHiddenSize, c.mergedWidth),
      ropeInterleaved: false)
  }

  private mutating func layer(
    _ block: String, _ network: VisionConfiguration.Network
  ) throws(Failure) -> VisionLayerWeights {
    let attentionNorm = try norm(["\(block)norm_1", "\(block)norm1"], c.hiddenSize)
    let (query, key, value) = try source.fusedProjections(
      spellings.find(["\(block)attn.qkv"]), hidden: c.hiddenSize, hasBias: c.hasAttentionBias)
    let queryNorm = try norm(["\(block)attn.q_norm"], c.headDimension)
    let keyNorm = try norm(["\(block)attn.k_norm"], c.headDimension)
    return VisionLayerWeights(
      attentionNorm: attentionNorm, query: query, key: key, value: value, headNorms: (queryNorm, keyNorm),
      output: try linear(["\(block)attn.proj"], c.hiddenSize, c.hiddenSize, hasBias: c.hasAttentionBias),
      networkNorm: try norm(["\(block)norm_2", "\(block)norm2"], c.hiddenSize),
      network: try self.network("\(block)mlp.", network))
  }

  private mutating func network(
    _ prefix: String, _ kind: VisionConfiguration.Network
  ) throws(Failure) -> VisionNetworkWeights {
    guard case .experts(let experts) = kind else {
      return .gated(try gated(prefix, width: c.intermediateSize, hasBias: c.hasNetworkBias))
    }
    let router = try source.exactMatrix(
      spellings.find(["\(prefix)gate_weight", "\(prefix)gate.weight"], ending: ""), rows: experts.count,
      columns: c.hiddenSize)
    let bias = try source.vector(
      spellings.find(["\(prefix)router_bias", "\(prefix)e_score_correction_bias"], ending: ""), count: experts.count)
    return .experts(
      VisionExpertsWeights(
        sizes: experts, weights: ExpertsWeights(router: router, correctionBias: bias),
        experts: ResidentExperts([try self.experts(prefix, experts)])))
  }

  private mutating func gated(_ prefix: String, width: Int, hasBias: Bool) throws(Failure) -> GatedWeights {
    GatedWeights(
      gate: try linear(["\(prefix)fc1", "\(prefix)gate_proj"], width, c.hiddenSize, hasBias: hasBias),
      up: try linear(["\(prefix)fc3", "\(prefix)up_proj"], width, c.hiddenSize, hasBias: hasBias),
      down: try linear(["\(prefix)fc2", "\(prefix)down_proj"], c.hiddenSize, width, hasBias: hasBias))
  }

  /// One by one, or fused to [experts, rows, columns].
  private mutating func experts(
    _ prefix: String, _ experts: VisionConfiguration.Experts
  ) throws(Failure) -> [ExpertWeights] {
    let (count, width) = (experts.count, experts.intermediateSize)
    let fused = spellings.find(["\(prefix)experts.gate_up_proj"], ending: "")
    guard source.has(fused) else {
      var networks: [ExpertWeights] = []
      for index in 0..<count {
        let own = try gated("\(prefix)experts.\(index).", width: width, hasBias: false)
        networks.append(ExpertWeights(gate: own.gate.weight, up: own.up.weight, down: own.down.weight))
      }
      return networks
    }
    let gates = try source.matrices(fused, count: count, rows: 2 * width, columns: c.hiddenSize)
    let downs = try source.matrices(
      spellings.find(["\(prefix)experts.down_proj"], ending: ""), count: count, rows: c.hiddenSize, columns: width)
    return zip(gates, downs).map { both, down in
      ExpertWeights(
        gate: .rows(both.slice(rows: 0..<width)), up: .rows(both.slice(rows: width..<2 * width)), down: .rows(down))
    }
  }

  private mutating func norm(_ names: [String], _ count: Int) throws(Failure) -> NormWeights {
    try source.rmsNorm(spellings.find(names), count: count, epsilon: c.normEpsilon)
  }

  private mutating func linear(
    _ names: [String], _ rows: Int, _ columns: Int, hasBias: Bool = true
  ) throws(Failure) -> Linear {
    try source.linear(spellings.find(names), rows: rows, columns: columns, hasBias: hasBias)
  }
}
