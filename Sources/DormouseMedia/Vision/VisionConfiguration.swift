import DormouseLayers
public import DormouseSupport

/// The checked vision part of a model's `config.json`: a tower and its projector.
///
/// MoonViT (`kimi_k25` and `kimi_vl`, `VisionConfiguration+Kimi.swift`) and dots3-note's tower
/// (`VisionConfiguration+Dots.swift`), which have most of their steps in common.
public struct VisionConfiguration: Sendable, Equatable {
  public enum Architecture: String, Sendable, CaseIterable {
    case kimiK25 = "kimi_k25"
    case kimiVL = "kimi_vl"
    case dots3Note = "dots3_note"
  }

  public internal(set) var architecture: Architecture
  /// Pixels of a patch's side.
  public internal(set) var patchSize: Int
  public internal(set) var hiddenSize: Int
  /// Of a layer's network where it has no experts.
  public internal(set) var intermediateSize: Int
  public internal(set) var attentionHeadCount: Int
  /// What each layer's network is made of.
  public internal(set) var networks: [Network]
  /// The learned grid of positions; nil for a tower that knows places by rotation alone.
  public internal(set) var positions: Positions?
  /// Patches that a token is made of.
  public internal(set) var mergeHeight: Int
  public internal(set) var mergeWidth: Int
  public internal(set) var ropeTheta: Float
  /// Of the tower's norms.
  public internal(set) var normEpsilon: Float
  public internal(set) var projectorNormEpsilon: Float
  /// Whether the maps of attention, and of networks, have biases.
  public internal(set) var hasAttentionBias: Bool
  public internal(set) var hasNetworkBias: Bool
  /// Width of the rows that the projector makes: the text model's `hidden_size`.
  public internal(set) var textHiddenSize: Int
  public internal(set) var tokens: Tokens

  /// The network of a layer.
  public enum Network: Sendable, Equatable {
    /// Two maps with GELU between them.
    case plain
    /// `down(silu(gate(x)) * up(x))`.
    case gated
    /// Gated networks of which each patch sees a few.
    case experts(Experts)
  }

  public struct Experts: Sendable, Equatable {
    public internal(set) var count: Int
    /// Experts that a patch sees.
    public internal(set) var perToken: Int
    public internal(set) var intermediateSize: Int
    /// What the experts' weights, whose sum is 1, are multiplied by.
    public internal(set) var scalingFactor: Float

    var router: RouterConfiguration {
      RouterConfiguration(ungrouped: count, expertsPerToken: perToken, scalingFactor: scalingFactor)
    }
  }

  /// Rows, columns, and frames that a chunk may have.
  public struct Positions: Sendable, Equatable {
    public internal(set) var height: Int
    public internal(set) var width: Int
    public internal(set) var frames: Int
  }

  /// The placeholders of a prompt.
  public struct Tokens: Sendable, Equatable {
    /// Stands for each row of an image.
    public internal(set) var image: Int
    /// Stands for each row of a video, where it is not the image's; may lie outside of the vocabulary.
    public internal(set) var video: Int
  }

  public var hiddenLayerCount: Int { networks.count }
  public var headDimension: Int { hiddenSize / attentionHeadCount }
  /// Numbers of a patch.
  public var patchWidth: Int { 3 * patchSize * patchSize }
  /// Patches that a token is made of.
  public var mergeCount: Int { mergeHeight * mergeWidth }
  /// Numbers of a merged patch, what the projector's first product reads.
  public var mergedWidth: Int { mergeCount * hiddenSize }
  /// Frames that are seen together, at most.
  public var maximumFrames: Int { architecture == .kimiK25 ? positions?.frames ?? 1 : 1 }
  /// Whether the tower takes videos too.
  public var seesVideo: Bool { architecture != .kimiVL }

  /// Rows and columns of a grid, at most: what published Kimi towers were made for; dots3-note's know no limit but the
  /// number of patches.
  public var maximumSide: Int { architecture == .dots3Note ? 4096 : 512 }
}

extension VisionConfiguration {
  static let widthRange = 1...(1 << 20)
  static let tokenRange = 0...Int(Int32.max)
  static let epsilonRange = 1e-12...1e-1

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
    let none = try JSONFields(.object(JSONObject()), file: file, path: "vision_config.")
    let vision = try fields.fields("vision_config")
    switch found {
    case .kimiK25, .kimiVL: try self.init(kimi: fields, vision ?? none, found)
    case .dots3Note:
      // A folder of the text model alone.
      guard let vision else { return nil }
      try self.init(dots: fields, vision)
    }
    try checkDimensions(fields)
  }

  private func checkDimensions(_ fields: JSONFields) throws(Failure) {
    guard hiddenSize % attentionHeadCount == 0, headDimension % 4 == 0 else {
      throw Failure(
        .malformed,
        "\(fields.file): vision_config has hidden_size \(hiddenSize) and num_attention_heads \(attentionHeadCount);"
          + " expected heads of equal size, a multiple of 4 for the rotation along two axes")
    }
    _ = try CheckedSize.product(mergedWidth, mergedWidth, 4, of: "\(fields.file): the projector's size")
    guard let positions else { return }
    _ = try CheckedSize.product(
      positions.height, positions.width, hiddenSize, 4, of: "\(fields.file): the size of the position grid")
  }
}

extension JSONFields {
  /// Theta of an `axial` rotation.
  func axialRopeTheta() throws(Failure) -> Float {
    guard let rope = try fields("rope_parameters") else { return 10_000 }
    let type = try rope.optionalString("rope_type") ?? "axial"
    guard type == "axial" else { throw rope.unsupported("rope_type", .string(type), supported: "axial") }
    return Float(try rope.optionalNumber("rope_theta", 1...1e9) ?? 10_000)
  }
}
