import DormouseSupport

/// What one call of generate is asked to do: the caller's JSON over the host's defaults, and those over the model's.
struct GenerationRequest: Sendable, Equatable {
  var sampling = SamplingParameters()
  /// Tokens at most; nil: until the context is full.
  var maxTokens: Int?
  var stop: [String] = []
  /// Tokens that end the text, whatever `ignoresEndTokens` says.
  var stopTokens: Set<Int32> = []
  /// Alternatives for each token; nil: no log-probabilities at all.
  var logProbabilityAlternatives: Int?
  var logProbabilitySource = LogProbabilitySource.model
  var ignoresEndTokens = false
  /// Its parts, its reasoning and its calls of tools.
  var answer = AnswerRequest()
  /// The scripts that it is written in; nil for any.
  var language: LanguageRequest?
  /// The form of the answer's content; nil for any.
  var constraint: ConstraintRequest?
  var terms = WorkTerms()

  private static let knownMembers = [
    "max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty",
    "frequency_penalty", "logit_bias", "seed", "stop", "stop_token_ids", "logprobs", "logprobs_of", "ignore_eos",
    "priority", "time_limit", "constraint", "response_format", "parts", "answer_format", "thinking", "reasoning_effort",
    "tools", "tool_choice", "parallel_tool_calls", "language",
  ]
  static let maximumStopStrings = 16
  static let maximumStopTokens = 1024
  static let maximumAlternatives = 20

  /// - Parameters:
  ///   - json: an object as `dormouse_session_generate` describes it, or nil.
  ///   - configured: what the host has set for the engine.
  ///   - defaults: from the model's generation_config.json.
  ///   - vocabularySize: the ids that `logit_bias` and `stop_token_ids` may name are below it.
  static func read(
    _ json: String?, over configured: ConfiguredDefaults? = nil, defaults: SamplingParameters, vocabularySize: Int
  ) throws(Failure) -> GenerationRequest {
    let call = try JSONFields(argument: json ?? "{}", name: "config_json")
    return try read(
      try configured?.under(call) ?? call, defaults: defaults, vocabularySize: vocabularySize)
  }

  static func read(
    _ fields: JSONFields, defaults: SamplingParameters, vocabularySize: Int
  ) throws(Failure) -> GenerationRequest {
    var request = GenerationRequest()
    request.sampling = defaults
    try fields.refuseMembers(besides: knownMembers)
    try request.sampling.read(fields)
    request.sampling.logitBias = try readLogitBias(fields, vocabularySize: vocabularySize)
    request.maxTokens = try fields.optionalInteger("max_tokens", 1...Int(Int32.max))
    request.stop = try readStop(fields)
    request.stopTokens = try readStopTokens(fields, vocabularySize: vocabularySize)
    if let count = try fields.optionalInteger("logprobs", -1...maximumAlternatives), count != 0 {
      request.logProbabilityAlternatives = max(0, count)
    }
    request.logProbabilitySource = try fields.optionalCase("logprobs_of") ?? .model
    request.ignoresEndTokens = try fields.optionalBoolean("ignore_eos") ?? false
    request.constraint = try ConstraintRequest.read(fields)
    request.answer = try AnswerRequest.read(fields)
    request.language = try LanguageRequest.read(fields)
    guard request.constraint == nil || request.answer.tools == nil else {
      throw Failure(
        .unsupported, "\(fields.file): an answer under a constraint can't call tools: leave out constraint or tools")
    }
    request.terms = try WorkTerms(fields)
    return request
  }

  private static func readStop(_ fields: JSONFields) throws(Failure) -> [String] {
    let stop = try fields.optionalStrings("stop") ?? []
    guard stop.count <= maximumStopStrings else {
      throw Failure(
        .invalidArgument, "\(fields.file): stop holds \(stop.count) strings; expected at most \(maximumStopStrings)")
    }
    guard !stop.contains("") else {
      throw Failure(.invalidArgument, "\(fields.file): stop holds an empty string")
    }
    return stop
  }

  private static func readStopTokens(_ fields: JSONFields, vocabularySize: Int) throws(Failure) -> Set<Int32> {
    guard let values = try fields.optionalArray("stop_token_ids") else { return [] }
    guard values.count <= maximumStopTokens else {
      throw Failure(
        .invalidArgument,
        "\(fields.file): stop_token_ids holds \(values.count) ids; expected at most \(maximumStopTokens)")
    }
    var tokens: Set<Int32> = []
    for (index, value) in values.enumerated() {
      guard let token = value.integerValue.flatMap({ Int32(exactly: $0) }), token >= 0, token < vocabularySize else {
        throw fields.wrong("stop_token_ids[\(index)]", value, expected: "a token id below \(vocabularySize)")
      }
      tokens.insert(token)
    }
    return tokens
  }

  private static func readLogitBias(_ fields: JSONFields, vocabularySize: Int) throws(Failure) -> [Int32: Float] {
    guard let value = fields.value("logit_bias") else { return [:] }
    guard let object = value.objectValue else {
      throw fields.wrong("logit_bias", value, expected: "an object of token ids")
    }
    var biases: [Int32: Float] = [:]
    for (key, bias) in object {
      guard let token = Int32(key), token >= 0, token < vocabularySize else {
        throw Failure(
          .invalidArgument,
          "\(fields.file): logit_bias names '\(key)'; expected token ids below \(vocabularySize)")
      }
      guard let number = bias.doubleValue, (-100...100).contains(number) else {
        throw fields.wrong("logit_bias", bias, expected: "numbers from -100 to 100")
      }
      biases[token] = Float(number)
    }
    return biases
  }
}
