import DormouseSupport

/// How the next token is chosen from the logits; ranges are checked when the values are read.
struct SamplingParameters: Sendable, Equatable {
  /// Below `greedyTemperature` the most probable token is taken; otherwise logits are divided by it.
  var temperature: Float = 0
  /// Only the `topK` most probable tokens stay; 0 is off.
  var topK = 0
  /// Only the most probable tokens that together reach this probability stay; 1 is off.
  var topP: Float = 1
  /// Only tokens at least this fraction as probable as the best one stay; 0 is off.
  var minP: Float = 0
  /// Logits of tokens in the prompt or the answer: positive ones divided, negative ones multiplied by it
  /// (Keskar et al., "CTRL", 2019). 1 is off.
  var repetitionPenalty: Float = 1
  /// Subtracted once from the logits of tokens that the answer holds.
  var presencePenalty: Float = 0
  /// Subtracted from the logits of the answer's tokens, once for each time they occur.
  var frequencyPenalty: Float = 0
  /// Added to the logits of single tokens.
  var logitBias: [Int32: Float] = [:]
  var seed: UInt64 = 0

  /// Dividing by less would overflow, and change nothing.
  static let greedyTemperature: Float = 1e-6
}

extension SamplingParameters {
  /// Overwrites what `fields` holds.
  mutating func read(_ fields: JSONFields) throws(Failure) {
    func number(_ key: String, _ range: ClosedRange<Double>, _ excluded: Double? = nil) throws(Failure) -> Float? {
      try fields.optionalNumber(key, range, except: excluded).map { Float($0) }
    }
    temperature = try number("temperature", 0...100) ?? temperature
    topK = try fields.optionalInteger("top_k", 0...Int(Int32.max)) ?? topK
    topP = try number("top_p", 0...1, 0) ?? topP
    minP = try number("min_p", 0...1) ?? minP
    repetitionPenalty = try number("repetition_penalty", 0...100, 0) ?? repetitionPenalty
    presencePenalty = try number("presence_penalty", -100...100) ?? presencePenalty
    frequencyPenalty = try number("frequency_penalty", -100...100) ?? frequencyPenalty
    seed = try fields.optionalInteger("seed", .min ... .max).map { UInt64(bitPattern: Int64($0)) } ?? seed
  }
}
