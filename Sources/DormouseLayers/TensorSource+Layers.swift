public import DormouseSupport

/// The parts that layers are made of, by the first part of their tensors' names.
extension TensorSource {
  /// `name.weight` and `name.bias` of a LayerNorm.
  public mutating func layerNorm(_ name: String, count: Int, epsilon: Float) throws(Failure) -> NormWeights {
    let weight = try vector("\(name).weight", count: count)
    return NormWeights(
      kind: .layer(bias: try vector("\(name).bias", count: count)), weight: weight, epsilon: epsilon)
  }

  /// `name.weight` of an RMSNorm.
  public mutating func rmsNorm(_ name: String, count: Int, epsilon: Float) throws(Failure) -> NormWeights {
    NormWeights(kind: .rootMeanSquare, weight: try vector("\(name).weight", count: count), epsilon: epsilon)
  }

  /// `name.weight` in the type that the file has, and `name.bias` where the model has one.
  public mutating func linear(_ name: String, rows: Int, columns: Int, hasBias: Bool = true) throws(Failure) -> Linear {
    let weight = try matrix("\(name).weight", rows: rows, columns: columns)
    return Linear(weight: .rows(weight), bias: hasBias ? try vector("\(name).bias", count: rows) : nil)
  }
}
