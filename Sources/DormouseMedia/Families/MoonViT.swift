import DormouseLayers
import DormouseSupport
import DormouseWeights

/// MoonViT: Kimi-VL (arXiv 2504.07491), and its extension to frames in Kimi K2.5.
///
/// Kimi's spellings are transformers' `kimi_k25`, Kimi K2.5's own (`vt_...`), and Kimi-VL's. Where a field is missing, the
/// class default of transformers 5.23 `Kimi_K25VisionConfig` stands: all published models have it.
struct MoonViT: VisionFamily {
  let architecture: VisionConfiguration.Architecture
  let seesVideo: Bool

  /// A model of either type may hear, too.
  func towers(_ fields: JSONFields) -> [any TowerConfiguration.Type] {
    let hears = fields.value("audio_config") != nil
    return hears ? [VisionConfiguration.self, WhisperTowerConfiguration.self] : [VisionConfiguration.self]
  }

  func configuration(_ fields: JSONFields, _ vision: JSONFields?) throws(Failure) -> VisionConfiguration? {
    let none = try JSONFields(.object(JSONObject()), file: fields.file, path: "vision_config.")
    return try VisionConfiguration(self, fields, vision ?? none)
  }

  func tensors(_ c: VisionConfiguration, in checkpoint: Checkpoint) -> TensorGroup<VisionWeights> {
    MoonViTTensors(c, checkpoint).all
  }

  /// transformers 5.23 has a token of its own for videos, Kimi's own processor the image's.
  func processors(folder: String, _ c: VisionConfiguration) throws(Failure) -> VisionProcessors {
    VisionProcessors(
      images: ImageProcessor(try .load(folder: folder)),
      videos: seesVideo ? VideoProcessor(try .load(folder: folder)) : nil, imageToken: "<|media_pad|>",
      videoToken: "<|kimi_k25_video_placeholder|>",
      videoPaddings: ["<|kimi_k25_video_placeholder|>", "<|media_pad|>"])
  }
}

extension VisionConfiguration {
  /// - Parameters:
  ///   - fields: the whole document.
  ///   - vision: its `vision_config`.
  fileprivate init(_ family: MoonViT, _ fields: JSONFields, _ vision: JSONFields) throws(Failure) {
    let spelling = Spelling(vision)
    try vision.require(Self.known)
    let layers = try spelling.integer(["num_hidden_layers", "vt_num_hidden_layers"], 1...1024, default: 27)
    let merge = try spelling.mergeKernel()
    let publishedEpsilon = try vision.optionalNumber("projector_ln_eps", Self.epsilonRange) ?? 1e-5
    let epsilon = try fields.optionalNumber("projection_layer_norm_eps", Self.epsilonRange) ?? publishedEpsilon
    let positions = Positions(
      height: try spelling.integer(["pos_emb_height", "init_pos_emb_height"], 1...4096, default: 64),
      width: try spelling.integer(["pos_emb_width", "init_pos_emb_width"], 1...4096, default: 64),
      frames: try spelling.integer(["pos_emb_time", "init_pos_emb_time"], 1...1024, default: 4))
    self.init(
      architecture: family.architecture, patchSize: try spelling.integer(["patch_size"], 1...256, default: 14),
      hiddenSize: try spelling.integer(["hidden_size", "vt_hidden_size"], Self.widthRange, default: 1152),
      intermediateSize: try spelling.integer(
        ["intermediate_size", "vt_intermediate_size"], Self.widthRange, default: 4304),
      attentionHeadCount: try spelling.integer(
        ["num_attention_heads", "vt_num_attention_heads"], 1...1024, default: 16),
      networks: [Network](repeating: .plain, count: layers), positions: positions, mergeHeight: merge.0,
      mergeWidth: merge.1, ropeTheta: try vision.axialRopeTheta(), ropeOrder: .alternating, normEpsilon: 1e-5,
      projectorNormEpsilon: Float(epsilon), hasAttentionBias: true, hasNetworkBias: true,
      textHiddenSize: try Self.textHiddenSize(fields, vision), tokens: try Self.tokens(fields),
      seesVideo: family.seesVideo, maximumFrames: family.seesVideo ? positions.frames : 1, maximumSide: 512)
    try checkProjector(fields, vision)
  }

  private static let known = [
    "model_type": ["kimi_k25_vision", "kimi_k25", "moonvit", ""], "hidden_act": ["gelu_pytorch_tanh"],
    "projector_hidden_act": ["gelu"], "merge_type": ["sd2_tpool"], "video_attn_type": ["spatial_temporal"],
    "pos_emb_type": ["divided_fixed"], "mm_projector_type": ["patchmerger"],
  ]

  private static func textHiddenSize(_ fields: JSONFields, _ vision: JSONFields) throws(Failure) -> Int {
    guard let text = try fields.fields("text_config") else {
      throw fields.wrong("text_config", .null, expected: "the text model's configuration")
    }
    let size = try text.integer("hidden_size", widthRange)
    if let said = try vision.optionalInteger("text_hidden_size", widthRange), said != size {
      throw vision.wrong("text_hidden_size", .integer(Int64(said)), expected: "\(size), as text_config.hidden_size")
    }
    return size
  }

  private static func tokens(_ fields: JSONFields) throws(Failure) -> Tokens {
    let published = try fields.optionalInteger("media_placeholder_token_id", tokenRange)
    let image = try fields.optionalInteger("image_token_id", tokenRange) ?? published ?? 163605
    // The published processors put the image's placeholder into videos too; transformers has one of its own.
    let video = try fields.optionalInteger("video_token_id", tokenRange) ?? (published == nil ? 163840 : image)
    return Tokens(image: image, video: video)
  }

  private func checkProjector(_ fields: JSONFields, _ vision: JSONFields) throws(Failure) {
    for (object, key) in [(fields, "projection_hidden_size"), (vision, "mm_hidden_size")] {
      guard let width = try object.optionalInteger(key, Self.widthRange), width != hiddenSize else { continue }
      throw object.wrong(key, .integer(Int64(width)), expected: "\(hiddenSize), as the tower's hidden_size")
    }
  }
}

/// The fields of `vision_config`, each under whichever of its names is there.
private struct Spelling {
  let fields: JSONFields

  init(_ fields: JSONFields) { self.fields = fields }

  /// - Throws: `Failure(.malformed)` also where two names of a field have different values.
  func integer(_ keys: [String], _ range: ClosedRange<Int>, default standard: Int) throws(Failure) -> Int {
    var found: (key: String, value: Int)?
    for key in keys {
      guard let value = try fields.optionalInteger(key, range) else { continue }
      if let found, found.value != value {
        throw fields.wrong(key, .integer(Int64(value)), expected: "\(found.value), as \(found.key)")
      }
      found = (key, value)
    }
    return found?.value ?? standard
  }

  /// Rows and columns of patches that make a token.
  func mergeKernel() throws(Failure) -> (Int, Int) {
    let range = 1...16
    guard let value = fields.value("merge_kernel_size") else { return (2, 2) }
    guard let pair = value.arrayValue else {
      let size = try fields.integer("merge_kernel_size", range)
      return (size, size)
    }
    let sizes = pair.compactMap { $0.integerValue.flatMap { Int(exactly: $0) } }
    guard pair.count == 2, sizes.count == 2, sizes.allSatisfy({ range.contains($0) }) else {
      throw Failure(
        .malformed,
        "\(fields.file): \(fields.path)merge_kernel_size is \(JSON.array(Array(pair.prefix(4))).text());"
          + " expected two integers from \(range.lowerBound) to \(range.upperBound)")
    }
    return (sizes[0], sizes[1])
  }
}

/// The tensors of a MoonViT tower and its projector, under the spellings in which they are stored.
///
/// Files on the hub keep queries, keys and values of a layer in one matrix, as trained: neighbouring channels of a head
/// turn together. The modules of transformers keep them apart, and queries and keys permuted so that channels i and
/// i + half turn together (`PermuteForRope` of 5.23 `conversion_mapping`). Their scores are the same. What transformers'
/// `save_pretrained` writes has the hub's spelling but for a few names.
private struct MoonViTTensors {
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
