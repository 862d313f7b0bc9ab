import DormouseCache
import DormouseKernels
import DormouseSupport
import Testing

@Suite struct LatentCacheTests {
  /// Positions that end at, before and behind the borders of pages.
  static let lengths = [1, 63, 64, 65, 200]

  /// V2-Lite: in 16 bits 31,104 bytes a token. Formula, layout, budget and cache agree, in whole pages.
  @Test(arguments: [(CacheRowType.float32, 62_208), (.bfloat16, 31_104), (.int8, 27 * (512 + 4 + 128))], lengths)
  func sizeIsItsFormula(_ type: (CacheRowType, bytesPerToken: Int), _ tokens: Int) throws {
    let fixture = try Fixture(layers: 27, rank: 512, rope: 64, type: type.0)
    let cache = try fixture.cache(capacity: 256)
    #expect(cache.byteCount == 0 && fixture.budget.usedByteCount == 0)
    try cache.reserve(tokens)
    let expected = (tokens + 63) / 64 * 64 * type.bytesPerToken
    #expect(cache.layout.sections[0].rowByteCount * 27 == type.bytesPerToken)
    #expect(try cache.layout.byteCount(tokens: tokens) == expected)
    #expect(cache.byteCount == expected)
    let pages = fixture.pool.statistics
    #expect(cache.pageCount == pages.used && cache.pageCount * 64 >= tokens)
    #expect(fixture.budget.usedByteCount == UInt64((pages.used + pages.free) * cache.layout.byteCount))
  }

  /// Rows of odd sizes, in pieces of odd sizes, are those that the kernels store in one piece of memory.
  @Test(arguments: CacheRowType.allCases, lengths)
  func rowsCrossTheBordersOfPages(_ type: CacheRowType, _ count: Int) throws {
    let fixture = try Fixture(layers: 3, rank: 7, rope: 3, type: type)
    let tokens = someTokens(count)
    let cache = try fixture.cache(capacity: count)
    var random = Random(seed: UInt64(count))
    while cache.length < count {
      try cache.append(Array(tokens.prefix(cache.length + Int.random(in: 1...70, using: &random))))
    }
    let values = Rows.values(tokens, from: 0, layers: 3, width: 10)
    for layer in 0..<3 {
      var wanted = [UInt8](repeating: 0, count: count * cache.layout.sections[0].rowByteCount)
      try wanted.withUnsafeMutableBytes { wanted in
        fixture.pool.kernels.storeRows(
          Array(values[layer * count * 10..<(layer + 1) * count * 10]), count: count, type: type, rank: 7, rope: 3,
          into: try #require(wanted.baseAddress))
      }
      #expect(try cache.bytes(layer: layer) == wanted)
    }
    #expect(cache.rows(section: 3)?.offset == nil && cache.rows(section: -1)?.offset == nil)
  }

  /// Truncated anywhere and written again, rows are what they were.
  @Test(arguments: CacheRowType.allCases, [(5, 2), (64, 63), (65, 64), (130, 0), (130, 64), (130, 70)])
  func truncatedRowsAreOverwritten(_ type: CacheRowType, _ lengths: (from: Int, to: Int)) throws {
    let fixture = try Fixture(layers: 2, rank: 7, rope: 3, type: type)
    let tokens = someTokens(lengths.from)
    let cache = try fixture.cache(tokens, capacity: 300)
    try cache.rewind(to: lengths.to)
    let other = tokens.prefix(lengths.to) + someTokens(75, seed: 2)
    try cache.append(Array(other))
    #expect(try cache.bytes() == fixture.cache(Array(other)).bytes())
  }

  @Test func appendsTruncatesAndFills() throws {
    let fixture = try Fixture()
    let tokens = someTokens(200)
    let cache = try fixture.cache(Array(tokens.prefix(190)), capacity: 192)
    let full = #expect(throws: Failure.self) { try cache.append(Array(tokens.prefix(193))) }
    #expect(full?.status == .contextFull)
    #expect(full?.message == "3 more tokens do not fit: the context holds 190 of 192 tokens")
    #expect(try cache.holds(tokens.prefix(190)))
    try cache.append(Array(tokens.prefix(192)))
    #expect(throws: Failure.self) { try cache.requireRoom(for: 1) }
    #expect(throws: Failure.self) { try cache.reserve(Int.max) }
    try cache.rewind(to: 1)
    for length in [2, -1, Int.max, Int.min] {
      let failure = #expect(throws: Failure.self) { try cache.rewind(to: length) }
      #expect(failure?.status == .invalidArgument)
    }
    #expect(try cache.holds(tokens.prefix(1)))
  }

  /// A pass stores rows layer by layer, and holds them once it advances: one that stops half-way changes nothing.
  @Test func holdsWhatItAdvancedOver() throws {
    let fixture = try Fixture()
    let tokens = someTokens(130)
    let cache = try fixture.cache(Array(tokens.prefix(60)))
    try cache.reserve(70)
    let junk = [Float](repeating: 7, count: 70 * cache.rowWidth)
    cache.store(junk, count: 70, at: 0, section: 0)
    #expect(try cache.holds(tokens.prefix(60)))
    try cache.append(tokens)
    #expect(try cache.holds(tokens))
    for count in [63, -1, Int.max, Int.min] {
      let failure = #expect(throws: Failure.self) { try cache.advance(by: count) }
      #expect(failure?.status == .internalError && cache.length == 130)
    }
    #expect(throws: Failure.self) { try cache.reserve(-1) }
  }

  /// Without room, and for layers that are not there, nothing is stored.
  @Test func storesNothingWithoutRoom() throws {
    let fixture = try Fixture(layers: 1)
    let cache = try fixture.cache(capacity: 66)
    let tokens = someTokens(64)
    try cache.append(tokens)
    let rows = [Float](repeating: 7, count: 70 * cache.rowWidth)
    for layer in [-1, 0, 1, Int.max] { cache.store(rows, count: 70, at: 0, section: layer) }
    cache.store(rows, count: 70, at: -1, section: 0)
    cache.store(rows, count: 70, at: 71, section: 0)
    #expect(try cache.holds(tokens) && cache.pageCount == 1)
    // The page has room behind the capacity, but the cache has not.
    try cache.reserve(2)
    cache.store(rows, count: 70, at: 0, section: 0)
    #expect(throws: Failure.self) { try cache.advance(by: 3) }
    try cache.advance(by: 2)
    #expect(cache.length == 66)
  }

  @Test func trimGivesPagesBack() throws {
    let fixture = try Fixture()
    let cache = try fixture.cache(someTokens(200))
    try cache.rewind(to: 65)
    #expect(cache.pageCount == 4)
    cache.trim()
    #expect(cache.pageCount == 2 && fixture.pool.statistics.used == 2)
    try cache.rewind(to: 64)
    cache.trim()
    #expect(cache.pageCount == 1)
    #expect(try cache.holds(someTokens(200).prefix(64)))
    try cache.rewind(to: 0)
    cache.trim()
    #expect(cache.pageCount == 0 && fixture.isUnused)
  }

  /// When the budget has too few pages, the rows, the pages and the budget are what they were.
  @Test func outOfMemoryChangesNothing() throws {
    let fixture = try Fixture(pages: 3)
    let tokens = someTokens(100)
    let cache = try fixture.cache(tokens)
    let failure = #expect(throws: Failure.self) { try cache.reserve(200) }
    #expect(failure?.status == .outOfMemory)
    #expect(
      failure?.message.contains("a page of the latent cache: \(fixture.layout.byteCount) bytes are needed") == true)
    #expect(failure?.message.contains("the test's budget (\(3 * fixture.layout.byteCount) bytes)") == true)
    #expect(try cache.holds(tokens) && cache.pageCount == 2 && fixture.pool.statistics.used == 2)
    // What was taken before it failed is there for others.
    #expect(fixture.pool.statistics.free == 1)
    try cache.append(someTokens(192))
    #expect(try cache.holds(someTokens(192)))
  }

  @Test func bfloat16IsRoundedToNearestEven() throws {
    let cache = try Fixture(layers: 1, rank: 6, rope: 0, type: .bfloat16).cache()
    let values: [Float] = [
      Float(bitPattern: 0x3F80_8000), Float(bitPattern: 0x3F81_8000), Float(bitPattern: 0x3F80_8001), -0.0,
      .infinity, Float(bitPattern: 0x7F80_0001),
    ]
    try cache.append(values: values, count: 1)
    let row = try cache.address(layer: 0, position: 0)
    let bits = (0..<6).map { row.load(fromByteOffset: $0 * 2, as: UInt16.self) }
    #expect(bits[..<5] == [0x3F80, 0x3F82, 0x3F81, 0x8000, 0x7F80])
    #expect(bits[5] & 0x7F80 == 0x7F80 && bits[5] & 0x7F != 0)
  }

  @Test func refusesImpossibleSizes() throws {
    for (layers, rank, rope, status) in [
      (0, 5, 2, Status.invalidArgument), (2, 0, 2, .invalidArgument), (2, 5, -1, .invalidArgument),
      (2, Int.max, 0, .malformed), (2, 5, Int.max, .malformed), (Int.max, 5, 2, .malformed),
      (1 << 56, 5, 2, .malformed),
    ] {
      let failure = #expect(throws: Failure.self) { try Fixture(layers: layers, rank: rank, rope: rope) }
      #expect(failure?.status == status, "\(layers), \(rank), \(rope)")
    }
    for (capacity, status) in [
      (0, Status.invalidArgument), (-1, .invalidArgument), (.min, .invalidArgument), (.max, .malformed),
      (1 << 55, .outOfMemory),
    ] {
      let failure = #expect(throws: Failure.self) { try Fixture(layers: 1, rank: 1, rope: 0).cache(capacity: capacity) }
      #expect(failure?.status == status, "\(capacity)")
    }
    // A page that no memory holds.
    let cache = try Fixture(layers: 1 << 20, rank: 1 << 30).cache(capacity: 1)
    let failure = #expect(throws: Failure.self) { try cache.reserve(1) }
    #expect(failure?.status == .outOfMemory && cache.pageCount == 0)
  }
}
