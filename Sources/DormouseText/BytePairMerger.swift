/// Which pairs of tokens merge.
enum MergeRules: Sendable {
  /// The listed pairs, in the order of the list (`tokenizer.json`).
  case pairs(PairTable)
  /// Any two neighbours whose joined bytes are a token, lowest id first (`tiktoken`).
  case ranks
}

/// Turns one word into token ids by byte pair encoding, in O(n log n) for a word of n bytes.
///
/// The best candidate, by rank and then from left to right, is merged until none is left. Candidates wait in a heap
/// and are checked again when they come up. As in the `tokenizers` package that check compares the token to be made
/// and not the pair, which decides between two pairs that make the same token.
struct BytePairMerger {
  private struct Symbol {
    var id: Int32
    /// Bytes of the word; `length` 0 marks a symbol that was merged into its left neighbour.
    var start: Int
    var length: Int
    var previous: Int
    var next: Int
  }

  private struct Candidate {
    var rank: UInt32
    var position: Int
    var id: Int32

    func isBefore(_ other: Candidate) -> Bool { rank != other.rank ? rank < other.rank : position < other.position }
  }

  private var symbols: [Symbol] = []
  private var heap: [Candidate] = []

  /// Starts a word.
  mutating func begin() { symbols.removeAll(keepingCapacity: true) }

  /// Adds the next symbol of the word.
  mutating func add(_ id: Int32, start: Int, length: Int) {
    let index = symbols.count
    if index > 0 { symbols[index - 1].next = index }
    symbols.append(Symbol(id: id, start: start, length: length, previous: index - 1, next: -1))
  }

  /// Merges the symbols of `word` as far as `rules` allow and appends the ids.
  mutating func finish(
    word: UnsafeRawBufferPointer, rules: MergeRules, vocabulary: borrowing Vocabulary, into ids: inout [Int32]
  ) {
    heap.removeAll(keepingCapacity: true)
    for index in symbols.indices.dropLast() {
      push(at: index, word: word, rules: rules, vocabulary: vocabulary)
    }
    while let best = pop() {
      let left = symbols[best.position]
      guard left.length > 0, left.next >= 0 else { continue }
      let right = symbols[left.next]
      guard let merge = merge(left, right, word: word, rules: rules, vocabulary: vocabulary), merge.id == best.id else {
        continue
      }
      symbols[best.position].id = best.id
      symbols[best.position].length += right.length
      symbols[best.position].next = right.next
      symbols[left.next].length = 0
      if right.next >= 0 { symbols[right.next].previous = best.position }
      if left.previous >= 0 { push(at: left.previous, word: word, rules: rules, vocabulary: vocabulary) }
      push(at: best.position, word: word, rules: rules, vocabulary: vocabulary)
    }
    for symbol in symbols where symbol.length > 0 { ids.append(symbol.id) }
  }

  /// Puts the pair of the symbol at `index` and its right neighbour into the heap, if it merges.
  private mutating func push(
    at index: Int, word: UnsafeRawBufferPointer, rules: MergeRules, vocabulary: borrowing Vocabulary
  ) {
    let left = symbols[index]
    guard left.next >= 0 else { return }
    if let merge = merge(left, symbols[left.next], word: word, rules: rules, vocabulary: vocabulary) {
      insert(Candidate(rank: merge.rank, position: index, id: merge.id))
    }
  }

  private func merge(
    _ left: Symbol, _ right: Symbol, word: UnsafeRawBufferPointer, rules: MergeRules, vocabulary: borrowing Vocabulary
  ) -> Merge? {
    switch rules {
    case .pairs(let table): return table.merge(left.id, right.id)
    case .ranks:
      let joined = UnsafeRawBufferPointer(rebasing: word[left.start..<right.start + right.length])
      guard let id = vocabulary.id(ofBytes: joined) else { return nil }
      return Merge(rank: UInt32(bitPattern: id), id: id)
    }
  }

  private mutating func insert(_ candidate: Candidate) {
    heap.append(candidate)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].isBefore(heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func pop() -> Candidate? {
    guard let first = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return first }
    heap[0] = last
    var parent = 0
    while true {
      var smallest = 2 * parent + 1
      guard smallest < heap.count else { return first }
      if smallest + 1 < heap.count, heap[smallest + 1].isBefore(heap[smallest]) { smallest += 1 }
      guard heap[smallest].isBefore(heap[parent]) else { return first }
      heap.swapAt(smallest, parent)
      parent = smallest
    }
  }
}
