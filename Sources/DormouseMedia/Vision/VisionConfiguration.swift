import DormouseKernels
import DormouseLayers
public import DormouseSupport
import DormouseWeights

/// The checked vision part of a model's `config.json`: a tower and its projector.
///
/// The towers of all families (`Families`) have most of their steps in common.
public struct VisionConfiguration: Sendable, Equatable {
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
  var ropeOrder: AxialRope.Order
  /// Of the tower's norms.
  public internal(set) var normEpsilon: Float
  public internal(set) var projectorNormEpsilon: Float
  /// Whether the maps of attention, and of networks, have biases.
  public internal(set) var hasAttentionBias: Bool
  public internal(set) var hasNetworkBias: Bool
  /// Width of the rows that the projector makes: the text model's `hidden_size`.
  public internal(set) var textHiddenSize: Int
  public internal(set) var tokens: Tokens
  /// Whether the tower takes videos too.
  public internal(set) var seesVideo: Bool
  /// Frames that are seen together, at most.
  public internal(set) var maximumFrames: Int
  /// Rows and columns of a grid, at most.
  public internal(set) var maximumSide: Int

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
}

extension VisionConfiguration {
  static let widthRange = 1...(1 << 20)
  static let tokenRange = 0...Int(Int32.max)
  static let epsilonRange = 1e-12...1e-1

  /// - Parameters:
  ///   - json: `config.json`.
  ///   - file: how the document is called in failures.
  /// - Returns: nil for a model without a vision tower of these kinds.
  /// - Throws: `Failure` naming file, field, value and expectation: `.malformed` for what is missing or wrong,
  ///   `.unsupported` for a well-formed feature that Dormouse does not have.
  public init?(json: JSON, file: String = "config.json") throws(Failure) {
    let fields = try JSONFields(json, file: file)
    guard let name = try fields.optionalString("model_type"), let architecture = Architecture(rawValue: name),
      let found = try architecture.family.configuration(fields, fields.fields("vision_config"))
    else { return nil }
    self = found
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

extension VisionConfiguration: TowerConfiguration {
  static var towerName: String { "vision tower" }
  var modalities: [Modality] { seesVideo ? [.image, .video] : [.image] }

  init(_ fields: JSONFields) throws(Failure) {
    guard let found = try VisionConfiguration(json: .object(fields.object), file: fields.file) else {
      throw Failure(
        .unsupported,
        "\(fields.file): the model has no vision tower that is supported; supported model_type: "
          + Architecture.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self = found
  }

  func processor(folder: String, _ fields: JSONFields) throws(Failure) -> VisionProcessors {
    try architecture.family.processors(folder: folder, self)
  }

  func tensors(in checkpoint: Checkpoint) -> TensorGroup<VisionWeights> {
    architecture.family.tensors(self, in: checkpoint)
  }

  static func load(
    _ folder: VisionFolder, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    let tower = try VisionTower(folder, residency: residency, pool: pool, kernels: kernels, progress: progress)
    return VisionEncoder(tower, folder.processor)
  }
}
