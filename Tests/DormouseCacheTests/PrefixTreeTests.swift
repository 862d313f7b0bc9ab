import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseCache

@Suite struct PrefixTreeTests {
  /// What a new cache finds of `tokens`; its rows must be theirs.
  private func found(
    _ tree: PrefixTree, _ fixture: Fixture, _ tokens: [Int32], sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Int {
    let cache = try fixture.cache()
    let count = try tree.extend(cache, keys: keys(tokens))
    #expect(cache.length == count, sourceLocation: sourceLocation)
    #expect(try cache.holds(tokens.prefix(count)), sourceLocation: sourceLocation)
    return count
  }

  private func insert(
    _ tree: PrefixTree, _ fixture: Fixture, _ tokens: [Int32], includesLast: Bool = true
  ) throws {
    tree.insert(try fixture.cache(tokens), keys: keys(tokens), includesLast: includesLast)
  }

  /// Wherever two timelines part, all that they have in common is found.
  @Test(arguments: [true, false])
  func findsTheLongestPrefixTokenByToken(_ includesLast: Bool) throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let tokens = someTokens(150)
    try insert(tree, fixture, tokens, includesLast: includesLast)
    #expect(tree.statistics.pages == (includesLast ? 3 : 2))
    let known = includesLast ? 150 : 128
    for length in 0...150 {
      #expect(try found(tree, fixture, Array(tokens.prefix(length)) + [5000, 1, 2]) == min(length, known))
      #expect(try found(tree, fixture, Array(tokens.prefix(length))) == min(length, known))
    }
    // The pages are shared, and in nobody's hands but the tree's now.
    #expect(fixture.pool.statistics.used == tree.statistics.pages && fixture.pool.statistics.shared == 0)
  }

  /// Whoever goes on from a page that it shares in part copies it: what the tree holds stays as it is.
  @Test func goingOnLeavesTheTreeAlone() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let tokens = someTokens(150)
    let first = try fixture.cache(tokens)
    tree.insert(first, keys: keys(tokens), includesLast: true)
    let longer = tokens + someTokens(60, seed: 2)
    try first.append(longer)
    let second = try fixture.cache()
    let other = Array(tokens.prefix(100)) + someTokens(60, seed: 3)
    #expect(try tree.extend(second, keys: keys(other)) == 100)
    try second.append(other)
    #expect(try first.holds(longer) && second.holds(other))
    #expect(try found(tree, fixture, longer) == 150)
    #expect(try found(tree, fixture, other) == 100)
  }

  /// A last page is replaced by one with more rows, not kept beside it.
  @Test func lastPagesGrow() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let tokens = someTokens(200)
    for (length, pages) in [(10, 1), (70, 2), (65, 2), (100, 2), (128, 2), (90, 2), (129, 3), (200, 4)] {
      try insert(tree, fixture, Array(tokens.prefix(length)))
      #expect(tree.statistics.pages == pages, "\(length) tokens")
      #expect(fixture.pool.statistics.used == pages)
    }
    #expect(try found(tree, fixture, tokens) == 200)
  }

  /// Timelines that part within a page both stay.
  @Test func branchesWithinAPage() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let common = someTokens(74)
    let ends = (0..<3).map { common + someTokens(80, seed: UInt64($0 + 2)) }
    for end in ends { try insert(tree, fixture, end) }
    #expect(tree.statistics.pages == 1 + 3 * 2)
    for end in ends { #expect(try found(tree, fixture, end) == 154) }
    #expect(try found(tree, fixture, common + [5000]) == 74)
  }

  /// A cache that holds as many rows keeps its own; one with fewer gets all of the tree's.
  @Test func extendsWhatACacheHolds() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let tokens = someTokens(150)
    try insert(tree, fixture, tokens)
    for (length, gain) in [(150, 0), (149, 1), (128, 22), (70, 80), (0, 150)] {
      let cache = try fixture.cache(Array(tokens.prefix(length)))
      #expect(try tree.extend(cache, keys: keys(tokens)) == gain)
      #expect(try cache.holds(tokens))
    }
    let longer = try fixture.cache(tokens + [3])
    #expect(try tree.extend(longer, keys: keys(tokens + [3])) == 0 && longer.length == 151)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    try insert(tree, fixture, someTokens(150))
    let small = try fixture.cache(someTokens(3), capacity: 149)
    let full = #expect(throws: Failure.self) { try tree.extend(small, keys: keys(someTokens(150))) }
    #expect(full?.status == .contextFull)
    #expect(try small.holds(someTokens(3)))
    #expect(try tree.extend(small, keys: keys(someTokens(149))) == 146)
    let stranger = try Fixture(layers: 5, rank: 90).cache()
    let refused = #expect(throws: Failure.self) { try tree.extend(stranger, keys: keys(someTokens(150))) }
    #expect(refused?.status == .invalidArgument && stranger.length == 0 && stranger.pageCount == 0)
  }

  /// What was used longest ago goes first, and of a timeline its end.
  @Test func evictsWhatWasUsedLongestAgo() throws {
    let fixture = try Fixture()
    let tree = fixture.tree(pages: 4)
    let lines = (0..<4).map { someTokens(128, seed: UInt64($0 + 1)) }
    try insert(tree, fixture, lines[0])
    try insert(tree, fixture, lines[1])
    #expect(try found(tree, fixture, lines[0] + [1]) == 128)
    try insert(tree, fixture, Array(lines[2].prefix(64)))
    #expect(tree.statistics.pages == 4 && tree.statistics.pagesEvicted == 1)
    // The end of line 1 went. Asking for it makes its first page the newest.
    #expect(try found(tree, fixture, lines[1]) == 64)
    try insert(tree, fixture, Array(lines[3].prefix(64)))
    #expect(try found(tree, fixture, lines[0]) == 64)
    #expect(try found(tree, fixture, lines[1]) == 64)
    #expect(try found(tree, fixture, lines[2]) == 64)
    #expect(try found(tree, fixture, lines[3]) == 64)
    // Line 0 is the oldest now.
    try insert(tree, fixture, someTokens(1, seed: 9))
    #expect(try found(tree, fixture, lines[0]) == 0)
    #expect(try found(tree, fixture, lines[1]) == 64)
    #expect(fixture.pool.statistics.used == 4)
  }

  @Test(arguments: [0, 1, 3, 100])
  func keepsToItsLimit(_ pages: Int) throws {
    let fixture = try Fixture()
    let tree = fixture.tree(pages: pages)
    for seed in 1...6 {
      try insert(tree, fixture, someTokens(200, seed: UInt64(seed)))
      #expect(tree.statistics.pages <= pages && fixture.pool.statistics.used == tree.statistics.pages)
    }
    #expect(tree.statistics.pages == min(pages, 24))
    // The beginning of the last one stays.
    #expect(try found(tree, fixture, someTokens(200, seed: 6)) == min(200, pages * 64))
    tree.removeAll()
    #expect(tree.statistics.pages == 0 && fixture.isUnused)
    #expect(tree.statistics.pagesEvicted == 24)
    #expect(try found(tree, fixture, someTokens(200, seed: 6)) == 0)
  }

  /// When the budget runs short, pages that only the tree holds go, the oldest first; those in use would free nothing.
  @Test func theBudgetGetsUnsharedPagesOnly() throws {
    let fixture = try Fixture(pages: 6)
    let tree = fixture.tree()
    let lines = (0..<3).map { someTokens(128, seed: UInt64($0 + 1)) }
    let held = try fixture.cache(lines[0])
    tree.insert(held, keys: keys(lines[0]), includesLast: true)
    try insert(tree, fixture, lines[1])
    try insert(tree, fixture, lines[2])
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 6, shared: 2, free: 0))
    let new = try fixture.cache(someTokens(100, seed: 7))
    #expect(try new.holds(someTokens(100, seed: 7)))
    #expect(try found(tree, fixture, lines[0]) == 128)
    #expect(try found(tree, fixture, lines[2]) >= 64)
    #expect(fixture.budget.usedByteCount <= UInt64(6 * fixture.layout.byteCount))
    let cache = try fixture.cache()
    let failure = #expect(throws: Failure.self) { try cache.reserve(64 * 3) }
    #expect(failure?.status == .outOfMemory)
    #expect(try found(tree, fixture, lines[0]) == 128)
    #expect(try held.holds(lines[0]) && new.holds(someTokens(100, seed: 7)))
  }

  /// An image's positions hit when the image is the same, and never when it is not.
  @Test func mediaHitByContent() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    func timeline(_ content: UInt64, from first: Int = 0) -> ArraySlice<PositionKey> {
      keys(someTokens(20)) + (0..<30).map { PositionKey(contentHash: content, index: first + $0) }
        + keys(someTokens(40, seed: 2))
    }
    let tokens = someTokens(90, seed: 3)
    tree.insert(try fixture.cache(tokens), keys: timeline(42), includesLast: true)
    for (other, length) in [(timeline(42), 90), (timeline(43), 20), (timeline(42, from: 1), 20)] {
      let cache = try fixture.cache()
      #expect(try tree.extend(cache, keys: other) == length)
      #expect(try cache.holds(tokens.prefix(length)))
    }
    for id in [0, 1, Int32.max] { #expect(PositionKey(token: id).value >> 63 == 0) }
    for content in [0, 1, UInt64.max] {
      let media = PositionKey(contentHash: content, index: 0)
      #expect(media.value >> 63 == 1 && media != PositionKey(contentHash: content, index: 1))
      #expect(media == PositionKey(contentHash: content, index: 0))
    }
  }

  @Test func countsWhatIsAskedAndFound() throws {
    let fixture = try Fixture()
    let tree = fixture.tree(pages: 2)
    #expect(tree.statistics == PrefixTree.Statistics())
    let tokens = someTokens(150)
    #expect(try found(tree, fixture, tokens) == 0)
    try insert(tree, fixture, tokens)
    #expect(tree.statistics == PrefixTree.Statistics(pages: 2, tokensAsked: 150, tokensFound: 0, pagesEvicted: 1))
    #expect(try found(tree, fixture, tokens) == 128)
    let cache = try fixture.cache(Array(tokens.prefix(100)))
    #expect(try tree.extend(cache, keys: keys(tokens)) == 28)
    #expect(try tree.extend(cache, keys: keys(tokens)) == 0)
    #expect(
      tree.statistics
        == PrefixTree.Statistics(pages: 2, tokensAsked: 150 + 150 + 50 + 22, tokensFound: 156, pagesEvicted: 1))
  }

  /// Keys of more or fewer positions than the cache holds rows of: only what has both is remembered.
  @Test func insertsWhatHasRowsAndKeys() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let tokens = someTokens(150)
    tree.insert(try fixture.cache(Array(tokens.prefix(90))), keys: keys(tokens), includesLast: true)
    #expect(try found(tree, fixture, tokens) == 90)
    tree.insert(try fixture.cache(tokens), keys: keys(tokens.prefix(100)), includesLast: true)
    #expect(try found(tree, fixture, tokens) == 100)
    tree.insert(try fixture.cache(), keys: keys(tokens), includesLast: true)
    tree.insert(try fixture.cache(tokens), keys: [], includesLast: true)
    #expect(try found(tree, fixture, tokens) == 100 && tree.statistics.pages == 2)
    // Keys may be any slice.
    let padded = keys([1, 2, 3] + tokens)
    let cache = try fixture.cache()
    #expect(try tree.extend(cache, keys: padded.dropFirst(3)) == 100)
  }

  @Test func theTreeGivesItsPagesBackAtItsEnd() throws {
    let fixture = try Fixture()
    do {
      let tree = fixture.tree()
      try insert(tree, fixture, someTokens(200))
      #expect(fixture.pool.statistics.used == 4)
    }
    #expect(fixture.isUnused)
  }

  /// A page that a longer one takes the place of is let go: whoever holds it may write to it again without a copy.
  @Test func aLongerPageTakesThePlaceOfAShorterOne() throws {
    let fixture = try Fixture()
    let tree = fixture.tree()
    let tokens = someTokens(100)
    let held = try fixture.cache(Array(tokens.prefix(30)))
    tree.insert(held, keys: keys(Array(tokens.prefix(30))), includesLast: true)
    #expect(fixture.pool.statistics.shared == 1)
    tree.insert(try fixture.cache(Array(tokens.prefix(50))), keys: keys(Array(tokens.prefix(50))), includesLast: true)
    #expect(fixture.pool.statistics.shared == 0)
    let used = fixture.pool.statistics.used
    try held.append(Array(tokens.prefix(31)))
    #expect(fixture.pool.statistics.used == used)
  }
}
