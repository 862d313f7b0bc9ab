import Glibc

/// Which distribution log-probabilities are of; the values of `logprobs_of`.
enum LogProbabilitySource: String, Sendable, CaseIterable {
  /// The model's own, before penalties, bias, constraint and temperature.
  case model
  /// That from which the token was drawn, after all of these and top-k, top-p and min-p; of a greedy choice, which has no
  /// temperature, that of the logits after penalties, bias and constraint.
  case sampled
}

/// Natural logarithms of the probabilities of the chosen token and of the most probable ones.
struct LogProbabilities {
  /// The chosen token's.
  var chosen: Float
  /// The most probable tokens, best first; ties go to the lower id. A token that is ruled out is none of them.
  var alternatives: [GenerationEvent.Alternative]

  /// Those of a token that was given, beside which no other was possible.
  init(certain token: Int32, alternativeCount: Int) {
    self.init([Sampler.Candidate(token: token, value: 1)], total: 1, token: token, alternativeCount: alternativeCount)
  }

  /// - Parameters:
  ///   - candidates: all tokens that are not ruled out, most probable first, with weights.
  ///   - total: the sum of the weights.
  ///   - token: one of the candidates.
  init(_ candidates: [Sampler.Candidate], total: Double, token: Int32, alternativeCount: Int) {
    func logarithm(_ candidate: Sampler.Candidate) -> Float { Float(log(Double(candidate.value) / total)) }
    chosen = candidates.first { $0.token == token }.map(logarithm) ?? -.infinity
    alternatives = candidates.prefix(alternativeCount).map {
      GenerationEvent.Alternative(token: $0.token, logProbability: logarithm($0))
    }
  }

  /// Those of the softmax.
  /// - Parameters:
  ///   - logits: [vocabulary], finite or -infinity for tokens that are ruled out, not empty.
  ///   - token: an index of `logits`.
  ///   - alternativeCount: how many of the most probable tokens to give.
  init(logits: UnsafeBufferPointer<Float>, token: Int32, alternativeCount: Int) {
    let maximum = logits.max() ?? 0
    var sum = Double(0)
    for value in logits { sum += exp(Double(value - maximum)) }
    let logSum = Double(maximum) + log(sum)
    chosen = Float(Double(logits[Int(token)]) - logSum)
    alternatives = LogProbabilities.best(alternativeCount, of: logits).map { index in
      GenerationEvent.Alternative(
        token: Int32(truncatingIfNeeded: index), logProbability: Float(Double(logits[index]) - logSum))
    }
  }

  /// The indices of the `count` largest values, largest first.
  private static func best(_ count: Int, of logits: UnsafeBufferPointer<Float>) -> [Int] {
    guard count > 0 else { return [] }
    var best: [Int] = []
    best.reserveCapacity(count + 1)
    for (index, value) in logits.enumerated() where value > -.infinity {
      if best.count == count, let last = best.last, value <= logits[last] { continue }
      let position = best.firstIndex { value > logits[$0] } ?? best.count
      best.insert(index, at: position)
      if best.count > count { best.removeLast() }
    }
    return best
  }
}
