import DormouseCache
import DormouseSupport
import Testing

/// Thousands of random operations on caches that share a tree, beside a naive model: the set of all prefixes that the
/// tree was given.
@Suite struct PrefixTreeRandomTests {
  /// With room for everything, exactly the longest known prefix is found.
  @Test(arguments: [1, 2, 3])
  func findsExactlyTheLongestPrefix(_ seed: UInt64) throws {
    let fixture = try Fixture(layers: 1, rank: 2, rope: 1)
    var run = Run(fixture, fixture.tree(pages: 100_000), seed: seed)
    for _ in 0..<1500 { try run.step(isComplete: true) }
    #expect(run.tree.statistics.tokensFound == run.found && run.found > 10_000)
    try run.end()
  }

  /// With few pages, what is found is a known prefix, has the right rows, and no page is lost.
  @Test(arguments: [(limit: 12, budget: nil), (limit: 1000, budget: 120), (limit: 40, budget: 90)])
  func findsRightRowsWhilePagesGo(_ sizes: (limit: Int, budget: Int?)) throws {
    let fixture = try Fixture(layers: 1, rank: 2, rope: 1, pages: sizes.budget)
    var run = Run(fixture, fixture.tree(pages: sizes.limit), seed: 4)
    for _ in 0..<2500 {
      try run.step(isComplete: false)
      #expect(run.tree.statistics.pages <= sizes.limit)
      let bytes = sizes.budget.map { UInt64($0 * fixture.layout.byteCount) }
      #expect(fixture.budget.usedByteCount <= bytes ?? .max)
    }
    #expect(run.found > 10_000 && run.tree.statistics.pagesEvicted > 100)
    try run.end()
  }

  private struct Run {
    let fixture: Fixture
    let tree: PrefixTree
    var random: Random
    var found = 0
    private var caches: [LatentCache] = []
    private var timelines: [[Int32]] = []
    private var past: [[Int32]] = [[]]
    /// Hashes of all prefixes that were inserted.
    private var known: Set<UInt64> = []

    init(_ fixture: Fixture, _ tree: PrefixTree, seed: UInt64) {
      self.fixture = fixture
      self.tree = tree
      random = Random(seed: seed)
    }

    mutating func step(isComplete: Bool) throws {
      let index = caches.isEmpty ? 0 : Int.random(in: 0..<caches.count, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0..<3: try open(isComplete: isComplete)
      case 3 where !caches.isEmpty:
        caches.append(try caches[index].fork())
        timelines.append(timelines[index])
      case 4 where !caches.isEmpty:
        timelines[index].removeLast(Int.random(in: 0...timelines[index].count, using: &random))
        try caches[index].rewind(to: timelines[index].count)
      case 5 where !caches.isEmpty: try grow(index)
      default: break
      }
      while caches.count > 8 {
        let gone = Int.random(in: 0..<caches.count, using: &random)
        caches.remove(at: gone)
        past.append(timelines.remove(at: gone))
      }
      guard !caches.isEmpty else { return }
      let checked = Int.random(in: 0..<caches.count, using: &random)
      #expect(try caches[checked].holds(timelines[checked]))
    }

    /// A new cache for the beginning of an old timeline and something new: it takes what the tree has, and computes the
    /// rest.
    private mutating func open(isComplete: Bool) throws {
      let old = past[Int.random(in: max(0, past.count - 60)..<past.count, using: &random)]
      let tokens = Array(old.prefix(Int.random(in: 0...old.count, using: &random))) + ending(90)
      let cache = try fixture.cache()
      let gain = try tree.extend(cache, keys: keys(tokens))
      let longest = Rows(tokens).reduce(into: 0) { length, hash in if known.contains(hash) { length += 1 } }
      if isComplete { #expect(gain == longest) } else { #expect(gain <= longest) }
      #expect(try cache.holds(tokens.prefix(gain)))
      found += gain
      try cache.append(tokens)
      caches.append(cache)
      timelines.append(tokens)
      insert(caches.count - 1)
    }

    private mutating func grow(_ index: Int) throws {
      timelines[index] += ending(min(90, 600 - timelines[index].count))
      try caches[index].append(timelines[index])
      insert(index)
    }

    private mutating func insert(_ index: Int) {
      let includesLast = Bool.random(using: &random)
      tree.insert(caches[index], keys: keys(timelines[index]), includesLast: includesLast)
      let count = timelines[index].count
      known.formUnion(Rows(timelines[index]).prefix(includesLast ? count : count / 64 * 64))
    }

    /// Few different tokens, so that timelines meet by chance too.
    private mutating func ending(_ most: Int) -> [Int32] {
      (0..<Int.random(in: 0...max(0, most), using: &random)).map { _ in Int32.random(in: 0..<2, using: &random) }
    }

    mutating func end() throws {
      for (cache, tokens) in zip(caches, timelines) { #expect(try cache.holds(tokens)) }
      caches.removeAll()
      #expect(fixture.pool.statistics.used == tree.statistics.pages && fixture.pool.statistics.shared == 0)
      tree.removeAll()
      #expect(fixture.isUnused && tree.statistics.pages == 0)
    }
  }
}

extension PrefixTreeRandomTests {
  /// Threads that share a tree under a budget that is always short: rows are right, and no page is lost. What finds no
  /// page fails, and is tried again with less in the way.
  @Test func threadsShareATree() async throws {
    let fixture = try Fixture(layers: 1, rank: 2, rope: 1, pages: 24)
    let tree = fixture.tree(pages: 16)
    let common = someTokens(150)
    let failures = try await withThrowingTaskGroup(of: Int.self) { group in
      for thread in 0..<4 {
        group.addTask { try Self.use(tree, fixture, common, seed: UInt64(thread)) }
      }
      return try await group.reduce(0, +)
    }
    #expect(failures == 0)
    #expect(tree.statistics.tokensFound > 10_000 && tree.statistics.pagesEvicted > 100)
    #expect(fixture.pool.statistics.used == tree.statistics.pages && fixture.pool.statistics.shared == 0)
    #expect(fixture.budget.usedByteCount <= UInt64(24 * fixture.layout.byteCount))
    tree.removeAll()
    #expect(fixture.isUnused)
  }

  /// Timelines that begin with a part of `common`; returns how many had wrong rows.
  private static func use(_ tree: PrefixTree, _ fixture: Fixture, _ common: [Int32], seed: UInt64) throws -> Int {
    var random = Random(seed: seed)
    var failures = 0
    for _ in 0..<200 {
      let ending = (0..<Int.random(in: 1...100, using: &random)).map { _ in Int32.random(in: 0..<9, using: &random) }
      let tokens = Array(common.prefix(Int.random(in: 0...150, using: &random))) + ending
      let cache = try fixture.cache(capacity: 300)
      _ = try tree.extend(cache, keys: keys(tokens))
      if try !cache.holds(tokens.prefix(cache.length)) { failures += 1 }
      do { try cache.append(tokens) } catch let failure as Failure where failure.status == .outOfMemory { continue }
      tree.insert(cache, keys: keys(tokens), includesLast: Bool.random(using: &random))
      let fork = try cache.fork()
      do { try fork.append(tokens + [1, 2, 3]) } catch let failure as Failure where failure.status == .outOfMemory {}
      if try !cache.holds(tokens) || !fork.holds(tokens + (fork.length > tokens.count ? [1, 2, 3] : [])) {
        failures += 1
      }
    }
    return failures
  }
}
