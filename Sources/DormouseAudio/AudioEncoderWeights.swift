public import DormouseLayers

/// The four projections of an attention block, [hidden, hidden] each.
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

/// The tensors of Whisper's blocks, under the names that transformers gives them.
public struct AudioTensors {
  public let hiddenSize: Int

  public init(hiddenSize: Int) { self.hiddenSize = hiddenSize }

  public func encoder(_ c: AudioEncoderConfiguration, prefix: String) -> TensorGroup<AudioEncoderWeights> {
    let width = AudioEncoder.kernelSize
    let layers = (0..<c.layerCount).map { layer("\(prefix)layers.\($0).", width: c.intermediateSize) }
    return TensorGroup(
      .linear("\(prefix)conv1", shape: [hiddenSize, c.melBinCount, width]),
      .linear("\(prefix)conv2", shape: [hiddenSize, hiddenSize, width]),
      .floats("\(prefix)embed_positions.weight", shape: [c.sourcePositions, hiddenSize]), TensorGroup(layers),
      norm("\(prefix)layer_norm")
    ) { AudioEncoderWeights(convolutions: ($0, $1), positions: $2, layers: $3, norm: $4) }
  }

  private func layer(_ prefix: String, width: Int) -> TensorGroup<AudioEncoderLayerWeights> {
    TensorGroup(
      norm("\(prefix)self_attn_layer_norm"), attention("\(prefix)self_attn."), feedForward(prefix, width: width)
    ) { AudioEncoderLayerWeights(attentionNorm: $0, attention: $1, feedForward: $2) }
  }

  /// The keys have no bias.
  public func attention(_ prefix: String) -> TensorGroup<AttentionProjections> {
    let shape = [hiddenSize, hiddenSize]
    return TensorGroup(
      .linear("\(prefix)q_proj", shape: shape), .linear("\(prefix)k_proj", shape: shape, hasBias: false),
      .linear("\(prefix)v_proj", shape: shape), .linear("\(prefix)out_proj", shape: shape)
    ) { AttentionProjections(query: $0, key: $1, value: $2, output: $3) }
  }

  public func feedForward(_ layer: String, width: Int) -> TensorGroup<TransformerFeedForwardWeights> {
    TensorGroup(
      norm("\(layer)final_layer_norm"), .linear("\(layer)fc1", shape: [width, hiddenSize]),
      .linear("\(layer)fc2", shape: [hiddenSize, width])
    ) { TransformerFeedForwardWeights(norm: $0, up: $1, down: $2) }
  }

  public func norm(_ name: String) -> TensorGroup<NormWeights> {
    .layerNorm(name, count: hiddenSize, epsilon: AudioEncoderConfiguration.layerNormEpsilon)
  }
}
