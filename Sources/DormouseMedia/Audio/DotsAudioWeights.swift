import DormouseAudio
import DormouseLayers
import DormouseWeights

struct DotsAudioLayerWeights: Sendable {
  let attentionNorm: NormWeights
  let attention: AttentionProjections
  let networkNorm: NormWeights
  /// Gate and up in one matrix [2 * intermediate, hidden]; [hidden, intermediate].
  let gateUp: Linear
  let down: Linear
}

struct DotsAudioWeights: Sendable {
  /// [channels, inputs * 3 * 3] each: a square of three bands and three frames is one input of a product.
  let convolutions: [Linear]
  /// [hidden, channels * bands].
  let stemOutput: Linear
  let layers: [DotsAudioLayerWeights]
  let norm: NormWeights
  let adapterNorm: NormWeights
  /// [text hidden, hidden], [text hidden, text hidden].
  let adapter: (first: Linear, second: Linear)

  static func tensors(_ c: DotsAudioConfiguration, in checkpoint: Checkpoint) -> TensorGroup<DotsAudioWeights> {
    DotsAudioTensors(c, checkpoint).all
  }
}

/// The tensors of dots3-note's audio tower, under the published names and those of the modules of transformers 5.23 (whose
/// `save_pretrained` writes the published ones).
private struct DotsAudioTensors {
  private let c: DotsAudioConfiguration
  private let tower, adapter: TensorSpellings

  init(_ configuration: DotsAudioConfiguration, _ checkpoint: Checkpoint) {
    c = configuration
    tower = TensorSpellings(
      checkpoint: checkpoint,
      prefixes: ["audio_encoder.dots_encoder.speech_encoder.", "model.audio_tower.", "audio_tower."])
    adapter = TensorSpellings(
      checkpoint: checkpoint,
      prefixes: [
        "audio_encoder.audio_adapter.", "audio_adapter.", "model.audio_tower.adapter.", "audio_tower.adapter.",
      ])
  }

  var all: TensorGroup<DotsAudioWeights> {
    let (hidden, text) = (c.hiddenSize, c.textHiddenSize)
    let stemWidth = c.downsampleSize * c.bands(DotsAudioConfiguration.convolutionCount)
    return TensorGroup(
      TensorGroup((0..<DotsAudioConfiguration.convolutionCount).map(convolution)),
      .linear(tower.find(["conv_out", "conv_stem.conv_out"]), shape: [hidden, stemWidth], hasBias: false),
      TensorGroup((0..<c.layerCount).map { layer("layers.\($0).") }), norm(["layer_norm"]),
      .layerNorm(
        adapter.find(["proj.0", "norm"]), count: hidden, epsilon: DotsAudioConfiguration.adapterNormEpsilon),
      .linear(adapter.find(["proj.1", "fc1"]), shape: [text, hidden]),
      .linear(adapter.find(["proj.3", "fc2"]), shape: [text, text])
    ) {
      DotsAudioWeights(
        convolutions: $0, stemOutput: $1, layers: $2, norm: $3, adapterNorm: $4, adapter: ($5, $6))
    }
  }

  /// [channels, inputs, 3, 3] in the file: bands, then frames.
  private func convolution(_ index: Int) -> TensorGroup<Linear> {
    let width = ConvolutionStem.kernelSize
    let inputs = index == 0 ? 1 : c.downsampleSize
    return .linear(
      tower.find(["conv2d\(index + 1)", "conv_stem.convs.\(index)"]), shape: [c.downsampleSize, inputs, width, width])
  }

  private func layer(_ layer: String) -> TensorGroup<DotsAudioLayerWeights> {
    let (hidden, wide) = (c.hiddenSize, c.intermediateSize)
    func projection(_ names: [String], hasBias: Bool) -> TensorGroup<Linear> {
      .linear(tower.find(names.map { "\(layer)self_attn.\($0)" }), shape: [hidden, hidden], hasBias: hasBias)
    }
    let attention = TensorGroup(
      projection(["q_proj"], hasBias: c.hasAttentionBias), projection(["k_proj"], hasBias: false),
      projection(["v_proj"], hasBias: c.hasAttentionBias),
      projection(["out_proj", "o_proj"], hasBias: c.hasAttentionBias)
    ) { AttentionProjections(query: $0, key: $1, value: $2, output: $3) }
    return TensorGroup(
      norm(["\(layer)self_attn_layer_norm", "\(layer)input_layernorm"]), attention,
      norm(["\(layer)final_layer_norm", "\(layer)post_attention_layernorm"]),
      .linear(tower.find(["\(layer)fc1", "\(layer)mlp.gate_up_proj"]), shape: [2 * wide, hidden]),
      .linear(tower.find(["\(layer)fc2", "\(layer)mlp.down_proj"]), shape: [hidden, wide])
    ) { DotsAudioLayerWeights(attentionNorm: $0, attention: $1, networkNorm: $2, gateUp: $3, down: $4) }
  }

  private func norm(_ names: [String]) -> TensorGroup<NormWeights> {
    .rmsNorm(tower.find(names), count: c.hiddenSize, epsilon: DotsAudioConfiguration.normEpsilon)
  }
}
