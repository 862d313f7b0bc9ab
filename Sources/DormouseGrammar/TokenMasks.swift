public import DormouseSupport

/// What the tokens of a vocabulary do in a state of a terminal, whatever stands around it.
struct StateMask: Sendable {
  /// Tokens that stay within the terminal: few, or many.
  let few: [Int32]
  let many: TokenSet?
  /// Nodes at which the terminal may end and tokens go on.
  let exits: [Int32]

  func add(to set: inout TokenSet) {
    if let many { set.formUnion(many) }
    for token in few { set.insert(token) }
  }
}

/// A vocabulary, and what its tokens do in states that many grammars have, such as those of a string.
public final class GrammarVocabulary: Sendable {
  let trie: TokenTrie
  private let masks = Locked<[Expressions.Fingerprint: StateMask]>([:])

  /// Masks with a bit for every token that are kept, here and by a constraint.
  static let capacity = 512

  private let bytes: [[UInt8]]

  /// - Parameter tokens: the bytes of each; empty for one that is no text, such as a control token.
  /// - Throws: `Failure(.invalidArgument)` for a token that is too long.
  public init(_ tokens: [[UInt8]]) throws(Failure) {
    trie = try TokenTrie(tokens)
    bytes = tokens
  }

  /// Nil for what is no token, or no text.
  func bytes(of token: Int32) -> [UInt8]? {
    guard bytes.indices.contains(Int(token)), !bytes[Int(token)].isEmpty else { return nil }
    return bytes[Int(token)]
  }

  func mask(_ state: Expressions.Fingerprint) -> StateMask? { masks.withLock { $0[state] } }

  func keep(_ mask: StateMask, of state: Expressions.Fingerprint) {
    masks.withLock { masks in
      if masks.count >= Self.capacity { masks.removeAll() }
      masks[state] = mask
    }
  }
}

/// The tokens that may come next, exactly: those whose bytes a text of the grammar goes on with.
///
/// A token lies within one terminal, or leaves it. Those within are the same wherever the state is met, and are found once
/// for it. Only tokens that go on behind a place where the terminal may end are read byte by byte with all that is
/// around.
struct TokenMasks {
  private let vocabulary: GrammarVocabulary
  private let trie: TokenTrie
  private let expressions: Expressions
  private var masks: [ExpressionID: StateMask] = [:]
  /// Of these, those with a bit for every token.
  private var largeCount = 0
  /// The state at each depth of a walk.
  private var path: [ExpressionID]

  init(_ vocabulary: GrammarVocabulary, _ expressions: Expressions) {
    self.vocabulary = vocabulary
    self.expressions = expressions
    trie = vocabulary.trie
    path = Array(repeating: Expressions.nothing, count: trie.maximumDepth + 1)
  }

  /// Adds the tokens that may follow what `recognizer` has read, which is as before at the end.
  mutating func add(to set: inout TokenSet, after recognizer: inout Recognizer) {
    let count = recognizer.count
    for terminal in recognizer.current {
      let mask = mask(of: terminal.state)
      mask.add(to: &set)
      // A whole set is a pass over all its words.
      expressions.effort.spend(mask.many == nil ? 1 : 64)
      if expressions.effort.isStopped { return }
      guard !mask.exits.isEmpty else { continue }
      recognizer.end(terminal)
      for exit in mask.exits { walk(below: Int(exit), &recognizer, &set) }
      recognizer.takeBack(to: count)
    }
  }

  /// Adds the tokens below a node of the tree that may follow.
  private func walk(below exit: Int, _ recognizer: inout Recognizer, _ set: inout TokenSet) {
    let base = recognizer.count
    let depth = Int(trie.nodes[exit].depth)
    let end = Int(trie.nodes[exit].end)
    var index = exit + 1
    while index < end {
      let node = trie.nodes[index]
      recognizer.takeBack(to: base + Int(node.depth) - depth - 1)
      if recognizer.advance(node.byte) {
        for token in trie.tokens(at: index) { set.insert(token) }
        index += 1
      } else {
        index = Int(node.end)
      }
    }
    recognizer.takeBack(to: base)
  }

  // MARK: - States

  private mutating func mask(of state: ExpressionID) -> StateMask {
    let state = expressions.withinReach(state, of: trie.maximumDepth)
    if let known = masks[state] { return known }
    let fingerprint = expressions.fingerprint(of: state)
    let kept = vocabulary.mask(fingerprint)
    let mask = kept ?? makeMask(of: state)
    if mask.many != nil {
      if kept == nil, !expressions.effort.isStopped { vocabulary.keep(mask, of: fingerprint) }
      if largeCount >= GrammarVocabulary.capacity {
        masks.removeAll()
        largeCount = 0
      }
      largeCount += 1
    }
    masks[state] = mask
    return mask
  }

  private static let few = 256

  private mutating func makeMask(of state: ExpressionID) -> StateMask {
    // Ranges of `trie.tokens`.
    var ranges: [Range<Int>] = []
    var exits: [Int32] = []
    path[0] = state
    let count = trie.nodes.count
    var index = 0
    func add(_ first: Int, _ end: Int) {
      guard first < end else { return }
      if let last = ranges.last, last.upperBound == first {
        ranges[ranges.count - 1] = last.lowerBound..<end
      } else {
        ranges.append(first..<end)
      }
    }
    func firstToken(_ node: Int) -> Int { node < count ? Int(trie.nodes[node].firstToken) : trie.tokens.count }
    var visited = 0
    while index < count {
      visited += 1
      if visited % Self.few == 0 {
        expressions.effort.spend(Self.few)
        if expressions.effort.isStopped { break }
      }
      let node = trie.nodes[index]
      let next = expressions.next(path[Int(node.depth) - 1], node.byte)
      let end = Int(node.end)
      if next == Expressions.nothing {
        index = end
      } else if end > index + 1, expressions.staysWithin(next, node) {
        add(firstToken(index), firstToken(end))
        index = end
      } else {
        path[Int(node.depth)] = next
        add(firstToken(index), firstToken(index + 1))
        if end > index + 1, expressions.accepts(next) { exits.append(Int32(index)) }
        index += 1
      }
    }
    let total = ranges.reduce(0) { $0 + $1.count }
    guard total > Self.few else {
      return StateMask(few: ranges.flatMap { trie.tokens[$0] }, many: nil, exits: exits)
    }
    var set = TokenSet(tokenCount: trie.tokenCount)
    for range in ranges { for token in trie.tokens[range] { set.insert(token) } }
    return StateMask(few: [], many: set, exits: exits)
  }
}

extension Expressions {
  /// Whether all that stands below a node keeps within the terminal and never comes to a place where it may end. May say
  /// no where that is so.
  fileprivate func staysWithin(_ state: ExpressionID, _ node: TokenTrie.Node) -> Bool {
    let run = run(of: state)
    return node.height <= run.length && node.ascii.0 & ~run.ascii.0 == 0 && node.ascii.1 & ~run.ascii.1 == 0
      && (!node.hasOthers || run.takesOthers && node.isWellFormed)
  }
}
