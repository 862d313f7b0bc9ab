import DormouseKernels

/// The tokens of a pass that attend in the absorbed form, of all its segments.
final class AbsorbedTokens {
  struct Token {
    /// Its row in the scratch memory.
    let row: Int
    /// Cached rows that it sees, itself among them.
    let visible: Int
    let cache: CacheRows
  }

  private(set) var tokens: ContiguousArray<Token> = []

  init(capacity: Int) { tokens.reserveCapacity(capacity) }

  func removeAll() { tokens.removeAll(keepingCapacity: true) }

  func append(_ segment: ActiveSegment, _ cache: CacheRows) {
    for (index, row) in segment.rows.enumerated() {
      tokens.append(Token(row: row, visible: segment.first + index + 1, cache: cache))
    }
  }

  /// Tokens from `start` on, at most `count`, whose rows follow each other.
  func run(from start: Int, count: Int) -> ArraySlice<Token> {
    var end = start + 1
    while end < min(start + count, tokens.count), tokens[end].row == tokens[end - 1].row + 1 { end += 1 }
    return tokens[start..<end]
  }
}
