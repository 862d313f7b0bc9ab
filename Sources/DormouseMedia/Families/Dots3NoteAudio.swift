import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

typealias DotsAudioFolder = TowerFolder<DotsAudioConfiguration>

/// The dimensions of dots3-note's audio tower (transformers 5.23 `Dots3NoteAudioConfig`), whose class defaults stand where
/// a field is missing, under transformers' names and those of the published `config.json`, which keeps the encoder's in a
/// `whisper_config`.
struct DotsAudioConfiguration: Sendable, Equatable {
  var hiddenSize: Int
  var intermediateSize: Int
  var layerCount: Int
  var attentionHeadCount: Int
  /// feature_size, num_mel_bins.
  var melBinCount: Int
  /// Samples from one frame of features to the next.
  var hopLength: Int
  /// Channels of the convolutions.
  var downsampleSize: Int
  /// Whether queries, values and the output have biases; keys have none.
  var hasAttentionBias: Bool
  /// Channels of a head that turn; the others stay as they are.
  var rotaryDimension: Int
  var ropeTheta: Float
  /// The text model's `hidden_size`: the width of the rows that come out.
  var textHiddenSize: Int
  var audioToken: Int

  /// Convolutions, of stride 2 each.
  static let convolutionCount = 3
  /// Frames of features that a row is made of.
  static let framesPerRow = 1 << convolutionCount
  /// `Dots3NoteRMSNorm`'s and `nn.LayerNorm`'s defaults, which no configuration changes.
  static let normEpsilon: Float = 1e-6
  static let adapterNormEpsilon: Float = 1e-5

  var headDimension: Int { hiddenSize / attentionHeadCount }
  var samplesPerRow: Int { hopLength * Self.framesPerRow }
  /// Bands of frequencies that `level` convolutions leave.
  func bands(_ level: Int) -> Int { (0..<level).reduce(melBinCount) { bands, _ in (bands + 1) / 2 } }
}

extension DotsAudioConfiguration {
  /// - Parameter fields: `config.json`.
  /// - Throws: `Failure` naming file, field, value and expectation: `.malformed` for what is wrong, `.unsupported` for a
  ///   well-formed feature that Dormouse does not have.
  init(_ fields: JSONFields) throws(Failure) {
    let none = try JSONFields(.object(JSONObject()), file: fields.file, path: "audio_config.")
    let audio = try fields.fields("audio_config") ?? none
    let whisper = try audio.fields("whisper_config") ?? none
    try Self.requireKnown(audio, whisper)
    func size(_ key: String, _ published: String, _ range: ClosedRange<Int>, _ standard: Int) throws(Failure) -> Int {
      let own = try audio.optionalInteger(key, range) ?? standard
      return try whisper.optionalInteger(published, range) ?? own
    }
    hiddenSize = try size("hidden_size", "d_model", 1...16384, 1280)
    intermediateSize = try size("intermediate_size", "encoder_ffn_dim", 1...65536, 5120)
    layerCount = try size("num_hidden_layers", "encoder_layers", 1...256, 32)
    attentionHeadCount = try size("num_attention_heads", "encoder_attention_heads", 1...1024, 20)
    melBinCount = try size("feature_size", "num_mel_bins", 1...512, 128)
    hopLength = try audio.optionalInteger("hop_length", 1...4096) ?? 160
    downsampleSize = try audio.optionalInteger("downsample_hidden_size", 1...16384) ?? 480
    hasAttentionBias = try audio.optionalBoolean("attention_bias") ?? true
    textHiddenSize = try fields.dotsTextHiddenSize()
    audioToken = try fields.optionalInteger("audio_token_id", 0...Int(Int32.max)) ?? 151720
    guard hiddenSize % attentionHeadCount == 0 else {
      throw audio.wrong(
        "num_attention_heads", .integer(Int64(attentionHeadCount)),
        expected: "a divisor of the hidden size, which is \(hiddenSize)")
    }
    (rotaryDimension, ropeTheta) = try Self.rotation(audio, headDimension: hiddenSize / attentionHeadCount)
    try checkAdapter(audio)
  }

  private static func requireKnown(_ audio: JSONFields, _ whisper: JSONFields) throws(Failure) {
    try audio.require(["hidden_act": ["silu"], "encoder_type": ["dots"]])
    try audio.require(["use_conv2d_stem": true, "use_rope": true, "use_rms_norm": true, "use_causal": false])
    try whisper.require(["activation_function": ["swiglu"]])
    for (key, only) in [("merge_factor", 1), ("sampling_rate", LogMelConfiguration.samplingRate)] {
      guard let found = try audio.optionalInteger(key, 1...(1 << 30)), found != only else { continue }
      throw audio.unsupported(key, .integer(Int64(found)), supported: "\(only)")
    }
  }

  private static func rotation(_ audio: JSONFields, headDimension: Int) throws(Failure) -> (Int, Float) {
    let none = try JSONFields(.object(JSONObject()), file: audio.file, path: "\(audio.path)rope_parameters.")
    let rope = try audio.fields("rope_parameters") ?? none
    try rope.require(["rope_type": ["default"]])
    let factor = try rope.optionalNumber("partial_rotary_factor", 0...1) ?? 0.5
    let dimension = Int(Double(headDimension) * factor)
    guard dimension % 2 == 0 else {
      throw rope.wrong(
        "partial_rotary_factor", .number(factor),
        expected: "a share of the \(headDimension) channels of a head that is even")
    }
    return (dimension, Float(try rope.optionalNumber("rope_theta", 1...1e9) ?? 10_000))
  }

  private func checkAdapter(_ audio: JSONFields) throws(Failure) {
    let range = 1...(1 << 20)
    for (keys, expected, what) in [
      (["whisper_adapter_in_dim", "adapter_input_size"], hiddenSize, "the tower's width"),
      (
        ["whisper_adapter_out_dim", "adapter_output_size", "adapter_out_dim"], textHiddenSize,
        "the text model's hidden_size"
      ),
    ] {
      for key in keys {
        guard let found = try audio.optionalInteger(key, range), found != expected else { continue }
        throw audio.wrong(key, .integer(Int64(found)), expected: "\(expected), as \(what)")
      }
    }
  }
}

extension DotsAudioConfiguration: AudioTowerConfiguration {
  /// Rows of a window, at most: of a minute they are 750.
  private static let mostWindowRows = 1 << 16

  var hearsWhole: Bool { false }

  func processor(folder: String, _ fields: JSONFields) throws(Failure) -> AudioProcessor {
    let features = try LogMelConfiguration.loadDots(folder: folder)
    let rows = windowRows(features)
    guard rows <= Self.mostWindowRows else {
      throw Failure(
        .unsupported,
        "\(fields.file): a chunk of \(features.chunkLength) s has \(rows) rows of \(samplesPerRow) samples; at most"
          + " \(Self.mostWindowRows) are supported")
    }
    let processor = AudioProcessor(features: features, maximumSeconds: nil, audioToken: "<|audio_comp_pad|>")
    guard let audio = try fields.fields("audio_config") else { return processor }
    for (key, own, found) in [
      ("feature_size", melBinCount, features.featureSize), ("hop_length", hopLength, features.hopLength),
    ] where own != found {
      throw audio.wrong(key, .integer(Int64(own)), expected: "\(found), as the feature extractor's")
    }
    return processor
  }

  func tensors(in checkpoint: Checkpoint) -> TensorGroup<DotsAudioWeights> { DotsAudioTensors(self, checkpoint).all }

  /// Frames whose hop the samples fill count, and a row for every `samplesPerRow` samples begun.
  func window(sampleCount: Int, _ features: LogMelConfiguration) -> (inputCount: Int, rows: Int) {
    (sampleCount / hopLength, CheckedSize.ceilingQuotient(sampleCount, samplesPerRow))
  }

  /// Rows of a window, at most.
  func windowRows(_ features: LogMelConfiguration) -> Int {
    window(sampleCount: features.chunkSampleCount, features).rows
  }

  func networkByteCount(_ features: LogMelConfiguration, threadCount: Int) throws(Failure) -> Int {
    try DotsAudioLayers.Layout(self, rowCount: windowRows(features), threadCount: threadCount).rows.layout.byteCount()
  }

  func threadScratchByteCount(_ features: LogMelConfiguration, _ kernels: Kernels) -> Int {
    let squares = ConvolutionStem.kernelSize * ConvolutionStem.kernelSize
    let last = bands(Self.convolutionCount)
    let widest = max(intermediateSize, hiddenSize, textHiddenSize, downsampleSize * max(squares, last))
    return kernels.scratchByteCount(columns: widest, count: max(windowRows(features), ConvolutionStem.gatheredRows))
  }

  static func network(_ tower: DotsAudioTower) throws(Failure) -> any AudioNetwork { try DotsAudioLayers(tower) }
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
