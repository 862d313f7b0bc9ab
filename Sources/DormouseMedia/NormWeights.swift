import DormouseKernels
import DormouseLayers
import DormouseSupport

/// Weights of a norm over a row.
struct NormWeights: Sendable {
  enum Kind: Sendable {
    /// LayerNorm (Ba et al. 2016).
    case layer(bias: FloatVector)
    /// RMSNorm (Zhang and Sennrich 2019).
    case rootMeanSquare
  }

  let kind: Kind
  let weight: FloatVector
  let epsilon: Float

  /// Normalises a row of as many numbers as there are weights; `y` may be `x`.
  @inline(__always) func apply(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, _ kernels: Kernels) {
    switch kind {
    case .layer(let bias):
      kernels.layerNorm(
        x, weight: weight.pointer, bias: bias.pointer, epsilon: epsilon, count: weight.count, into: y)
    case .rootMeanSquare:
      kernels.rmsNorm(x, weight: weight.pointer, epsilon: epsilon, count: weight.count, into: y)
    }
  }
}

extension TensorSource {
  /// `name.weight` and `name.bias` of a LayerNorm.
  mutating func layerNorm(_ name: String, count: Int, epsilon: Float) throws(Failure) -> NormWeights {
    let weight = try vector("\(name).weight", count: count)
    return NormWeights(
      kind: .layer(bias: try vector("\(name).bias", count: count)), weight: weight, epsilon: epsilon)
  }

  /// `name.weight` of an RMSNorm.
  mutating func rmsNorm(_ name: String, count: Int, epsilon: Float) throws(Failure) -> NormWeights {
    NormWeights(kind: .rootMeanSquare, weight: try vector("\(name).weight", count: count), epsilon: epsilon)
  }

  /// `name.weight` in the type that the file has, and `name.bias` where the model has one.
  mutating func linear(_ name: String, rows: Int, columns: Int, hasBias: Bool = true) throws(Failure) -> Linear {
    let weight = try matrix("\(name).weight", rows: rows, columns: columns)
    return Linear(weight: .rows(weight), bias: hasBias ? try vector("\(name).bias", count: rows) : nil)
  }
}
