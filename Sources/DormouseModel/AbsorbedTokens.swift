import DormouseKernels

/// The tokens of a pass that attend in the absorbed form, of all its segments.
final class AbsorbedTokens {
  struct Token {
    /// Its row in the scratch memory.
    let row: Int
    /// Cached rows that it attends to: their positions, or their places in `positions`.
    let range: Range<Int>
    /// The positions of the rows that its indexer has picked, ascending; nil where it attends to all of `range`.
    let positions: UnsafePointer<Int32>?
    let cache: CacheRows
  }

  private(set) var tokens: ContiguousArray<Token> = []

  init(capacity: Int) { tokens.reserveCapacity(capacity) }

  func removeAll() { tokens.removeAll(keepingCapacity: true) }

  func append(_ token: Token) { tokens.append(token) }

  /// Tokens from `start` on, at most `count`, whose rows follow each other.
  func run(from start: Int, count: Int) -> ArraySlice<Token> {
    var end = start + 1
    while end < min(start + count, tokens.count), tokens[end].row == tokens[end - 1].row + 1 { end += 1 }
    return tokens[start..<end]
  }
}
