import DormouseSupport

/// Kimi's spellings: transformers' `kimi_k25`, Kimi K2.5's own (`vt_...`), and Kimi-VL's. Where a field is missing, the
/// class default of transformers 5.23 `Kimi_K25VisionConfig` stands: all published models have it.
extension VisionConfiguration {
  /// - Parameters:
  ///   - fields: the whole document.
  ///   - vision: its `vision_config`.
  init(kimi fields: JSONFields, _ vision: JSONFields, _ architecture: Architecture) throws(Failure) {
    let spelling = Spelling(vision)
    try vision.require(Self.known)
    let layers = try spelling.integer(["num_hidden_layers", "vt_num_hidden_layers"], 1...1024, default: 27)
    let merge = try spelling.mergeKernel()
    let publishedEpsilon = try vision.optionalNumber("projector_ln_eps", Self.epsilonRange) ?? 1e-5
    let epsilon = try fields.optionalNumber("projection_layer_norm_eps", Self.epsilonRange) ?? publishedEpsilon
    self.init(
      architecture: architecture, patchSize: try spelling.integer(["patch_size"], 1...256, default: 14),
      hiddenSize: try spelling.integer(["hidden_size", "vt_hidden_size"], Self.widthRange, default: 1152),
      intermediateSize: try spelling.integer(
        ["intermediate_size", "vt_intermediate_size"], Self.widthRange, default: 4304),
      attentionHeadCount: try spelling.integer(
        ["num_attention_heads", "vt_num_attention_heads"], 1...1024, default: 16),
      networks: [Network](repeating: .plain, count: layers),
      positions: Positions(
        height: try spelling.integer(["pos_emb_height", "init_pos_emb_height"], 1...4096, default: 64),
        width: try spelling.integer(["pos_emb_width", "init_pos_emb_width"], 1...4096, default: 64),
        frames: try spelling.integer(["pos_emb_time", "init_pos_emb_time"], 1...1024, default: 4)),
      mergeHeight: merge.0, mergeWidth: merge.1, ropeTheta: try vision.axialRopeTheta(), normEpsilon: 1e-5,
      projectorNormEpsilon: Float(epsilon), hasAttentionBias: true, hasNetworkBias: true,
      textHiddenSize: try Self.textHiddenSize(fields, vision), tokens: try Self.tokens(fields))
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
