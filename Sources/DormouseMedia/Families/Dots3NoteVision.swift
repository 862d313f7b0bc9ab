import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

/// dots3-note's tower (transformers 5.23 `Dots3NoteVisionConfig`), whose class defaults stand where a field is missing,
/// under transformers' names and those of the published `config.json`: `embed_dim` there is the tower's width, and
/// `hidden_size` the adapter's. It sees each frame alone, and knows no limit but the number of patches.
struct Dots3NoteVision: VisionFamily {
  /// A folder may be the text model's alone.
  func towers(_ fields: JSONFields) -> [any TowerConfiguration.Type] {
    let all: [(key: String, tower: any TowerConfiguration.Type)] = [
      ("vision_config", VisionConfiguration.self), ("audio_config", DotsAudioConfiguration.self),
    ]
    return all.filter { fields.value($0.key) != nil }.map(\.tower)
  }

  func configuration(_ fields: JSONFields, _ vision: JSONFields?) throws(Failure) -> VisionConfiguration? {
    guard let vision else { return nil }
    return try VisionConfiguration(dots: fields, vision)
  }

  func tensors(_ c: VisionConfiguration, in checkpoint: Checkpoint) -> TensorGroup<VisionWeights> {
    Dots3NoteVisionTensors(c, checkpoint).all
  }

  func processors(folder: String, _ c: VisionConfiguration) throws(Failure) -> VisionProcessors {
    VisionProcessors(
      images: ImageProcessor(try .load(folder: folder, for: c)),
      videos: VideoProcessor(try .load(folder: folder, for: c)), imageToken: "<|imgpad|>", videoToken: "<|video_pad|>",
      videoPaddings: ["<|video_pad|>"])
  }
}

extension JSONFields {
  /// `hidden_size` of dots3-note's text model, whose configuration published files have at the top.
  func dotsTextHiddenSize() throws(Failure) -> Int {
    let text = try fields("text_config") ?? self
    return try text.optionalInteger("hidden_size", VisionConfiguration.widthRange) ?? 5120
  }
}

extension VisionConfiguration {
  /// - Parameters:
  ///   - fields: the whole document.
  ///   - vision: its `vision_config`.
  fileprivate init(dots fields: JSONFields, _ vision: JSONFields) throws(Failure) {
    try vision.require(Self.knownDots)
    try vision.require(Self.knownDotsSwitches)
    for (key, only) in [("num_channels", 3), ("temporal_patch_size", 1)] {
      guard let found = try vision.optionalInteger(key, 0...Self.widthRange.upperBound), found != only else { continue }
      throw vision.unsupported(key, .integer(Int64(found)), supported: "\(only)")
    }
    let ownBias = try vision.optionalBoolean("attention_bias") ?? false
    let merge = try vision.optionalInteger("spatial_merge_size", 1...16) ?? 2
    let layers = try vision.optionalInteger("num_hidden_layers", 1...1024) ?? 42
    self.init(
      architecture: .dots3Note, patchSize: try vision.optionalInteger("patch_size", 1...256) ?? 14,
      hiddenSize: try vision.firstInteger(["embed_dim", "hidden_size"], Self.widthRange) ?? 1536,
      intermediateSize: try vision.optionalInteger("intermediate_size", Self.widthRange) ?? 4224,
      attentionHeadCount: try vision.firstInteger(["num_heads", "num_attention_heads"], 1...1024) ?? 24,
      networks: try DotsNetworks(vision).networks(layers: layers), positions: nil,
      mergeHeight: merge, mergeWidth: merge, ropeTheta: try vision.axialRopeTheta(), ropeOrder: .rowsFirst,
      normEpsilon: Float(try vision.optionalNumber("rms_norm_eps", Self.epsilonRange) ?? 1e-5),
      projectorNormEpsilon: 1e-6,
      hasAttentionBias: try vision.optionalBoolean("use_bias") ?? ownBias,
      hasNetworkBias: try vision.optionalBoolean("mlp_bias") ?? false,
      textHiddenSize: try fields.dotsTextHiddenSize(),
      tokens: Tokens(
        image: try fields.optionalInteger("image_token_id", Self.tokenRange) ?? 151660,
        video: try fields.optionalInteger("video_token_id", Self.tokenRange) ?? 151680),
      seesVideo: true, maximumFrames: 1, maximumSide: 4096)
    try checkAdapter(vision)
  }

  private static let knownDots = [
    "hidden_act": ["silu"], "adapter_type": ["patch_merger"], "router_scoring_func": ["sigmoid"],
  ]
  private static let knownDotsSwitches = [
    "use_qk_norm": true, "is_causal": false, "post_norm": true, "pre_pixel_shuffle": true,
  ]

  private func checkAdapter(_ vision: JSONFields) throws(Failure) {
    for (key, standard, expected, what) in [
      ("adapter_in_dim", 1536, hiddenSize, "the tower's width"),
      ("adapter_out_dim", 5120, textHiddenSize, "the text model's hidden_size"),
      ("adapter_merge_size", 2, mergeHeight, "spatial_merge_size"),
    ] {
      let found = try vision.optionalInteger(key, Self.widthRange) ?? standard
      guard found == expected else {
        throw vision.wrong(key, .integer(Int64(found)), expected: "\(expected), as \(what)")
      }
    }
    let isSparse = networks.contains { if case .experts = $0 { true } else { false } }
    guard !(hasNetworkBias && isSparse) else {
      throw vision.unsupported("mlp_bias", .bool(true), supported: "false with experts")
    }
  }
}

/// Which layers have experts, and how many: a list `pyramid_num_routed` with a number above 0 for those that have, as
/// published, or transformers' `mlp_layer_types` and `per_layer_config`.
private struct DotsNetworks {
  private static let countRange = 1...65536
  private static let published: [Int?] =
    [Int](repeating: -1, count: 25) + Array(stride(from: 4, through: 64, by: 4)) + [64]

  private let vision: JSONFields
  private let width: Int
  private let perToken: Int
  private let scalingFactor: Float

  init(_ vision: JSONFields) throws(Failure) {
    self.vision = vision
    width = try vision.optionalInteger("moe_intermediate_size", VisionConfiguration.widthRange) ?? 2112
    let capacity = try Self.capacity(vision)
    perToken = try vision.optionalInteger("num_experts_per_tok", Self.countRange) ?? capacity
    let published = try vision.optionalNumber("router_scale", 1e-6...1e6) ?? 1
    scalingFactor = Float(try vision.optionalNumber("router_scaling_factor", 1e-6...1e6) ?? published)
  }

  /// `capacity_factor`: a whole number, which published files write as 2.0.
  private static func capacity(_ vision: JSONFields) throws(Failure) -> Int {
    let found = try vision.optionalNumber("capacity_factor", 1...65536) ?? 2
    guard let whole = Int(exactly: found) else {
      throw vision.unsupported("capacity_factor", .number(found), supported: "whole numbers")
    }
    return whole
  }

  func networks(layers: Int) throws(Failure) -> [VisionConfiguration.Network] {
    if let counts = try vision.optionalArray("pyramid_num_routed") {
      return try pyramid(counts.map { $0.integerValue.flatMap { Int(exactly: $0) } }, "pyramid_num_routed", layers)
    }
    guard let types = try vision.optionalArray("mlp_layer_types") else {
      return try pyramid(Self.published, "num_hidden_layers", layers)
    }
    try require(types.count, layers, "mlp_layer_types")
    let own = try vision.fields("per_layer_config")
    let standard = try vision.optionalInteger("num_local_experts", Self.countRange) ?? 64
    var networks: [VisionConfiguration.Network] = []
    for (layer, type) in types.prefix(layers).enumerated() {
      switch type.stringValue {
      case "dense": networks.append(.gated)
      case "sparse": networks.append(try sparse(own?.fields("\(layer)"), standard))
      default:
        throw Failure(
          .malformed,
          "\(vision.file): \(vision.path)mlp_layer_types[\(layer)] is \(type.text());"
            + " expected \"dense\" or \"sparse\"")
      }
    }
    return networks
  }

  private func pyramid(_ counts: [Int?], _ key: String, _ layers: Int) throws(Failure) -> [VisionConfiguration.Network]
  {
    try require(counts.count, layers, key)
    var networks: [VisionConfiguration.Network] = []
    for (layer, count) in counts.prefix(layers).enumerated() {
      guard let count, count <= Self.countRange.upperBound else {
        throw Failure(
          .malformed,
          "\(vision.file): \(vision.path)\(key)[\(layer)] is not an integer up to"
            + " \(Self.countRange.upperBound)")
      }
      networks.append(count > 0 ? .experts(experts(count, min(perToken, count))) : .gated)
    }
    return networks
  }

  private func require(_ count: Int, _ layers: Int, _ key: String) throws(Failure) {
    guard count >= layers else {
      throw Failure(
        .malformed,
        "\(vision.file): \(vision.path)\(key) speaks of \(count) layers; expected \(layers), as num_hidden_layers")
    }
  }

  private func sparse(_ own: JSONFields?, _ standard: Int) throws(Failure) -> VisionConfiguration.Network {
    let count = try own?.optionalInteger("num_local_experts", Self.countRange) ?? standard
    let chosen = try own?.optionalInteger("num_experts_per_tok", Self.countRange) ?? perToken
    guard chosen <= count else {
      throw vision.wrong(
        "num_experts_per_tok", .integer(Int64(chosen)), expected: "at most the \(count) experts of a layer")
    }
    return .experts(experts(count, chosen))
  }

  private func experts(_ count: Int, _ perToken: Int) -> VisionConfiguration.Experts {
    VisionConfiguration.Experts(
      count: count, perToken: perToken, intermediateSize: width, scalingFactor: scalingFactor)
  }
}

/// The tensors of dots3-note's vision tower, under the published names and those of the modules of transformers 5.23
/// (whose `save_pretrained` writes the published ones).
private struct Dots3NoteVisionTensors {
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
