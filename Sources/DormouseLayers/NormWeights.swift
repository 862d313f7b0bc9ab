public import DormouseKernels
import DormouseSupport

/// Weights of a norm over a row.
public struct NormWeights: Sendable {
  public enum Kind: Sendable {
    /// LayerNorm (Ba et al. 2016).
    case layer(bias: FloatVector)
    /// RMSNorm (Zhang and Sennrich 2019).
    case rootMeanSquare
  }

  public let kind: Kind
  public let weight: FloatVector
  public let epsilon: Float

  /// Normalises a row of as many numbers as there are weights; `y` may be `x`.
  @inline(__always) public func apply(
    _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) {
    switch kind {
    case .layer(let bias):
      kernels.layerNorm(
        x, weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, count: weight.count, into: y)
    case .rootMeanSquare:
      kernels.rmsNorm(x, weight: weight.pointer, epsilon: epsilon, count: weight.count, into: y)
    }
  }
}
