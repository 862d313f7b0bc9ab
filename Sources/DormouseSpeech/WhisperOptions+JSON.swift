public import DormouseSupport

extension WhisperOptions {
  /// Reads the `config_json` of `dormouse_transcriber_run`; what is missing has the standard values.
  /// - Throws: `Failure(.invalidArgument)` naming the member. What depends on the model is checked when it transcribes.
  public init(json: String) throws(Failure) {
    self.init()
    let fields = try JSONFields(argument: json, name: "config_json")
    try fields.refuseMembers(besides: [
      "language", "task", "timestamps", "temperature", "compression_ratio_threshold", "logprob_threshold",
      "no_speech_threshold", "condition_on_prev_tokens", "seed", "time_limit",
    ])
    language = try fields.optionalString("language")
    if let name = try fields.optionalString("task") {
      guard let named = Task(rawValue: name) else {
        throw fields.wrong("task", .string(name), expected: Task.allCases.map(\.rawValue).joined(separator: " or "))
      }
      task = named
    }
    hasTimestamps = try fields.optionalBoolean("timestamps") ?? hasTimestamps
    temperatures = try WhisperOptions.temperatures(fields) ?? temperatures
    compressionRatioThreshold = try fields.threshold("compression_ratio_threshold", compressionRatioThreshold)
    logProbabilityThreshold = try fields.threshold("logprob_threshold", logProbabilityThreshold)
    noSpeechThreshold = try fields.threshold("no_speech_threshold", noSpeechThreshold)
    conditionsOnPrevious = try fields.optionalBoolean("condition_on_prev_tokens") ?? conditionsOnPrevious
    seed = try fields.optionalInteger("seed", .min ... .max).map { UInt64(bitPattern: Int64($0)) } ?? seed
    timeLimit = try fields.optionalNumber("time_limit", 0...1e9, except: 0)
  }

  /// A number, or an array of those that are tried in turn.
  private static func temperatures(_ fields: JSONFields) throws(Failure) -> [Float]? {
    guard let value = fields.value("temperature") else { return nil }
    var temperatures: [Float] = []
    for item in value.arrayValue ?? [value] {
      guard let number = item.doubleValue else {
        throw fields.wrong("temperature", value, expected: "a number, or an array of numbers")
      }
      temperatures.append(Float(number))
    }
    return temperatures
  }
}

extension JSONFields {
  /// A number; null for no threshold.
  fileprivate func threshold(_ key: String, _ standard: Double?) throws(Failure) -> Double? {
    guard has(key) else { return standard }
    return try optionalNumber(key, -1e9...1e9)
  }
}
