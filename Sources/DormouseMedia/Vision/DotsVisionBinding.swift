import DormouseKernels
import DormouseLayers
import DormouseWeights

/// The tensors of dots3-note's vision tower, under the published names and those of the modules of transformers 5.23
/// (whose `save_pretrained` writes the published ones).
struct Dots3NoteVisionTensors {
  private let c: VisionConfiguration
  private let spellings: TensorSpellings

  init(_ configuration: VisionConfiguration, _ checkpoint: Checkpoint) {
    c = configuration
    spellings = TensorSpellings(
      checkpoint: checkpoint, prefixes: ["vision_encoder.", "model.vision_tower.", "vision_tower."])
  }

  var all: TensorGroup<VisionWeights> {
    TensorGroup(
      linear(["patch_embed.proj"], shape: [c.hiddenSize, 3, c.patchSize, c.patchSize]),
      norm(["patch_embed.norm"], c.hiddenSize),
      TensorGroup(c.networks.enumerated().map { layer("blocks.\($0).", $1) }),
      norm(["post_trunk_norm", "norm"], c.hiddenSize),
      .layerNorm(
        spellings.find(["adapter.ln_q", "merger.ln_q"]), count: c.hiddenSize, epsilon: c.projectorNormEpsilon),
      linear(["adapter.mlp.0", "merger.mlp.0"], shape: [c.mergedWidth, c.mergedWidth]),
      linear(["adapter.mlp.2", "merger.mlp.2"], shape: [c.textHiddenSize, c.mergedWidth])
    ) {
      VisionWeights(
        patchEmbedding: $0, embeddingNorm: $1, positions: nil, layers: $2, finalNorm: $3, projectorNorm: $4,
        projectorIn: $5, projectorOut: $6, ropeInterleaved: false)
    }
  }

  private func layer(_ block: String, _ network: VisionConfiguration.Network) -> TensorGroup<VisionLayerWeights> {
    TensorGroup(
      norm(["\(block)norm_1", "\(block)norm1"], c.hiddenSize),
      .fused(spellings.find(["\(block)attn.qkv"]), hidden: c.hiddenSize, hasBias: c.hasAttentionBias),
      norm(["\(block)attn.q_norm"], c.headDimension), norm(["\(block)attn.k_norm"], c.headDimension),
      linear(["\(block)attn.proj"], shape: [c.hiddenSize, c.hiddenSize], hasBias: c.hasAttentionBias),
      norm(["\(block)norm_2", "\(block)norm2"], c.hiddenSize), self.network("\(block)mlp.", network)
    ) {
      VisionLayerWeights(
        attentionNorm: $0, projections: $1, headNorms: ($2, $3), output: $4, networkNorm: $5, network: $6)
    }
  }

  private func network(_ prefix: String, _ kind: VisionConfiguration.Network) -> TensorGroup<VisionNetworkWeights> {
    guard case .experts(let own) = kind else {
      return TensorGroup(gated(prefix, width: c.intermediateSize, hasBias: c.hasNetworkBias)) { .gated($0) }
    }
    let router = spellings.find(["\(prefix)gate_weight", "\(prefix)gate.weight"], ending: "")
    let bias = spellings.find(["\(prefix)router_bias", "\(prefix)e_score_correction_bias"], ending: "")
    return TensorGroup(
      .matrix(router, rows: own.count, columns: c.hiddenSize, isExact: true), .floats(bias, shape: [own.count]),
      experts(prefix, own)
    ) {
      .experts(
        VisionExpertsWeights(
          sizes: own, weights: ExpertsWeights(router: $0, correctionBias: $1), experts: ResidentExperts([$2])))
    }
  }

  /// One by one, or fused to [experts, rows, columns].
  private func experts(
    _ prefix: String, _ experts: VisionConfiguration.Experts
  ) -> TensorGroup<[ExpertWeights]> {
    let (count, width) = (experts.count, experts.intermediateSize)
    let fused = spellings.find(["\(prefix)experts.gate_up_proj"], ending: "")
    guard spellings.checkpoint.has(fused) else {
      return TensorGroup(
        (0..<count).map { index in
          TensorGroup(gated("\(prefix)experts.\(index).", width: width, hasBias: false)) {
            ExpertWeights(gate: $0.gate.weight, up: $0.up.weight, down: $0.down.weight)
          }
        })
    }
    let down = spellings.find(["\(prefix)experts.down_proj"], ending: "")
    return TensorGroup(
      .fusedWeights(fused, count: count, cuts: [0..<width, width..<2 * width], columns: c.hiddenSize),
      .fusedWeights(down, count: count, cuts: [0..<c.hiddenSize], columns: width)
    ) { gates, downs in
      zip(gates, downs).map { both, down in
        ExpertWeights(gate: both[0], up: both[1], down: down[0])
      }
    }
  }

  private func gated(_ prefix: String, width: Int, hasBias: Bool) -> TensorGroup<GatedWeights> {
    TensorGroup(
      linear(["\(prefix)fc1", "\(prefix)gate_proj"], shape: [width, c.hiddenSize], hasBias: hasBias),
      linear(["\(prefix)fc3", "\(prefix)up_proj"], shape: [width, c.hiddenSize], hasBias: hasBias),
      linear(["\(prefix)fc2", "\(prefix)down_proj"], shape: [c.hiddenSize, width], hasBias: hasBias)
    ) { GatedWeights(gate: $0, up: $1, down: $2) }
  }

  private func norm(_ names: [String], _ count: Int) -> TensorGroup<NormWeights> {
    .rmsNorm(spellings.find(names), count: count, epsilon: c.normEpsilon)
  }

  private func linear(_ names: [String], shape: [Int], hasBias: Bool = true) -> TensorGroup<Linear> {
    .linear(spellings.find(names), shape: shape, hasBias: hasBias)
  }
}
