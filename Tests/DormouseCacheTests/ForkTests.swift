import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseCache

@Suite struct ForkTests {
  /// A fork takes no page and shares all that there are.
  @Test(arguments: [0, 1, 63, 64, 65, 200])
  func copiesNoPage(_ length: Int) throws {
    let fixture = try Fixture()
    let tokens = someTokens(length)
    let cache = try fixture.cache(tokens)
    let before = fixture.pool.statistics
    let fork = try cache.fork()
    #expect(fixture.pool.statistics.used == before.used && fixture.pool.statistics.free == before.free)
    #expect(fixture.pool.statistics.shared == before.used)
    #expect(fork.length == length && fork.capacity == cache.capacity && fork.pageCount == (length + 63) / 64)
    for position in stride(from: 0, to: length, by: 9) {
      #expect(try fork.address(layer: 1, position: position) == cache.address(layer: 1, position: position))
    }
    #expect(try fork.holds(tokens))
  }

  /// The first to go on copies the page that its next row falls into, if that page has rows, and no other.
  @Test(arguments: [1, 63, 64, 65, 128, 200], [true, false])
  func copiesOnePageOnWrite(_ length: Int, _ isForkFirst: Bool) throws {
    let fixture = try Fixture()
    let tokens = someTokens(length)
    let cache = try fixture.cache(tokens)
    let fork = try cache.fork()
    let used = fixture.pool.statistics.used
    let (first, second) = isForkFirst ? (fork, cache) : (cache, fork)
    let last = try second.address(layer: 0, position: length - 1)
    let ends = (tokens + [7], tokens + [9])
    try first.append(ends.0)
    #expect(fixture.pool.statistics.used == used + 1)
    #expect(fixture.pool.statistics.shared == length / 64)
    try second.append(ends.1)
    // Alone with its page, the second one writes in place.
    #expect(try second.address(layer: 0, position: length - 1) == last)
    #expect(fixture.pool.statistics.used == used + (length % 64 == 0 ? 2 : 1))
    #expect(try first.holds(ends.0) && second.holds(ends.1))
  }

  /// Rows of every type are copied whole.
  @Test(arguments: CacheRowType.allCases)
  func copiesRowsBitForBit(_ type: CacheRowType) throws {
    let fixture = try Fixture(layers: 3, rank: 7, rope: 3, type: type)
    let tokens = someTokens(100)
    let cache = try fixture.cache(tokens)
    let fork = try cache.fork()
    let (left, right) = (tokens + someTokens(50, seed: 2), tokens + someTokens(50, seed: 3))
    try fork.append(left)
    try cache.append(right)
    #expect(try fork.bytes() == fixture.cache(left).bytes())
    #expect(try cache.bytes() == fixture.cache(right).bytes())
  }

  /// Truncated into pages that are shared, it leaves these to the others.
  @Test(arguments: [0, 1, 63, 64, 65, 127, 128, 129])
  func truncatedForksLeaveTheOthersAlone(_ length: Int) throws {
    let fixture = try Fixture()
    let tokens = someTokens(200)
    let cache = try fixture.cache(tokens)
    let fork = try cache.fork()
    try fork.rewind(to: length)
    let other = Array(tokens.prefix(length)) + someTokens(150, seed: 4)
    try fork.append(other)
    #expect(try cache.holds(tokens) && fork.holds(other))
  }

  /// Room for nothing needs no page.
  @Test func reservingNothingCopiesNothing() throws {
    let fixture = try Fixture(pages: 2)
    let cache = try fixture.cache(someTokens(100))
    let fork = try cache.fork()
    try fork.reserve(0)
    try fork.append(someTokens(100))
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 2, shared: 2, free: 0))
  }

  /// Without memory for the copy nothing has changed, and it works once there is.
  @Test func outOfMemoryChangesNothing() throws {
    let fixture = try Fixture(pages: 2)
    let tokens = someTokens(100)
    let cache = try fixture.cache(tokens)
    let fork = try cache.fork()
    let failure = #expect(throws: Failure.self) { try fork.append(tokens + [1]) }
    #expect(failure?.status == .outOfMemory)
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 2, shared: 2, free: 0))
    #expect(try fork.holds(tokens) && cache.holds(tokens))
    try cache.rewind(to: 64)
    cache.trim()
    try fork.append(tokens + [1])
    #expect(try fork.holds(tokens + [1]) && cache.holds(tokens.prefix(64)))
  }

  /// Generations of forks that grow, shrink and go, beside lists of the tokens that they must hold.
  @Test func randomGenerations() throws {
    let fixture = try Fixture(layers: 2, rank: 2, rope: 1)
    var random = Random(seed: 11)
    do {
      var caches = [try fixture.cache()]
      var wanted: [[Int32]] = [[]]
      for step in 0..<1500 {
        let index = Int.random(in: 0..<caches.count, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<3 where caches.count < 12:
          caches.append(try caches[index].fork())
          wanted.append(wanted[index])
        case 0..<5 where caches.count > 1:
          caches.remove(at: index)
          wanted.remove(at: index)
        case 5..<7:
          let length = Int.random(in: 0...wanted[index].count, using: &random)
          wanted[index].removeLast(wanted[index].count - length)
          try caches[index].rewind(to: length)
          if Bool.random(using: &random) { caches[index].trim() }
        default:
          let count = Int.random(in: 0...min(90, 400 - wanted[index].count), using: &random)
          wanted[index] += someTokens(count, seed: UInt64(step))
          try caches[index].append(wanted[index])
        }
        let checked = Int.random(in: 0..<caches.count, using: &random)
        #expect(try caches[checked].holds(wanted[checked]), "step \(step)")
      }
      for (cache, tokens) in zip(caches, wanted) { #expect(try cache.holds(tokens)) }
    }
    #expect(fixture.isUnused)
  }
}
