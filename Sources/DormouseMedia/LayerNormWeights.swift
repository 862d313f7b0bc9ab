import DormouseLayers

/// Weight and bias of a LayerNorm.
struct LayerNormWeights: Sendable {
  let weight: FloatVector
  let bias: FloatVector
  let epsilon: Float
}
