import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseCache

@Suite struct PagePoolTests {
  /// A page that was given back is the next one that is taken: the budget does not notice.
  @Test func pagesAreUsedAgain() throws {
    let fixture = try Fixture(pages: 2)
    for seed in 1...20 {
      let tokens = someTokens(100, seed: UInt64(seed))
      let cache = try fixture.cache(tokens)
      #expect(try cache.holds(tokens))
      #expect(fixture.pool.statistics == PagePool.Statistics(used: 2, shared: 0, free: 0))
      #expect(fixture.budget.usedByteCount == UInt64(2 * fixture.layout.byteCount))
    }
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 0, shared: 0, free: 2))
    #expect(fixture.budget.usedByteCount == UInt64(2 * fixture.layout.byteCount))
  }

  /// Only a few unused pages stay: the others are memory for everybody again.
  @Test func manyUnusedPagesGoBackToTheSystem() throws {
    let fixture = try Fixture()
    do {
      let cache = try fixture.cache(capacity: 64 * 40)
      try cache.reserve(64 * 40)
      #expect(fixture.pool.statistics.used == 40)
    }
    let statistics = fixture.pool.statistics
    #expect(statistics.used == 0 && (1..<40).contains(statistics.free))
    #expect(fixture.budget.usedByteCount == UInt64(statistics.free * fixture.layout.byteCount))
  }

  @Test func theBudgetGoesWithThePool() throws {
    let budget: MemoryBudget
    do {
      let fixture = try Fixture()
      budget = fixture.budget
      _ = try fixture.cache(someTokens(200))
      #expect(budget.usedByteCount > 0)
    }
    #expect(budget.usedByteCount == 0)
    // It still asks the pool that is gone.
    _ = try budget.reserve(1, for: "a byte")
  }

  /// A cache keeps its pool alive.
  @Test func cachesOutliveTheNameOfTheirPool() throws {
    let cache = try Fixture().cache(someTokens(70))
    #expect(try cache.holds(someTokens(70)))
    #expect(cache.pool.statistics.used == 2)
  }

  @Test func sharedPagesAreCounted() throws {
    let fixture = try Fixture()
    let cache = try fixture.cache(someTokens(130))
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 3, shared: 0, free: 0))
    var forks = [try cache.fork(), try cache.fork()]
    #expect(fixture.pool.statistics.shared == 3)
    try forks[0].rewind(to: 64)
    forks[0].trim()
    #expect(fixture.pool.statistics.shared == 3)
    try forks[1].rewind(to: 64)
    forks[1].trim()
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 3, shared: 1, free: 0))
    forks.removeAll()
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 3, shared: 0, free: 0))
  }

  /// When a budget runs short, the unused pages of every pool that takes from it go, and those in use stay.
  @Test func unusedPagesAreReclaimed() throws {
    let parent = MemoryBudget(limit: 10_000, name: "all")
    let kernels = try Kernels.selected()
    let layout = try PageLayout(layerCount: 1, kvLoraRank: 4, qkRopeHeadDimension: 0, rowType: .float32)
    #expect(layout.byteCount == 1024)
    let pools = ["first", "second"].map { name in
      PagePool(layout: layout, kernels: kernels, budget: MemoryBudget(limit: 8192, name: name, parent: parent))
    }
    let held = try LatentCache(pool: pools[0], capacity: 64)
    try held.append(someTokens(60))
    _ = try { try LatentCache(pool: pools[0], capacity: 1000).reserve(64 * 7) }()
    #expect(pools[0].statistics == PagePool.Statistics(used: 1, shared: 0, free: 7))
    // 9 pages fit into the parent's budget: one is held, the second pool may have 8.
    let cache = try LatentCache(pool: pools[1], capacity: 1000)
    try cache.reserve(64 * 8)
    #expect(pools[0].statistics.used == 1 && pools[0].statistics.free == 0)
    #expect(parent.usedByteCount == 9 * 1024)
    let failure = #expect(throws: Failure.self) { try cache.reserve(64 * 9) }
    #expect(failure?.status == .outOfMemory && failure?.message.contains("second (8192 bytes) leaves 0") == true)
    #expect(try held.holds(someTokens(60)))
    // Any part of the budget's owner gets what is unused.
    try cache.rewind(to: 0)
    cache.trim()
    let reservation = try parent.reserve(8000, for: "weights")
    #expect(parent.usedByteCount <= 10_000 && reservation.byteCount == 8000)
    #expect(try held.holds(someTokens(60)))
  }

  /// Forks go from thread to thread, are written and dropped there: no count gets lost.
  @Test func threadsShareAPool() async throws {
    let fixture = try Fixture(layers: 1, rank: 2, rope: 1)
    let tokens = someTokens(100)
    let original = try fixture.cache(tokens)
    for round in 0..<20 {
      let forks = try (0..<4).map { _ in Handed(cache: try original.fork()) }
      let right = try await withThrowingTaskGroup(of: Bool.self) { group in
        for (index, fork) in forks.enumerated() {
          group.addTask {
            let own = tokens + someTokens(100, seed: UInt64(100 * round + index))
            try fork.cache.append(own)
            let second = try fork.cache.fork()
            try fork.cache.rewind(to: 30)
            try fork.cache.append(Array(own.prefix(30)) + someTokens(40, seed: 5))
            return try second.holds(own)
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(right == [true, true, true, true])
    }
    #expect(try original.holds(tokens))
    #expect(fixture.pool.statistics.used == 2 && fixture.pool.statistics.shared == 0)
  }

  /// Large pages come in blocks, where the budget has room for one; else one by one. Whole blocks go back.
  @Test func largePagesComeInBlocks() throws {
    let size = 27 * 64 * 576 * 4
    let fixture = try Fixture(layers: 27, rank: 512, rope: 64, type: .float32, pages: 3)
    var first: LatentCache? = try fixture.cache(capacity: 64)
    try first?.reserve(1)
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 1, shared: 0, free: 1))
    var second: LatentCache? = try fixture.cache(capacity: 128)
    try second?.reserve(128)
    // The free one of the block, and one alone.
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 3, shared: 0, free: 0))
    #expect(fixture.budget.usedByteCount == UInt64(3 * size))
    let third = try fixture.cache(capacity: 64)
    #expect { try third.reserve(1) } throws: { ($0 as? Failure)?.status == .outOfMemory }
    second = nil
    first = nil
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 0, shared: 0, free: 3))
    // Somebody else needs all of it.
    let other = try fixture.budget.reserve(UInt64(3 * size), for: "the test")
    #expect(fixture.pool.statistics.free == 0)
    withExtendedLifetime(other) {}
  }
}

/// A cache that one thread gives to another.
private struct Handed: @unchecked Sendable {
  let cache: LatentCache
}
