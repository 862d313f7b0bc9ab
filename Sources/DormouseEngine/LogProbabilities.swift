import Glibc

/// Natural logarithms of the model's own probabilities, before penalties, bias and temperature.
struct LogProbabilities {
  /// The chosen token's.
  var chosen: Float
  /// The most probable tokens, best first; ties go to the lower id.
  var alternatives: [GenerationEvent.Alternative]

  /// - Parameters:
  ///   - logits: [vocabulary], finite, not empty.
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
    for (index, value) in logits.enumerated() {
      if best.count == count, let last = best.last, value <= logits[last] { continue }
      let position = best.firstIndex { value > logits[$0] } ?? best.count
      best.insert(index, at: position)
      if best.count > count { best.removeLast() }
    }
    return best
  }
}
