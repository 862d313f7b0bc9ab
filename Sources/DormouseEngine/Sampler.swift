import DormouseSupport
import Glibc

/// Chooses tokens from logits. One sampler belongs to one generation.
///
/// The order is that of transformers' logits processors: repetition penalty, presence and frequency penalties, bias,
/// temperature, top-k, top-p, min-p. Ties go to the lower id.
struct Sampler {
  struct Candidate {
    var token: Int32
    /// A logit first, then a weight: exp(logit - maximum).
    var value: Float
  }

  private let parameters: SamplingParameters
  private var random: RandomGenerator
  /// Tokens of the prompt and the answer, for the repetition penalty.
  private var seen: Set<Int32>
  /// How often the answer holds a token.
  private var generatedCounts: [Int32: Int] = [:]
  /// The logits after penalties and bias, reused from token to token.
  private var adjusted: [Float] = []
  private var candidates: [Candidate] = []

  /// - Parameter prompt: the tokens before the answer.
  init(_ parameters: SamplingParameters, prompt: [Int32]) {
    self.parameters = parameters
    random = RandomGenerator(seed: parameters.seed)
    seen = parameters.repetitionPenalty == 1 ? [] : Set(prompt)
  }

  /// The next token. `logits` [vocabulary] must be finite and not empty.
  mutating func sample(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
    let isGreedy = parameters.temperature < SamplingParameters.greedyTemperature
    if isGreedy && !parameters.changesLogits { return Sampler.mostProbable(logits) }
    adjust(logits)
    let token = isGreedy ? adjusted.withUnsafeBufferPointer(Sampler.mostProbable) : draw()
    record(token)
    return token
  }

  /// Counts a token of the answer for the penalties of later ones.
  private mutating func record(_ token: Int32) {
    if parameters.countsTokens { generatedCounts[token, default: 0] += 1 }
    if parameters.repetitionPenalty != 1 { seen.insert(token) }
  }

  private mutating func adjust(_ logits: UnsafeBufferPointer<Float>) {
    adjusted.removeAll(keepingCapacity: true)
    adjusted.append(contentsOf: logits)
    let repetition = parameters.repetitionPenalty
    if repetition != 1 {
      for token in seen { update(token) { $0 > 0 ? $0 / repetition : $0 * repetition } }
    }
    let (presence, frequency) = (parameters.presencePenalty, parameters.frequencyPenalty)
    if parameters.countsTokens {
      for (token, count) in generatedCounts { update(token) { $0 - presence - frequency * Float(count) } }
    }
    for (token, bias) in parameters.logitBias { update(token) { $0 + bias } }
  }

  private mutating func update(_ token: Int32, _ change: (Float) -> Float) {
    guard let index = Int(exactly: token), adjusted.indices.contains(index) else { return }
    adjusted[index] = change(adjusted[index])
  }

  /// Of equally probable tokens the lower id.
  private static func mostProbable(_ logits: UnsafeBufferPointer<Float>) -> Int32 {
    Int32(truncatingIfNeeded: indexOfGreatest(logits))
  }

  /// A random token by temperature, top-k, top-p and min-p.
  private mutating func draw() -> Int32 {
    gatherCandidates()
    guard let best = candidates.first else { return 0 }
    var total = Double(0)
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
  private mutating func gatherCandidates() {
    let scale = 1 / parameters.temperature
    let maximum = adjusted.max() ?? 0
    candidates.removeAll(keepingCapacity: true)
    for (index, value) in adjusted.enumerated() {
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
