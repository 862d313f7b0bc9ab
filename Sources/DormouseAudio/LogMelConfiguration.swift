import DormouseLayers
public import DormouseSupport

/// How samples become log-mel features: `preprocessor_config.json` of Whisper and of the models that hear with its
/// features (transformers 5.23, `feature_extraction_whisper.py`, `feature_extraction_dots3_note.py`).
public struct LogMelConfiguration: Sendable, Equatable {
  /// Mel channels.
  public let featureSize: Int
  /// Samples of a frame, and points of its Fourier transform.
  public let fftLength: Int
  /// Samples from one frame to the next.
  public let hopLength: Int
  /// Seconds that a model takes at a time; shorter audio is padded with silence.
  public let chunkLength: Int

  /// Samples a second; no published extractor has another rate.
  public static let samplingRate = 16_000

  /// - Throws: `Failure(.invalidArgument)` for a value out of range.
  public init(featureSize: Int, fftLength: Int = 400, hopLength: Int = 160, chunkLength: Int = 30) throws(Failure) {
    var object = JSONObject()
    object["feature_size"] = .integer(Int64(featureSize))
    object["n_fft"] = .integer(Int64(fftLength))
    object["hop_length"] = .integer(Int64(hopLength))
    object["chunk_length"] = .integer(Int64(chunkLength))
    try self.init(JSONFields(.object(object), file: "log-mel configuration", status: .invalidArgument))
  }

  /// - Throws: `Failure` naming file, field and value.
  public init(_ fields: JSONFields) throws(Failure) { try self.init(fields, default: Self.whisper) }

  /// - Parameter standard: the class of a document that names none.
  init(_ fields: JSONFields, default standard: String) throws(Failure) {
    let type = try fields.optionalString("feature_extractor_type") ?? standard
    guard type == Self.whisper || type == Self.dots else {
      throw fields.unsupported("feature_extractor_type", .string(type), supported: "\(Self.whisper), \(Self.dots)")
    }
    let isDots = type == Self.dots
    featureSize = try fields.optionalInteger("feature_size", 1...512) ?? (isDots ? 128 : 80)
    fftLength = try fields.optionalInteger("n_fft", 16...4096) ?? 400
    guard RealFourier.supports(fftLength) else {
      throw fields.unsupported(
        "n_fft", .integer(Int64(fftLength)), supported: "even numbers whose half has no prime factor above 5")
    }
    hopLength = try fields.optionalInteger("hop_length", 1...fftLength) ?? 160
    let seconds = try fields.optionalInteger("chunk_length", 1...3600) ?? (isDots ? 60 : 30)
    chunkLength = try fields.optionalInteger("chunk_seconds", 1...3600) ?? seconds
    try Self.require(fields, "sampling_rate", Double(Self.samplingRate))
    try Self.require(fields, "padding_value", 0)
    // Noise on purpose has no place where equal audio is to give equal answers.
    try Self.require(fields, "dither", 0)
    if try fields.optionalBoolean("do_normalize") == true {
      throw fields.unsupported("do_normalize", .bool(true), supported: "false")
    }
  }

  private static let whisper = "WhisperFeatureExtractor"
  private static let dots = "Dots3NoteFeatureExtractor"

  private static func require(_ fields: JSONFields, _ key: String, _ supported: Double) throws(Failure) {
    guard let value = fields.value(key) else { return }
    guard value.doubleValue == supported else { throw fields.unsupported(key, value, supported: "\(supported)") }
  }

  /// Samples of a chunk.
  public var chunkSampleCount: Int { chunkLength * Self.samplingRate }
  /// Frames of a chunk.
  public var chunkFrameCount: Int { frameCount(sampleCount: chunkSampleCount) }

  /// Frames of audio: its short-time Fourier transform has one more, which the extractors drop.
  public func frameCount(sampleCount: Int) -> Int { max(0, sampleCount) / hopLength }
}

extension LogMelConfiguration {
  /// Reads a model's feature extractor: `feature_extractor` in `processor_config.json`, where transformers 5 keeps all
  /// processors of a model, else `preprocessor_config.json`, which may be the images' alone.
  /// - Throws: `Failure(.notFound)` when neither speaks of audio.
  public static func load(folder: String) throws(Failure) -> LogMelConfiguration {
    if let nested = try ProcessorFiles.nested("feature_extractor", folder: folder) { return try Self(nested) }
    let fields = try ProcessorFiles.document("preprocessor_config.json", folder: folder)
    guard let fields, fields.has("feature_extractor_type") || fields.has("feature_size") else {
      guard fields == nil, !File.exists("\(folder)/processor_config.json") else {
        throw Failure(
          .malformed,
          "\(folder)/processor_config.json: feature_extractor is missing; expected the processor of audio, which"
            + " preprocessor_config.json is not")
      }
      throw Failure(.notFound, "\(folder): neither preprocessor_config.json nor processor_config.json is there")
    }
    return try Self(fields)
  }

  /// The same for dots3-note, where `preprocessor_config.json` may be the images' alone; the class defaults of
  /// `Dots3NoteFeatureExtractor` where no file speaks of audio.
  public static func loadDots(folder: String) throws(Failure) -> LogMelConfiguration {
    if let nested = try ProcessorFiles.nested("feature_extractor", folder: folder) {
      return try LogMelConfiguration(nested, default: dots)
    }
    let name = "preprocessor_config.json"
    if let fields = try ProcessorFiles.document(name, folder: folder), fields.has("feature_extractor_type") {
      return try LogMelConfiguration(fields, default: dots)
    }
    return try LogMelConfiguration(JSONFields(.object(JSONObject()), file: "\(folder)/\(name)"), default: dots)
  }
}
