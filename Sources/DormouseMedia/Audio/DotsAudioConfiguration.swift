import DormouseAudio
public import DormouseSupport

/// The dimensions of dots3-note's audio tower (transformers 5.23 `Dots3NoteAudioConfig`), whose class defaults stand where
/// a field is missing, under transformers' names and those of the published `config.json`, which keeps the encoder's in a
/// `whisper_config`.
public struct DotsAudioConfiguration: Sendable, Equatable {
  public internal(set) var hiddenSize: Int
  public internal(set) var intermediateSize: Int
  public internal(set) var layerCount: Int
  public internal(set) var attentionHeadCount: Int
  /// feature_size, num_mel_bins.
  public internal(set) var melBinCount: Int
  /// Samples from one frame of features to the next.
  public internal(set) var hopLength: Int
  /// Channels of the convolutions.
  public internal(set) var downsampleSize: Int
  /// Whether queries, values and the output have biases; keys have none.
  public internal(set) var hasAttentionBias: Bool
  /// Channels of a head that turn; the others stay as they are.
  public internal(set) var rotaryDimension: Int
  public internal(set) var ropeTheta: Float
  /// The text model's `hidden_size`: the width of the rows that come out.
  public internal(set) var textHiddenSize: Int
  public internal(set) var audioToken: Int

  /// Convolutions, of stride 2 each.
  public static let convolutionCount = 3
  /// Frames of features that a row is made of.
  public static let framesPerRow = 1 << convolutionCount
  /// `Dots3NoteRMSNorm`'s and `nn.LayerNorm`'s defaults, which no configuration changes.
  static let normEpsilon: Float = 1e-6
  static let adapterNormEpsilon: Float = 1e-5

  public var headDimension: Int { hiddenSize / attentionHeadCount }
  public var samplesPerRow: Int { hopLength * Self.framesPerRow }
  /// Bands of frequencies that `level` convolutions leave.
  func bands(_ level: Int) -> Int { (0..<level).reduce(melBinCount) { bands, _ in (bands + 1) / 2 } }
}

extension DotsAudioConfiguration {
  /// Whether a model of this `config.json` has such a tower: a folder may be the text model's alone.
  static func isKnown(_ fields: JSONFields) throws(Failure) -> Bool {
    let type = try fields.optionalString("model_type")
    return type == VisionConfiguration.Architecture.dots3Note.rawValue && fields.value("audio_config") != nil
  }

  /// - Parameter fields: `config.json`.
  /// - Throws: `Failure` naming file, field, value and expectation: `.malformed` for what is wrong, `.unsupported` for a
  ///   well-formed feature that Dormouse does not have.
  public init(_ fields: JSONFields) throws(Failure) {
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

extension DotsAudioConfiguration {
  /// A piece of audio that the tower takes at a time.
  struct Chunk: Equatable {
    /// Of the audio's samples.
    let samples: Range<Int>
    /// Frames of features that count: those whose hop the samples fill.
    let frames: Int
    let rows: Int
  }

  /// Audio in chunks of the feature extractor's length; each counts a row for every `samplesPerRow` samples begun.
  /// - Throws: `Failure(.invalidArgument)` for audio without samples.
  func chunks(sampleCount: Int, features: LogMelConfiguration) throws(Failure) -> [Chunk] {
    guard sampleCount > 0 else { throw Failure(.invalidArgument, "audio without samples") }
    let size = features.chunkSampleCount
    return stride(from: 0, to: sampleCount, by: size).map { start in
      let count = min(size, sampleCount - start)
      return Chunk(
        samples: start..<start + count, frames: count / hopLength,
        rows: CheckedSize.ceilingQuotient(count, samplesPerRow))
    }
  }

  /// Rows of a chunk, at most.
  func chunkRows(_ features: LogMelConfiguration) -> Int {
    CheckedSize.ceilingQuotient(features.chunkSampleCount, samplesPerRow)
  }
}
