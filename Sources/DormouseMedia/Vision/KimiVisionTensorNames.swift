import DormouseWeights

/// The spellings under which a MoonViT tower and its projector are stored.
///
/// Files on the hub keep queries, keys and values of a layer in one matrix, as trained: neighbouring channels of a head
/// turn together. The modules of transformers keep them apart, and queries and keys permuted so that channels i and
/// i + half turn together (`PermuteForRope` of 5.23 `conversion_mapping`). Their scores are the same. What transformers'
/// `save_pretrained` writes has the hub's spelling but for a few names.
struct KimiVisionTensorNames {
  private let spellings: TensorSpellings
  /// Whether files have the hub's spelling of the layers.
  let isPublished: Bool

  init(_ checkpoint: Checkpoint) {
    let prefixes = ["", "model."]
    spellings = TensorSpellings(checkpoint: checkpoint, prefixes: prefixes)
    isPublished = prefixes.contains { checkpoint.has("\($0)vision_tower.encoder.blocks.0.wqkv.weight") }
  }

  var patchEmbedding: String {
    spellings.find(["vision_tower.patch_embed.proj", "vision_tower.encoder.patch_embed.proj"])
  }

  var positions: String {
    spellings.find(
      ["vision_tower.patch_embed.pos_emb.weight", "vision_tower.patch_embed.pos_emb.position_embeddings"], ending: "")
  }

  var finalNorm: String { spellings.find(["vision_tower.encoder.final_layernorm", "vision_tower.final_layernorm"]) }

  private func layer(_ index: Int, _ published: String, _ module: String) -> String {
    spellings.find([
      isPublished ? "vision_tower.encoder.blocks.\(index).\(published)" : "vision_tower.layers.\(index).\(module)"
    ])
  }

  func attentionNorm(_ index: Int) -> String { layer(index, "norm0", "norm1") }
  func feedForwardNorm(_ index: Int) -> String { layer(index, "norm1", "norm2") }
  /// Queries, keys and values in one matrix, where `isPublished`.
  func fused(_ index: Int) -> String { layer(index, "wqkv", "") }
  func query(_ index: Int) -> String { layer(index, "", "attn.q_proj") }
  func key(_ index: Int) -> String { layer(index, "", "attn.k_proj") }
  func value(_ index: Int) -> String { layer(index, "", "attn.v_proj") }
  func output(_ index: Int) -> String { layer(index, "wo", "attn.proj") }
  func up(_ index: Int) -> String { layer(index, "mlp.fc0", "mlp.fc1") }
  func down(_ index: Int) -> String { layer(index, "mlp.fc1", "mlp.fc2") }

  // Kimi K2.5 on the hub, Kimi-VL, and the modules of transformers.
  var projectorNorm: String { spellings.find(["mm_projector.pre_norm", "multi_modal_projector.pre_norm"]) }
  var projectorIn: String {
    spellings.find(["mm_projector.proj.0", "multi_modal_projector.linear_1", "mm_projector.in_proj"])
  }
  var projectorOut: String {
    spellings.find(["mm_projector.proj.2", "multi_modal_projector.linear_2", "mm_projector.out_proj"])
  }
}
