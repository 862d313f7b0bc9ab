import Glibc

/// What a window's next token may be: the logits processors that `WhisperGenerationMixin` of transformers 5.23 puts
/// before a choice (`SuppressTokensAtBegin`, `SuppressTokens`, `WhisperTimeStamp`).
struct WhisperLogitRules {
  let generation: WhisperGenerationConfiguration
  /// Whether timestamps are written.
  let hasTimestamps: Bool

  /// Sets the scores of tokens that may not follow to -infinity.
  /// - Parameters:
  ///   - scores: [vocabulary].
  ///   - written: the window's tokens so far, without the prompt.
  func apply(_ scores: UnsafeMutableBufferPointer<Float>, after written: [Int32]) {
    if written.isEmpty { for token in generation.suppressedFirst { forbid(scores, Int(token)..<Int(token) + 1) } }
    for token in generation.suppressed { forbid(scores, Int(token)..<Int(token) + 1) }
    if hasTimestamps { applyTimestampRules(scores, after: written) }
  }

  private func forbid(_ scores: UnsafeMutableBufferPointer<Float>, _ tokens: Range<Int>) {
    for token in tokens.clamped(to: 0..<scores.count) { scores[token] = -.infinity }
  }

  /// Timestamps come first, in pairs except before the end, and never go back; and one is written where all timestamps
  /// together are likelier than any other token.
  private func applyTimestampRules(_ scores: UnsafeMutableBufferPointer<Float>, after written: [Int32]) {
    let begin = Int(generation.timestampBegin)
    forbid(scores, begin - 1..<begin)
    let endsWithOne = written.last.map { Int($0) >= begin } ?? false
    let followsOne = written.count < 2 || Int(written[written.count - 2]) >= begin
    if endsWithOne { forbid(scores, followsOne ? begin..<scores.count : 0..<Int(generation.end)) }
    if let last = written.last(where: { Int($0) >= begin }) {
      // An interval may end where it began only if that is its second timestamp's own place.
      forbid(scores, begin..<(endsWithOne && !followsOne ? Int(last) : Int(last) + 1))
    }
    if written.isEmpty {
      forbid(scores, 0..<begin)
      if let most = generation.maximumInitialTimestamp {
        forbid(scores, min(begin + most + 1, scores.count)..<scores.count)
      }
    }
    let times = scores[begin...]
    guard let top = times.max(), top > -.infinity else { return }
    let together = Double(top) + log(times.reduce(0.0) { $0 + exp(Double($1 - top)) })
    if let text = scores[..<begin].max(), together > Double(text) { forbid(scores, 0..<begin) }
  }

  /// The logarithm of a token's probability under scores [vocabulary].
  static func logProbability(_ scores: UnsafeMutableBufferPointer<Float>, of token: Int) -> Double {
    guard let top = scores.max() else { return -.infinity }
    let total = scores.reduce(0.0) { $0 + exp(Double($1 - top)) }
    return Double(scores[token] - top) - log(total)
  }
}
