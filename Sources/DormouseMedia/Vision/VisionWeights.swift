import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

struct VisionLayerWeights: Sendable {
  let attentionNorm: NormWeights
  /// [hidden, hidden] each.
  let query: Linear
  let key: Linear
  let value: Linear
  /// Of each head's queries and keys, before they turn.
  let headNorms: (query: NormWeights, key: NormWeights)?
  let output: Linear
  let networkNorm: NormWeights
  let network: VisionNetworkWeights
}

enum VisionNetworkWeights: Sendable {
  /// [intermediate, hidden], [hidden, intermediate].
  case plain(up: Linear, down: Linear)
  case gated(GatedWeights)
  case experts(VisionExpertsWeights)
}

struct VisionExpertsWeights: Sendable {
  let sizes: VisionConfiguration.Experts
  let weights: ExpertsWeights
  /// Of one layer.
  let experts: ResidentExperts
}

/// The tensors of a tower and its projector: views of memory that the tower owns.
struct VisionWeights: Sendable {
  /// [hidden, 3 * patch * patch]: a convolution whose kernels don't overlap is a product.
  let patchEmbedding: Linear
  let embeddingNorm: NormWeights?
  /// [height, width, hidden].
  let positions: FloatVector?
  let layers: [VisionLayerWeights]
  let finalNorm: NormWeights
  let projectorNorm: NormWeights
  /// [merged, merged].
  let projectorIn: Linear
  /// [textHidden, merged].
  let projectorOut: Linear
  /// Whether neighbouring channels of a head turn together, else i and i + half.
  let ropeInterleaved: Bool

  /// Finds every tensor of a tower and its projector by its published name and checks its shape and type.
  static func bind(_ source: inout TensorSource, _ configuration: VisionConfiguration) throws(Failure) -> VisionWeights
  {
    switch configuration.architecture {
    case .kimiK25, .kimiVL:
      var binding = KimiVisionBinding(configuration, source)
      defer { source = binding.source }
      return try binding.weights()
    case .dots3Note:
      var binding = DotsVisionBinding(configuration, source)
      defer { source = binding.source }
      return try binding.weights()
    }
  }
}

extension TensorSource {
  /// The convolution that turns patches into rows.
  mutating func patchEmbedding(_ name: String, _ c: VisionConfiguration) throws(Failure) -> Linear {
    let kernel = try matrix(
      "\(name).weight", rows: c.hiddenSize, columns: c.patchWidth,
      shape: [c.hiddenSize, 3, c.patchSize, c.patchSize])
    return Linear(weight: .rows(kernel), bias: try vector("\(name).bias", count: c.hiddenSize))
  }

  /// Queries, keys and values in one matrix [3 * hidden, hidden], cut.
  mutating func fusedProjections(
    _ name: String, hidden: Int, hasBias: Bool
  ) throws(Failure) -> (query: Linear, key: Linear, value: Linear) {
    let fused = try linear(name, rows: 3 * hidden, columns: hidden, hasBias: hasBias)
    guard let query = fused.slice(rows: 0..<hidden), let key = fused.slice(rows: hidden..<2 * hidden),
      let value = fused.slice(rows: 2 * hidden..<3 * hidden)
    else { throw Failure(.internalError, "\(name).weight can't be cut") }
    return (query, key, value)
  }
}
