internal import DormouseSupport

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
///
/// A word takes 20 bytes a byte, and 12 more for each pair that merges.
struct BytePairMerger {
  private struct Symbol {
    var id: Int32
    /// Bytes of the word, which has less than 2 GiB; `length` 0 marks a symbol that was merged into its left neighbour.
    var start: Int32
    var length: Int32
    var previous: Int32
    var next: Int32
  }

  private struct Candidate {
    var rank: UInt32
    var position: Int32
    var id: Int32

    func isBefore(_ other: Candidate) -> Bool { rank != other.rank ? rank < other.rank : position < other.position }
  }

  private var symbols: [Symbol] = []
  private var heap: [Candidate] = []

  /// Starts a word of `count` bytes.
  mutating func begin(_ count: Int) {
    symbols.removeAll(keepingCapacity: true)
    symbols.reserveCapacity(count)
  }

  /// Adds the next symbol of the word.
  mutating func add(_ id: Int32, start: Int, length: Int) {
    let index = symbols.count
    if index > 0 { symbols[index - 1].next = Int32(truncatingIfNeeded: index) }
    symbols.append(
      Symbol(
        id: id, start: Int32(truncatingIfNeeded: start), length: Int32(truncatingIfNeeded: length),
        previous: Int32(truncatingIfNeeded: index - 1), next: -1))
  }

  /// Merges the symbols of `word` as far as `rules` allow and appends the ids.
  /// - Throws: what `work` says between merges.
  mutating func finish(
    word: UnsafeRawBufferPointer, rules: MergeRules, vocabulary: borrowing Vocabulary, work: TextWork,
    into ids: inout [Int32]
  ) throws(Failure) {
    heap.removeAll(keepingCapacity: true)
    for index in symbols.indices.dropLast() {
      try push(at: Int32(truncatingIfNeeded: index), word, rules, vocabulary, work)
    }
    while let best = pop() {
      let position = Int(best.position)
      let left = symbols[position]
      guard left.length > 0, left.next >= 0 else { continue }
      let right = symbols[Int(left.next)]
      guard let merge = try merge(left, right, word, rules, vocabulary, work), merge.id == best.id else { continue }
      symbols[position].id = best.id
      symbols[position].length += right.length
      symbols[position].next = right.next
      symbols[Int(left.next)].length = 0
      if right.next >= 0 { symbols[Int(right.next)].previous = best.position }
      if left.previous >= 0 { try push(at: left.previous, word, rules, vocabulary, work) }
      try push(at: best.position, word, rules, vocabulary, work)
    }
    for symbol in symbols where symbol.length > 0 { ids.append(symbol.id) }
  }

  /// Puts the pair of the symbol at `index` and its right neighbour into the heap, if it merges.
  private mutating func push(
    at index: Int32, _ word: UnsafeRawBufferPointer, _ rules: MergeRules, _ vocabulary: borrowing Vocabulary,
    _ work: TextWork
  ) throws(Failure) {
    let left = symbols[Int(index)]
    guard left.next >= 0 else { return }
    if let merge = try merge(left, symbols[Int(left.next)], word, rules, vocabulary, work) {
      insert(Candidate(rank: merge.rank, position: index, id: merge.id))
    }
  }

  private func merge(
    _ left: Symbol, _ right: Symbol, _ word: UnsafeRawBufferPointer, _ rules: MergeRules,
    _ vocabulary: borrowing Vocabulary, _ work: TextWork
  ) throws(Failure) -> Merge? {
    switch rules {
    case .pairs(let table):
      try work.spend(BytePairMerger.pairCost)
      return table.merge(left.id, right.id)
    case .ranks:
      let joined = UnsafeRawBufferPointer(rebasing: word[Int(left.start)..<Int(right.start + right.length)])
      try work.spend(BytePairMerger.pairCost + min(joined.count, vocabulary.longestToken))
      guard let id = vocabulary.id(ofBytes: joined) else { return nil }
      return Merge(rank: UInt32(bitPattern: id), id: id)
    }
  }

  /// Of looking up a pair, in the units of `TextWork`.
  private static let pairCost = 128

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
