/// Ends a model's reasoning by the family's own tokens when it has had as many tokens as it may.
struct ReasoningBudget {
  private let tokens: Int?
  private let end: [Int32]
  private var used = 0
  /// Of `end`, how many have been forced; nil while none is to be.
  private var forced: Int?

  /// - Parameters:
  ///   - tokens: at most; nil for any number.
  ///   - end: what ends the reasoning.
  init(tokens: Int?, end: [Int32]) {
    self.tokens = tokens
    self.end = end
  }

  /// The token that comes now whatever the model thinks likely; nil where it may choose.
  /// - Parameter isReasoning: whether the next token is one of the reasoning.
  mutating func forcedToken(isReasoning: Bool) -> Int32? {
    guard let tokens, !end.isEmpty else { return nil }
    if forced == nil {
      guard isReasoning else { return nil }
      if used < tokens {
        used += 1
        return nil
      }
      forced = 0
    }
    guard let place = forced, place < end.count else {
      forced = nil
      return nil
    }
    forced = place + 1
    return end[place]
  }
}
