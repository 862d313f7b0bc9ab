import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

struct VisionLayerWeights: Sendable {
  let attentionNorm: LayerNormWeights
  /// [hidden, hidden] each.
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let feedForwardNorm: LayerNormWeights
  /// [intermediate, hidden].
  let up: Linear
  /// [hidden, intermediate].
  let down: Linear
}

/// The tensors of a tower and its projector: views of memory that `store` and `floats` own.
struct VisionWeights: Sendable {
  /// [hidden, 3 * patch * patch]: a convolution whose kernels don't overlap is a product.
  let patchEmbedding: Linear
  /// [positionHeight, positionWidth, hidden].
  let positions: FloatVector
  let layers: [VisionLayerWeights]
  let finalNorm: LayerNormWeights
  let projectorNorm: LayerNormWeights
  /// [merged, merged].
  let projectorIn: Linear
  /// [textHidden, merged].
  let projectorOut: Linear
  /// Whether neighbouring channels of a head turn together, else i and i + half.
  let ropeInterleaved: Bool
  let store: TensorStore?
  let floats: [AlignedBuffer]
}

/// Finds every tensor of a tower by its published name and checks its shape and type.
struct VisionBinding {
  private let configuration: VisionConfiguration
  private let names: VisionTensorNames
  private(set) var source: TensorSource

  /// - Parameter store: the loaded tensors; nil to check headers only.
  init(_ configuration: VisionConfiguration, _ checkpoint: Checkpoint, store: TensorStore? = nil) {
    self.configuration = configuration
    names = VisionTensorNames(checkpoint)
    source = TensorSource(checkpoint, store: store, panels: nil, nil)
  }

  mutating func weights() throws(Failure) -> VisionWeights {
    let c = configuration
    let size = c.patchSize
    let kernel = try source.matrix(
      "\(names.patchEmbedding)weight", rows: c.hiddenSize, columns: c.patchWidth, shape: [c.hiddenSize, 3, size, size])
    let patchEmbedding = Linear(
      weight: .rows(kernel), bias: try source.vector("\(names.patchEmbedding)bias", count: c.hiddenSize))
    let positions = try source.table(names.positions, shape: [c.positionHeight, c.positionWidth, c.hiddenSize])
    var layers: [VisionLayerWeights] = []
    for index in 0..<c.hiddenLayerCount { layers.append(try layer(index)) }
    let finalNorm = try norm(names.finalNorm, VisionConfiguration.normEpsilon)
    let projectorNorm = try norm(names.projectorNorm, c.projectorNormEpsilon)
    let projectorIn = try linear(names.projectorIn, rows: c.mergedWidth, columns: c.mergedWidth)
    let projectorOut = try linear(names.projectorOut, rows: c.textHiddenSize, columns: c.mergedWidth)
    return VisionWeights(
      patchEmbedding: patchEmbedding, positions: positions, layers: layers, finalNorm: finalNorm,
      projectorNorm: projectorNorm, projectorIn: projectorIn, projectorOut: projectorOut,
      ropeInterleaved: names.isPublished, store: source.store, floats: source.floats)
  }

  private mutating func layer(_ index: Int) throws(Failure) -> VisionLayerWeights {
    let hidden = configuration.hiddenSize
    let attentionNorm = try norm(names.attentionNorm(index), VisionConfiguration.normEpsilon)
    let (query, key, value) = try projections(index)
    return VisionLayerWeights(
      attentionNorm: attentionNorm, query: query, key: key, value: value,
      output: try linear(names.output(index), rows: hidden, columns: hidden),
      feedForwardNorm: try norm(names.feedForwardNorm(index), VisionConfiguration.normEpsilon),
      up: try linear(names.up(index), rows: configuration.intermediateSize, columns: hidden),
      down: try linear(names.down(index), rows: hidden, columns: configuration.intermediateSize))
  }

  private mutating func projections(_ index: Int) throws(Failure) -> (Linear, Linear, Linear) {
    let hidden = configuration.hiddenSize
    if !names.isPublished {
      return (
        try linear(names.query(index), rows: hidden, columns: hidden),
        try linear(names.key(index), rows: hidden, columns: hidden),
        try linear(names.value(index), rows: hidden, columns: hidden)
      )
    }
    let fused = try linear(names.fused(index), rows: 3 * hidden, columns: hidden)
    guard let query = fused.slice(rows: 0..<hidden), let key = fused.slice(rows: hidden..<2 * hidden),
      let value = fused.slice(rows: 2 * hidden..<3 * hidden)
    else { throw Failure(.internalError, "\(names.fused(index))weight can't be cut") }
    return (query, key, value)
  }

  private mutating func linear(_ name: String, rows: Int, columns: Int) throws(Failure) -> Linear {
    let weight = try source.weight("\(name)weight", rows: rows, columns: columns, as: nil)
    return Linear(weight: weight, bias: try source.vector("\(name)bias", count: rows))
  }

  private mutating func norm(_ name: String, _ epsilon: Float) throws(Failure) -> LayerNormWeights {
    LayerNormWeights(
      weight: try source.vector("\(name)weight", count: configuration.hiddenSize),
      bias: try source.vector("\(name)bias", count: configuration.hiddenSize), epsilon: epsilon)
  }
}
