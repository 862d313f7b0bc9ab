import DormouseSupport

/// What one call of generate is asked to do: the caller's JSON over the model's defaults.
struct GenerationRequest: Sendable, Equatable {
  var sampling = SamplingParameters()
  /// Tokens at most; nil: until the context is full.
  var maxTokens: Int?
  var stop: [String] = []
  /// Alternatives for each token; nil: no log-probabilities at all.
  var logProbabilityAlternatives: Int?
  var ignoresEndTokens = false

  static let maximumStopStrings = 16
  static let maximumAlternatives = 20

  /// - Parameters:
  ///   - json: an object as `dormouse_session_generate` describes it, or nil.
  ///   - defaults: from the model's generation_config.json.
  ///   - vocabularySize: the ids that `logit_bias` may name are below it.
  static func read(_ json: String?, defaults: SamplingParameters, vocabularySize: Int) throws(Failure)
    -> GenerationRequest
  {
    var request = GenerationRequest()
    request.sampling = defaults
    guard let json else { return request }
    var fields = try JSONFields(try JSON.parse(argument: json, name: "config_json"), name: "config_json")
    try request.sampling.read(&fields)
    request.sampling.logitBias = try readLogitBias(&fields, vocabularySize: vocabularySize)
    request.maxTokens = try fields.integer("max_tokens", in: 1...Int64(Int32.max)).map { Int($0) }
    request.stop = try readStop(&fields)
    if let count = try fields.integer("logprobs", in: -1...Int64(maximumAlternatives)), count != 0 {
      request.logProbabilityAlternatives = max(0, Int(count))
    }
    request.ignoresEndTokens = try fields.boolean("ignore_eos") ?? false
    try fields.refuseUnknown()
    return request
  }

  private static func readStop(_ fields: inout JSONFields) throws(Failure) -> [String] {
    let stop = try fields.strings("stop") ?? []
    guard stop.count <= maximumStopStrings else {
      throw Failure(.invalidArgument, "config_json: 'stop' holds \(stop.count) strings, at most \(maximumStopStrings)")
    }
    guard !stop.contains("") else {
      throw Failure(.invalidArgument, "config_json: 'stop' holds an empty string")
    }
    return stop
  }

  private static func readLogitBias(_ fields: inout JSONFields, vocabularySize: Int) throws(Failure) -> [Int32: Float] {
    guard let value = fields.value("logit_bias") else { return [:] }
    guard let object = value.objectValue else {
      throw fields.wrong("logit_bias", value, "an object of token ids")
    }
    var biases: [Int32: Float] = [:]
    for (key, bias) in object {
      guard let token = Int32(key), token >= 0, token < vocabularySize else {
        throw Failure(
          .invalidArgument,
          "config_json: 'logit_bias' names '\(key)', which is not a token id below \(vocabularySize)")
      }
      guard let number = bias.doubleValue, (-100...100).contains(number) else {
        throw fields.wrong("logit_bias", bias, "numbers from -100 to 100")
      }
      biases[token] = Float(number)
    }
    return biases
  }
}

extension SamplingParameters {
  /// Overwrites what `fields` holds.
  mutating func read(_ fields: inout JSONFields) throws(Failure) {
    temperature = try fields.number("temperature", in: 0...100) ?? temperature
    topK = try fields.integer("top_k", in: 0...Int64(Int32.max)).map { Int($0) } ?? topK
    topP = try fields.number("top_p", in: 0...1, not: 0) ?? topP
    minP = try fields.number("min_p", in: 0...1) ?? minP
    repetitionPenalty = try fields.number("repetition_penalty", in: 0...100, not: 0) ?? repetitionPenalty
    presencePenalty = try fields.number("presence_penalty", in: -100...100) ?? presencePenalty
    frequencyPenalty = try fields.number("frequency_penalty", in: -100...100) ?? frequencyPenalty
    seed = try fields.integer("seed", in: .min ... .max).map { UInt64(bitPattern: $0) } ?? seed
  }
}
