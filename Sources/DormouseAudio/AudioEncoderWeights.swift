import DormouseKernels
public import DormouseLayers
public import DormouseSupport

/// The four projections of an attention block; Whisper's keys have no bias.
public struct AttentionProjections: Sendable {
  public let query: Linear
  public let key: Linear
  public let value: Linear
  public let output: Linear

  public init(query: Linear, key: Linear, value: Linear, output: Linear) {
    self.query = query
    self.key = key
    self.value = value
    self.output = output
  }
}

public struct TransformerFeedForwardWeights: Sendable {
  public let norm: NormWeights
  /// fc1 [intermediate, hidden], fc2 [hidden, intermediate].
  public let up: Linear
  public let down: Linear
}

public struct AudioEncoderLayerWeights: Sendable {
  public let attentionNorm: NormWeights
  public let attention: AttentionProjections
  public let feedForward: TransformerFeedForwardWeights
}

/// The tensors of an encoder: views of memory that the model's store owns.
public struct AudioEncoderWeights: Sendable {
  /// conv1 [hidden, mel bins * 3] and conv2 [hidden, hidden * 3]: a window of three rows is one input of a product.
  public let convolutions: (first: Linear, second: Linear)
  /// [positions, hidden].
  public let positions: FloatVector
  public let layers: [AudioEncoderLayerWeights]
  public let norm: NormWeights
}

/// Finds the tensors of Whisper's blocks by the names that transformers gives them.
public struct AudioTensors {
  public var source: TensorSource
  public let hiddenSize: Int

  public init(source: TensorSource, hiddenSize: Int) {
    self.source = source
    self.hiddenSize = hiddenSize
  }

  public mutating func encoder(_ c: AudioEncoderConfiguration, prefix: String) throws(Failure) -> AudioEncoderWeights {
    let convolutions = (
      first: try convolution("\(prefix)conv1", inputs: c.melBinCount),
      second: try convolution("\(prefix)conv2", inputs: hiddenSize)
    )
    let positions = try source.table("\(prefix)embed_positions.weight", shape: [c.sourcePositions, hiddenSize])
    var layers: [AudioEncoderLayerWeights] = []
    for index in 0..<c.layerCount {
      let layer = "\(prefix)layers.\(index)."
      layers.append(
        AudioEncoderLayerWeights(
          attentionNorm: try norm("\(layer)self_attn_layer_norm"), attention: try attention("\(layer)self_attn."),
          feedForward: try feedForward(layer, width: c.intermediateSize)))
    }
    return AudioEncoderWeights(
      convolutions: convolutions, positions: positions, layers: layers, norm: try norm("\(prefix)layer_norm"))
  }

  public mutating func attention(_ prefix: String) throws(Failure) -> AttentionProjections {
    AttentionProjections(
      query: try linear("\(prefix)q_proj", rows: hiddenSize, columns: hiddenSize),
      key: try linear("\(prefix)k_proj", rows: hiddenSize, columns: hiddenSize, hasBias: false),
      value: try linear("\(prefix)v_proj", rows: hiddenSize, columns: hiddenSize),
      output: try linear("\(prefix)out_proj", rows: hiddenSize, columns: hiddenSize))
  }

  public mutating func feedForward(_ layer: String, width: Int) throws(Failure) -> TransformerFeedForwardWeights {
    TransformerFeedForwardWeights(
      norm: try norm("\(layer)final_layer_norm"),
      up: try linear("\(layer)fc1", rows: width, columns: hiddenSize),
      down: try linear("\(layer)fc2", rows: hiddenSize, columns: width))
  }

  public mutating func norm(_ name: String) throws(Failure) -> NormWeights {
    try source.layerNorm(name, count: hiddenSize, epsilon: AudioEncoderConfiguration.layerNormEpsilon)
  }

  public mutating func linear(_ name: String, rows: Int, columns: Int, hasBias: Bool = true) throws(Failure) -> Linear {
    try source.linear(name, rows: rows, columns: columns, hasBias: hasBias)
  }

  /// A convolution over three rows: [hidden, inputs, 3] in the file.
  private mutating func convolution(_ name: String, inputs: Int) throws(Failure) -> Linear {
    let width = AudioEncoder.kernelSize
    return Linear(
      weight: .rows(
        try source.matrix(
          "\(name).weight", rows: hiddenSize, columns: inputs * width, shape: [hiddenSize, inputs, width])),
      bias: try source.vector("\(name).bias", count: hiddenSize))
  }
}
