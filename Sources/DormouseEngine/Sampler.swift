import DormouseSupport
import Glibc

/// Chooses tokens from logits, after all rules: by temperature, top-k, top-p, min-p, in the order of transformers. Ties
/// go to the lower id. One sampler belongs to one answer.
struct Sampler {
  struct Candidate {
    var token: Int32
    /// A logit first, then a weight: exp(logit - maximum).
    var value: Float
  }

  private let parameters: SamplingParameters
  private var random: RandomGenerator
  /// Reused from token to token.
  private var candidates: [Candidate] = []
  /// Of their weights, of those that the last token was drawn from.
  private var total = Double(0)

  init(_ parameters: SamplingParameters) {
    self.parameters = parameters
    random = RandomGenerator(seed: parameters.seed)
  }

  /// The next token. `logits` [vocabulary] must not be empty, and are finite, or -infinity for tokens that are ruled
  /// out.
  mutating func sample(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
    guard parameters.temperature < SamplingParameters.greedyTemperature else { return draw(logits) }
    return Int32(truncatingIfNeeded: indexOfGreatest(logits))
  }

  /// The log-probabilities of the distribution that `token`, the last one, was drawn from. Where the greatest was taken
  /// that of temperature 1, since that of temperature 0 would tell nothing.
  /// - Parameter logits: those that it was chosen from.
  func logProbabilities(
    of token: Int32, among logits: UnsafeBufferPointer<Float>, alternativeCount: Int
  ) -> LogProbabilities {
    guard parameters.temperature < SamplingParameters.greedyTemperature else {
      return LogProbabilities(candidates, total: total, token: token, alternativeCount: alternativeCount)
    }
    return LogProbabilities(logits: logits, token: token, alternativeCount: alternativeCount)
  }

  /// A random token by temperature, top-k, top-p and min-p.
  private mutating func draw(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
    gatherCandidates(logits)
    guard let best = candidates.first else { return 0 }
    total = 0
    for index in candidates.indices {
      candidates[index].value = expf(candidates[index].value - best.value)
      total += Double(candidates[index].value)
    }
    total = applyTopP(total)
    total = applyMinP(total)
    var remaining = random.nextUniform() * total
    for candidate in candidates {
      remaining -= Double(candidate.value)
      if remaining < 0 { return candidate.token }
    }
    return candidates.last?.token ?? best.token
  }

  /// Scaled logits in `candidates`, most probable first, the `topK` best if that is on.
  ///
  /// Tokens that are e^-42 times as probable as the best one are left out: a uniform number of 53 bits never
  /// reaches them, and a sharp distribution needs no sort of the whole vocabulary.
  private mutating func gatherCandidates(_ logits: UnsafeBufferPointer<Float>) {
    let scale = 1 / parameters.temperature
    let maximum = logits.max() ?? 0
    candidates.removeAll(keepingCapacity: true)
    for (index, value) in logits.enumerated() {
      let scaled = (value - maximum) * scale
      if scaled > -42 { candidates.append(Candidate(token: Int32(truncatingIfNeeded: index), value: scaled)) }
    }
    candidates.sort { $0.value != $1.value ? $0.value > $1.value : $0.token < $1.token }
    if parameters.topK > 0, candidates.count > parameters.topK {
      candidates.removeLast(candidates.count - parameters.topK)
    }
  }

  /// Keeps the smallest head of `candidates` that reaches `topP`; returns the weight that stays.
  private mutating func applyTopP(_ total: Double) -> Double {
    guard parameters.topP < 1 else { return total }
    let wanted = total * Double(parameters.topP)
    var sum = Double(0)
    for (index, candidate) in candidates.enumerated() {
      sum += Double(candidate.value)
      if sum >= wanted {
        candidates.removeLast(candidates.count - index - 1)
        return sum
      }
    }
    return total
  }

  /// Keeps the candidates with at least `minP` of the best one's weight, which is 1; returns the weight that stays.
  private mutating func applyMinP(_ total: Double) -> Double {
    guard parameters.minP > 0, let end = candidates.firstIndex(where: { $0.value < parameters.minP }) else {
      return total
    }
    candidates.removeLast(candidates.count - end)
    return candidates.reduce(0) { $0 + Double($1.value) }
  }
}
