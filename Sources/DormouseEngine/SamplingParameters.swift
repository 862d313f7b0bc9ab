import DormouseSupport

/// How the next token is chosen from the logits. The values are checked where they are read, in `GenerationRequest`.
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

  /// Whether it matters how often the answer holds a token.
  var countsTokens: Bool { presencePenalty != 0 || frequencyPenalty != 0 }

  /// Whether penalties or biases move the logits before a token is chosen.
  var changesLogits: Bool { repetitionPenalty != 1 || countsTokens || !logitBias.isEmpty }

  /// Dividing by less would overflow, and change nothing.
  static let greedyTemperature: Float = 1e-6
}
