public import DormouseSupport

/// The checked vision part of a model's `config.json`: a MoonViT tower and its projector.
///
/// Three spellings of the same fields are read: transformers' `kimi_k25`, Kimi K2.5's own (`vt_...`), and Kimi-VL's.
/// Where a field is missing, the class default of transformers 5.23 `Kimi_K25VisionConfig` stands: all published models
/// have it.
public struct VisionConfiguration: Sendable, Equatable {
  public enum Architecture: String, Sendable, CaseIterable {
    case kimiK25 = "kimi_k25"
    case kimiVL = "kimi_vl"
  }

  public internal(set) var architecture: Architecture
  /// Pixels of a patch's side.
  public internal(set) var patchSize: Int
  public internal(set) var hiddenSize: Int
  public internal(set) var intermediateSize: Int
  public internal(set) var hiddenLayerCount: Int
  public internal(set) var attentionHeadCount: Int
  /// The learned grid of positions: rows and columns.
  public internal(set) var positionHeight: Int
  public internal(set) var positionWidth: Int
  /// Frames that a chunk may have.
  public internal(set) var positionFrames: Int
  /// Patches that a token is made of.
  public internal(set) var mergeHeight: Int
  public internal(set) var mergeWidth: Int
  public internal(set) var ropeTheta: Float
  public internal(set) var projectorNormEpsilon: Float
  /// Width of the rows that the projector makes: the text model's `hidden_size`.
  public internal(set) var textHiddenSize: Int
  public internal(set) var tokens: Tokens

  /// The placeholders of a prompt.
  public struct Tokens: Sendable, Equatable {
    /// Stands for each row of a picture.
    public internal(set) var image: Int
    /// Stands for each row of a film, where it is not the picture's; may lie outside of the vocabulary.
    public internal(set) var video: Int
  }

  /// Of the tower's norms: fixed in all three implementations.
  static let normEpsilon: Float = 1e-5

  public var headDimension: Int { hiddenSize / attentionHeadCount }
  /// Numbers of a patch.
  public var patchWidth: Int { 3 * patchSize * patchSize }
  /// Patches that a token is made of.
  public var mergeCount: Int { mergeHeight * mergeWidth }
  /// Numbers of a merged patch, what the projector's first product reads.
  public var mergedWidth: Int { mergeCount * hiddenSize }

  /// Reads `config.json` of a model's folder; nil for a model without a vision tower of this kind.
  /// - Throws: `Failure` naming file, field, value and expectation: `.malformed` for what is missing or wrong,
  ///   `.unsupported` for a well-formed feature that Dormouse does not have.
  public static func load(folder: String) throws(Failure) -> VisionConfiguration? {
    let path = "\(folder)/config.json"
    return try VisionConfiguration(json: File.readJSON(path), file: path)
  }

  /// - Parameter file: how the document is called in failures.
  public init?(json: JSON, file: String = "config.json") throws(Failure) {
    let fields = try JSONFields(json, file: file)
    guard let name = try fields.optionalString("model_type"), let found = Architecture(rawValue: name) else {
      return nil
    }
    architecture = found
    let none = try JSONFields(.object(JSONObject()), file: file, path: "vision_config.")
    let vision = Spelling(try fields.fields("vision_config") ?? none)
    try vision.requireKnownFeatures()
    patchSize = try vision.integer(["patch_size"], 1...256, default: 14)
    hiddenSize = try vision.integer(["hidden_size", "vt_hidden_size"], Self.widthRange, default: 1152)
    intermediateSize = try vision.integer(
      ["intermediate_size", "vt_intermediate_size"], Self.widthRange, default: 4304)
    hiddenLayerCount = try vision.integer(["num_hidden_layers", "vt_num_hidden_layers"], 1...1024, default: 27)
    attentionHeadCount = try vision.integer(
      ["num_attention_heads", "vt_num_attention_heads"], 1...1024, default: 16)
    positionHeight = try vision.integer(["pos_emb_height", "init_pos_emb_height"], 1...4096, default: 64)
    positionWidth = try vision.integer(["pos_emb_width", "init_pos_emb_width"], 1...4096, default: 64)
    positionFrames = try vision.integer(["pos_emb_time", "init_pos_emb_time"], 1...1024, default: 4)
    (mergeHeight, mergeWidth) = try vision.mergeKernel()
    ropeTheta = try vision.ropeTheta()
    let epsilonRange = 1e-12...1e-1
    let publishedEpsilon = try vision.fields.optionalNumber("projector_ln_eps", epsilonRange) ?? 1e-5
    projectorNormEpsilon = Float(
      try fields.optionalNumber("projection_layer_norm_eps", epsilonRange) ?? publishedEpsilon)
    textHiddenSize = try Self.textHiddenSize(fields, vision.fields)
    tokens = try Self.tokens(fields)
    try checkDimensions(fields, vision.fields)
  }

  private static let widthRange = 1...(1 << 20)

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
    let range = 0...Int(Int32.max)
    let published = try fields.optionalInteger("media_placeholder_token_id", range)
    let image = try fields.optionalInteger("image_token_id", range) ?? published ?? 163605
    // The published processors put the picture's placeholder into films too; transformers has one of its own.
    let video = try fields.optionalInteger("video_token_id", range) ?? (published == nil ? 163840 : image)
    return Tokens(image: image, video: video)
  }

  private func checkDimensions(_ fields: JSONFields, _ vision: JSONFields) throws(Failure) {
    guard hiddenSize % attentionHeadCount == 0, headDimension % 4 == 0 else {
      throw Failure(
        .malformed,
        "\(fields.file): vision_config has hidden_size \(hiddenSize) and num_attention_heads \(attentionHeadCount);"
          + " expected heads of equal size, a multiple of 4 for the rotation along two axes")
    }
    for (object, key) in [(fields, "projection_hidden_size"), (vision, "mm_hidden_size")] {
      guard let width = try object.optionalInteger(key, Self.widthRange), width != hiddenSize else { continue }
      throw object.wrong(key, .integer(Int64(width)), expected: "\(hiddenSize), as the tower's hidden_size")
    }
    _ = try CheckedSize.product(mergedWidth, mergedWidth, 4, of: "\(fields.file): the projector's size")
    _ = try CheckedSize.product(
      positionHeight, positionWidth, hiddenSize, 4, of: "\(fields.file): the size of the position grid")
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

  /// What published models all have, refused where a file asks for something else.
  func requireKnownFeatures() throws(Failure) {
    let known = [
      "model_type": ["kimi_k25_vision", "kimi_k25", "moonvit", ""], "hidden_act": ["gelu_pytorch_tanh"],
      "projector_hidden_act": ["gelu"], "merge_type": ["sd2_tpool"], "video_attn_type": ["spatial_temporal"],
      "pos_emb_type": ["divided_fixed"], "mm_projector_type": ["patchmerger"],
    ]
    for (key, values) in known.sorted(by: { $0.key < $1.key }) {
      guard let value = try fields.optionalString(key), !values.contains(value) else { continue }
      throw fields.unsupported(
        key, .string(value), supported: values.filter { !$0.isEmpty }.joined(separator: ", "))
    }
  }

  func ropeTheta() throws(Failure) -> Float {
    guard let rope = try fields.fields("rope_parameters") else { return 10_000 }
    let type = try rope.optionalString("rope_type") ?? "axial"
    guard type == "axial" else { throw rope.unsupported("rope_type", .string(type), supported: "axial") }
    return Float(try rope.optionalNumber("rope_theta", 1...1e9) ?? 10_000)
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
