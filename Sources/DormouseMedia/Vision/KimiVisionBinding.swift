import DormouseLayers
import DormouseWeights

/// The tensors of a MoonViT tower and its projector, under the spellings in which they are stored.
///
/// Files on the hub keep queries, keys and values of a layer in one matrix, as trained: neighbouring channels of a head
/// turn together. The modules of transformers keep them apart, and queries and keys permuted so that channels i and
/// i + half turn together (`PermuteForRope` of 5.23 `conversion_mapping`). Their scores are the same. What transformers'
/// `save_pretrained` writes has the hub's spelling but for a few names.
struct MoonViTTensors {
  private let c: VisionConfiguration
  private let spellings: TensorSpellings
  /// Whether files have the hub's spelling of the layers.
  private let isPublished: Bool

  init(_ configuration: VisionConfiguration, _ checkpoint: Checkpoint) {
    c = configuration
    let prefixes = ["", "model."]
    spellings = TensorSpellings(checkpoint: checkpoint, prefixes: prefixes)
    isPublished = prefixes.contains { checkpoint.has("\($0)vision_tower.encoder.blocks.0.wqkv.weight") }
  }

  /// The projector's names are those of Kimi K2.5 on the hub, of Kimi-VL, and of the modules of transformers.
  var all: TensorGroup<VisionWeights> {
    let positions = spellings.find(
      ["vision_tower.patch_embed.pos_emb.weight", "vision_tower.patch_embed.pos_emb.position_embeddings"], ending: "")
    return TensorGroup(
      linear(
        ["vision_tower.patch_embed.proj", "vision_tower.encoder.patch_embed.proj"],
        shape: [c.hiddenSize, 3, c.patchSize, c.patchSize]),
      TensorGroup(c.positions.map { .floats(positions, shape: [$0.height, $0.width, c.hiddenSize]) }),
      TensorGroup((0..<c.hiddenLayerCount).map(layer)),
      norm(["vision_tower.encoder.final_layernorm", "vision_tower.final_layernorm"], c.normEpsilon),
      norm(["mm_projector.pre_norm", "multi_modal_projector.pre_norm"], c.projectorNormEpsilon),
      linear(
        ["mm_projector.proj.0", "multi_modal_projector.linear_1", "mm_projector.in_proj"],
        shape: [c.mergedWidth, c.mergedWidth]),
      linear(
        ["mm_projector.proj.2", "multi_modal_projector.linear_2", "mm_projector.out_proj"],
        shape: [c.textHiddenSize, c.mergedWidth])
    ) { [isPublished] in
      VisionWeights(
        patchEmbedding: $0, embeddingNorm: nil, positions: $1, layers: $2, finalNorm: $3, projectorNorm: $4,
        projectorIn: $5, projectorOut: $6, ropeInterleaved: isPublished)
    }
  }

  private func layer(_ index: Int) -> TensorGroup<VisionLayerWeights> {
    func names(_ published: String, _ module: String) -> [String] {
      [isPublished ? "vision_tower.encoder.blocks.\(index).\(published)" : "vision_tower.layers.\(index).\(module)"]
    }
    let (hidden, wide) = (c.hiddenSize, c.intermediateSize)
    let square = [hidden, hidden]
    let projections: TensorGroup<VisionProjections> =
      isPublished
      ? .fused(spellings.find(names("wqkv", "")), hidden: hidden, hasBias: c.hasAttentionBias)
      : TensorGroup(
        linear(names("", "attn.q_proj"), shape: square), linear(names("", "attn.k_proj"), shape: square),
        linear(names("", "attn.v_proj"), shape: square)
      ) { VisionProjections(query: $0, key: $1, value: $2) }
    return TensorGroup(
      norm(names("norm0", "norm1"), c.normEpsilon), projections, linear(names("wo", "attn.proj"), shape: square),
      norm(names("norm1", "norm2"), c.normEpsilon), linear(names("mlp.fc0", "mlp.fc1"), shape: [wide, hidden]),
      linear(names("mlp.fc1", "mlp.fc2"), shape: [hidden, wide])
    ) {
      VisionLayerWeights(
        attentionNorm: $0, projections: $1, headNorms: nil, output: $2, networkNorm: $3,
        network: .plain(up: $4, down: $5))
    }
  }

  private func norm(_ names: [String], _ epsilon: Float) -> TensorGroup<NormWeights> {
    .layerNorm(spellings.find(names), count: c.hiddenSize, epsilon: epsilon)
  }

  private func linear(_ names: [String], shape: [Int]) -> TensorGroup<Linear> {
    .linear(spellings.find(names), shape: shape)
  }
}
