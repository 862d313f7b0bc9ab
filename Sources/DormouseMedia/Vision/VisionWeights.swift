import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

struct VisionLayerWeights: Sendable {
  let attentionNorm: NormWeights
  let projections: VisionProjections
  /// Of each head's queries and keys, before they turn.
  let headNorms: (query: NormWeights, key: NormWeights)?
  let output: Linear
  let networkNorm: NormWeights
  let network: VisionNetworkWeights
}

/// Inputs of attention, [hidden, hidden] each.
struct VisionProjections: Sendable {
  let query: Linear
  let key: Linear
  let value: Linear
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
}

extension TensorGroup where Value == VisionProjections {
  /// One matrix [3 * hidden, hidden], cut.
  static func fused(_ name: String, hidden: Int, hasBias: Bool) -> TensorGroup {
    TensorGroup(.linear(name, shape: [3 * hidden, hidden], hasBias: hasBias)) { (all) throws(Failure) in
      guard let query = all.slice(rows: 0..<hidden), let key = all.slice(rows: hidden..<2 * hidden),
        let value = all.slice(rows: 2 * hidden..<3 * hidden)
      else { throw Failure(.internalError, "\(name).weight can't be cut") }
      return VisionProjections(query: query, key: key, value: value)
    }
  }
}
