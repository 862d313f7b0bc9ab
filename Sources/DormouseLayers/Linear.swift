public import DormouseKernels

/// Numbers held in float32, in memory of the model's own.
public struct FloatVector: @unchecked Sendable {
  public let pointer: UnsafePointer<Float>
  public let count: Int
}

/// y = W x + b.
public struct Linear: Sendable {
  /// [outputs, inputs].
  public let weight: Weight
  /// [outputs].
  public let bias: FloatVector?

  public init(weight: Weight, bias: FloatVector?) {
    self.weight = weight
    self.bias = bias
  }
}
