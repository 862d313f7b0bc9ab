import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport

struct DotsAudioLayerWeights: Sendable {
  let attentionNorm: NormWeights
  let attention: AttentionProjections
  let networkNorm: NormWeights
  /// Gate and up in one matrix [2 * intermediate, hidden]; [hidden, intermediate].
  let gateUp: Linear
  let down: Linear
}

/// The tensors of dots3-note's audio tower, under the published names and those of the modules of transformers 5.23 (whose
/// `save_pretrained` writes the published ones).
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

  init(_ source: inout TensorSource, _ c: DotsAudioConfiguration) throws(Failure) {
    let tower = Self.spellings(
      source, ["audio_encoder.dots_encoder.speech_encoder.", "model.audio_tower.", "audio_tower."])
    convolutions = try Self.convolutions(&source, tower, c)
    stemOutput = try source.linear(
      tower.find(["conv_out", "conv_stem.conv_out"]), rows: c.hiddenSize,
      columns: c.downsampleSize * c.bands(DotsAudioConfiguration.convolutionCount), hasBias: false)
    var layers: [DotsAudioLayerWeights] = []
    for index in 0..<c.layerCount { layers.append(try Self.layer(&source, tower, "layers.\(index).", c)) }
    self.layers = layers
    norm = try source.rmsNorm(
      tower.find(["layer_norm"]), count: c.hiddenSize, epsilon: DotsAudioConfiguration.normEpsilon)
    let parts = Self.spellings(
      source, ["audio_encoder.audio_adapter.", "audio_adapter.", "model.audio_tower.adapter.", "audio_tower.adapter."])
    adapterNorm = try source.layerNorm(
      parts.find(["proj.0", "norm"]), count: c.hiddenSize, epsilon: DotsAudioConfiguration.adapterNormEpsilon)
    adapter = (
      first: try source.linear(parts.find(["proj.1", "fc1"]), rows: c.textHiddenSize, columns: c.hiddenSize),
      second: try source.linear(parts.find(["proj.3", "fc2"]), rows: c.textHiddenSize, columns: c.textHiddenSize)
    )
  }

  private static func spellings(_ source: TensorSource, _ prefixes: [String]) -> TensorSpellings {
    TensorSpellings(checkpoint: source.checkpoint, prefixes: prefixes)
  }

  /// [channels, inputs, 3, 3] in the file: bands, then frames.
  private static func convolutions(
    _ source: inout TensorSource, _ tower: TensorSpellings, _ c: DotsAudioConfiguration
  ) throws(Failure) -> [Linear] {
    let width = ConvolutionStem.kernelSize
    var convolutions: [Linear] = []
    for index in 0..<DotsAudioConfiguration.convolutionCount {
      let inputs = index == 0 ? 1 : c.downsampleSize
      let name = tower.find(["conv2d\(index + 1)", "conv_stem.convs.\(index)"])
      let kernel = try source.matrix(
        "\(name).weight", rows: c.downsampleSize, columns: inputs * width * width,
        shape: [c.downsampleSize, inputs, width, width])
      convolutions.append(
        Linear(weight: .rows(kernel), bias: try source.vector("\(name).bias", count: c.downsampleSize)))
    }
    return convolutions
  }

  private static func layer(
    _ source: inout TensorSource, _ tower: TensorSpellings, _ layer: String, _ c: DotsAudioConfiguration
  ) throws(Failure) -> DotsAudioLayerWeights {
    let (hidden, wide, epsilon) = (c.hiddenSize, c.intermediateSize, DotsAudioConfiguration.normEpsilon)
    let attentionNorm = try source.rmsNorm(
      tower.find(["\(layer)self_attn_layer_norm", "\(layer)input_layernorm"]), count: hidden, epsilon: epsilon)
    func projection(_ names: [String], hasBias: Bool) throws(Failure) -> Linear {
      try source.linear(
        tower.find(names.map { "\(layer)self_attn.\($0)" }), rows: hidden, columns: hidden, hasBias: hasBias)
    }
    let attention = AttentionProjections(
      query: try projection(["q_proj"], hasBias: c.hasAttentionBias), key: try projection(["k_proj"], hasBias: false),
      value: try projection(["v_proj"], hasBias: c.hasAttentionBias),
      output: try projection(["out_proj", "o_proj"], hasBias: c.hasAttentionBias))
    return DotsAudioLayerWeights(
      attentionNorm: attentionNorm, attention: attention,
      networkNorm: try source.rmsNorm(
        tower.find(["\(layer)final_layer_norm", "\(layer)post_attention_layernorm"]), count: hidden, epsilon: epsilon),
      gateUp: try source.linear(
        tower.find(["\(layer)fc1", "\(layer)mlp.gate_up_proj"]), rows: 2 * wide, columns: hidden),
      down: try source.linear(tower.find(["\(layer)fc2", "\(layer)mlp.down_proj"]), rows: hidden, columns: wide))
  }
}
