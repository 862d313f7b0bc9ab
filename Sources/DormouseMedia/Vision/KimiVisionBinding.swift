import DormouseLayers
import DormouseSupport

/// The tensors of a MoonViT tower.
struct KimiVisionBinding {
  private let configuration: VisionConfiguration
  private let names: KimiVisionTensorNames
  private(set) var source: TensorSource

  init(_ configuration: VisionConfiguration, _ source: TensorSource) {
    self.configuration = configuration
    self.source = source
    names = KimiVisionTensorNames(source.checkpoint)
  }

  mutating func weights() throws(Failure) -> VisionWeights {
    let c = configuration
    let patchEmbedding = try source.patchEmbedding(names.patchEmbedding, c)
    var positions: FloatVector?
    if let grid = c.positions {
      positions = try source.table(names.positions, shape: [grid.height, grid.width, c.hiddenSize])
    }
    var layers: [VisionLayerWeights] = []
    for index in 0..<c.hiddenLayerCount { layers.append(try layer(index)) }
    let finalNorm = try norm(names.finalNorm, c.normEpsilon)
    let projectorNorm = try norm(names.projectorNorm, c.projectorNormEpsilon)
    let projectorIn = try source.linear(names.projectorIn, rows: c.mergedWidth, columns: c.mergedWidth)
    let projectorOut = try source.linear(names.projectorOut, rows: c.textHiddenSize, columns: c.mergedWidth)
    return VisionWeights(
      patchEmbedding: patchEmbedding, embeddingNorm: nil, positions: positions, layers: layers, finalNorm: finalNorm,
      projectorNorm: projectorNorm, projectorIn: projectorIn, projectorOut: projectorOut,
      ropeInterleaved: names.isPublished)
  }

  private mutating func layer(_ index: Int) throws(Failure) -> VisionLayerWeights {
    let (hidden, wide) = (configuration.hiddenSize, configuration.intermediateSize)
    let attentionNorm = try norm(names.attentionNorm(index), configuration.normEpsilon)
    let (query, key, value) = try projections(index)
    return VisionLayerWeights(
      attentionNorm: attentionNorm, query: query, key: key, value: value, headNorms: nil,
      output: try source.linear(names.output(index), rows: hidden, columns: hidden),
      networkNorm: try norm(names.feedForwardNorm(index), configuration.normEpsilon),
      network: .plain(
        up: try source.linear(names.up(index), rows: wide, columns: hidden),
        down: try source.linear(names.down(index), rows: hidden, columns: wide)))
  }

  private mutating func projections(_ index: Int) throws(Failure) -> (query: Linear, key: Linear, value: Linear) {
    let hidden = configuration.hiddenSize
    if names.isPublished {
      return try source.fusedProjections(names.fused(index), hidden: hidden, hasBias: configuration.hasAttentionBias)
    }
    return (
      try source.linear(names.query(index), rows: hidden, columns: hidden),
      try source.linear(names.key(index), rows: hidden, columns: hidden),
      try source.linear(names.value(index), rows: hidden, columns: hidden)
    )
  }

  private mutating func norm(_ name: String, _ epsilon: Float) throws(Failure) -> NormWeights {
    try source.layerNorm(name, count: configuration.hiddenSize, epsilon: epsilon)
  }
}
