import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseCache

/// Two layers that compress, of whole numbers: rows of several positions, and state that can't be taken back.
///
/// The first leaves a row a position, and for each four of them [their sum, the sum of the four before]; its state is
/// [the sum since the last row, the sum of the four before]. The other leaves a row for each 128 positions, [their sum];
/// its state is [the sum since the last row, then the last 128 positions' tokens].
private enum Compressors {
  static let rows = [
    RowSection(rank: 3, rope: 2), RowSection(rank: 2, positionsPerRow: 4), RowSection(rank: 1, positionsPerRow: 128),
  ]
  static let stateByteCounts = [8, 4 * 129]

  static func layout(pageStride: Int = 1, _ type: CacheRowType = .float32) throws -> PageLayout {
    try PageLayout(
      sections: rows, state: PageLayout.State(byteCounts: stateByteCounts, pageStride: pageStride), rowType: type)
  }

  /// What a timeline must have left: the rows of each section, and the state of each layer.
  static func expected(_ tokens: [Int32]) -> (rows: [[Float]], states: [[Float]]) {
    func sum(_ range: Range<Int>) -> Float { tokens[range.clamped(to: 0..<tokens.count)].reduce(0) { $0 + Float($1) } }
    let (fours, rest) = (tokens.count / 4, tokens.count % 4)
    var window = [Float](repeating: 0, count: 128)
    for position in max(0, tokens.count - 128)..<tokens.count { window[position % 128] = Float(tokens[position]) }
    var rows = [[Float]](repeating: [], count: 3)
    for token in tokens { rows[0] += (0..<5).map { Float(token) + Float($0) } }
    for four in 0..<fours { rows[1] += [sum(four * 4..<four * 4 + 4), four == 0 ? 0 : sum(four * 4 - 4..<four * 4)] }
    for row in 0..<tokens.count / 128 { rows[2].append(sum(row * 128..<row * 128 + 128)) }
    let previous = fours == 0 ? 0 : sum(fours * 4 - 4..<fours * 4)
    let states = [
      [sum(tokens.count - rest..<tokens.count), previous], [sum(tokens.count / 128 * 128..<tokens.count)] + window,
    ]
    return (rows, states)
  }
}

extension LatentCache {
  /// Computes what it lacks of `tokens` in one pass, of the state held and the new tokens alone.
  /// - Parameter isCancelled: whether the pass ends before it counts.
  fileprivate func compress(_ tokens: [Int32], isCancelled: Bool = false) throws {
    let (first, count) = (length, tokens.count - length)
    try #require(count >= 0)
    try reserve(count)
    var (fours, window) = (try floats(state(0)), try floats(state(1)))
    var rows = [[Float]](repeating: [], count: 3)
    var done = 0
    while done < count {
      let place = nextStatePlace(after: done, of: count)
      for position in first + done..<first + place {
        let token = Float(tokens[position])
        rows[0] += (0..<5).map { token + Float($0) }
        fours[0] += token
        window[0] += token
        window[1 + position % 128] = token
        if position % 4 == 3 {
          rows[1] += fours
          fours = [0, fours[0]]
        }
        if position % 128 == 127 {
          rows[2].append(window[0])
          window[0] = 0
        }
      }
      storeState(fours, after: place, 0)
      storeState(window, after: place, 1)
      done = place
    }
    for (section, values) in rows.enumerated() {
      store(values, count: values.count / Compressors.rows[section].width, at: 0, section: section)
    }
    if !isCancelled { try advance(by: count) }
  }

  private func floats(_ bytes: UnsafeRawBufferPointer?) throws -> [Float] {
    Array(try #require(bytes).bindMemory(to: Float.self))
  }

  fileprivate func compressed(_ tokens: some Collection<Int32>) throws -> Bool {
    guard length == tokens.count else { return false }
    let expected = Compressors.expected(Array(tokens))
    for (section, rows) in Compressors.rows.enumerated() {
      let count = rows.rowCount(length: length)
      var found = [Float](repeating: .nan, count: count * rows.width)
      pool.kernels.loadRows(
        try #require(self.rows(section: section)), 0..<count, into: &found, stride: rows.width)
      guard found == expected.rows[section] else { return false }
    }
    return try expected.states == (0..<2).map { try floats(state($0)) }
  }
}

/// Layers that leave rows sparser than positions, and state at the ends of pages.
@Suite struct StateTests {
  private static func fixture(pageStride: Int = 1, byteCount: Int? = nil) throws -> Fixture {
    try Fixture(Compressors.layout(pageStride: pageStride), byteCount: byteCount)
  }

  private static func cache(_ fixture: Fixture, _ tokens: [Int32] = [], capacity: Int = 2000) throws -> LatentCache {
    let cache = try fixture.cache(capacity: capacity)
    try cache.compress(tokens)
    return cache
  }

  /// A page: 64 rows of 5, 16 of 2 and one of 1; a state: 2 and 129 values. Formula, budget and cache agree.
  @Test(arguments: [1, 3], [1, 63, 64, 65, 200, 400])
  func sizeIsItsFormula(_ pageStride: Int, _ tokens: Int) throws {
    let fixture = try Self.fixture(pageStride: pageStride)
    let layout = fixture.layout
    #expect(layout.byteCount == 4 * (64 * 5 + 16 * 2 + 1) && layout.stateByteCount == 4 * 131)
    #expect(layout.sections.map(\.offset) == [0, 4 * 320, 4 * 352])
    #expect(layout.positionByteCount == 23 + (pageStride == 1 ? 9 : 3))
    let pages = (tokens + 63) / 64
    let expected = pages * 4 * 353 + pages / pageStride * 4 * 131
    #expect(try layout.byteCount(tokens: tokens) == expected)
    let cache = try Self.cache(fixture, someTokens(tokens))
    #expect(cache.byteCount == expected && fixture.budget.usedByteCount == UInt64(expected))
    #expect(try LatentCache.workingByteCount(layout, capacity: 2000) == 8 * 32 + 2 * 4 * 131)
  }

  /// Without state all is as if nobody had heard of it.
  @Test func nothingIsKeptWhereThereIsNoState() throws {
    let cache = try Fixture().cache(someTokens(100))
    #expect(cache.state(0) == nil && !cache.layout.hasState && cache.layout.stateByteCount == 0)
    #expect(try LatentCache.workingByteCount(cache.layout, capacity: 100) == 16)
    cache.storeState([Float(1)], after: 1, 0)
    #expect(try cache.rewind(to: 99) == 99)
  }

  @Test func refusesWhatDoesNotFitPages() throws {
    for (positions, state, stride) in [
      (0, [8], 1), (-1, [8], 1), (3, [8], 1), (96, [8], 1), (.min, [8], 1), (4, [0], 1), (4, [8, -4], 1), (4, [6], 1),
      (4, [8], 0), (4, [8], -1), (4, [8], .max),
    ] {
      let failure = #expect(throws: Failure.self) {
        try PageLayout(
          sections: [RowSection(rank: 2, positionsPerRow: positions)],
          state: PageLayout.State(byteCounts: state, pageStride: stride), rowType: .float32)
      }
      #expect(failure?.status == .invalidArgument, "\(positions), \(state), \(stride)")
    }
    let failure = #expect(throws: Failure.self) {
      try PageLayout(
        sections: [RowSection(rank: 2)], state: PageLayout.State(byteCounts: [.max - 3, .max - 3]), rowType: .float32)
    }
    #expect(failure?.status == .malformed)
    let cache = try Self.fixture().cache()
    let rows = #expect(throws: Failure.self) { try cache.append(values: [1, 2, 3, 4, 5], count: 1) }
    #expect(rows?.status == .invalidArgument && cache.length == 0)
  }

  /// In pieces of any size, rows and state are those of the whole.
  @Test(arguments: [1, 3])
  func piecesAreTheWhole(_ pageStride: Int) throws {
    let fixture = try Self.fixture(pageStride: pageStride)
    let tokens = someTokens(700)
    var random = Random(seed: 5)
    let cache = try Self.cache(fixture)
    while cache.length < tokens.count {
      try cache.compress(Array(tokens.prefix(cache.length + Int.random(in: 1...150, using: &random))))
      #expect(try cache.compressed(tokens.prefix(cache.length)))
    }
  }

  /// Rewound, it says what it kept, and goes on from there.
  @Test(
    arguments: [1, 3],
    [(5, 2), (64, 63), (65, 64), (130, 0), (130, 129), (400, 399), (400, 200), (384, 384), (385, 384)])
  func rewindsToStateThatIsKept(_ pageStride: Int, _ lengths: (from: Int, to: Int)) throws {
    let fixture = try Self.fixture(pageStride: pageStride)
    let tokens = someTokens(lengths.from)
    let cache = try Self.cache(fixture, tokens)
    let step = 64 * pageStride
    let kept = lengths.to == lengths.from ? lengths.to : lengths.to / step * step
    #expect(try cache.rewind(to: lengths.to) == kept)
    #expect(try cache.compressed(tokens.prefix(kept)))
    let other = Array(tokens.prefix(lengths.to)) + someTokens(150, seed: 2)
    try cache.compress(other)
    #expect(try cache.compressed(other))
    for length in [other.count + 1, -1, .max, .min] {
      let failure = #expect(throws: Failure.self) { try cache.rewind(to: length) }
      #expect(failure?.status == .invalidArgument)
    }
    #expect(try cache.compressed(other))
  }

  /// A pass that ends before it counts changes nothing, at whatever place of a page.
  @Test(arguments: [0, 1, 63, 64, 100, 128])
  func cancelledPassesChangeNothing(_ length: Int) throws {
    let fixture = try Self.fixture()
    let tokens = someTokens(length)
    let cache = try Self.cache(fixture, tokens)
    for more in [1, 64, 130] { try cache.compress(tokens + someTokens(more, seed: 3), isCancelled: true) }
    #expect(try cache.compressed(tokens))
    let longer = tokens + someTokens(140, seed: 4)
    try cache.compress(longer)
    #expect(try cache.compressed(longer))
  }

  /// Forks share pages and each has its state; neither sees what the other does.
  @Test(arguments: [1, 3], [0, 30, 64, 100, 192, 200])
  func forksGoTheirOwnWay(_ pageStride: Int, _ length: Int) throws {
    let fixture = try Self.fixture(pageStride: pageStride)
    let tokens = someTokens(length)
    let cache = try Self.cache(fixture, tokens)
    let fork = try cache.fork()
    #expect(try fork.compressed(tokens))
    #expect(fixture.pool.statistics.shared == (length + 63) / 64)
    let (left, right) = (tokens + someTokens(200, seed: 2), tokens + someTokens(200, seed: 3))
    try fork.compress(left)
    try cache.compress(right)
    #expect(try fork.compressed(left) && cache.compressed(right))
    let kept = try fork.rewind(to: length)
    #expect(try fork.compressed(tokens.prefix(kept)) && cache.compressed(right))
  }

  /// A known beginning is taken over as far as somebody has kept the state behind it.
  @Test(arguments: [1, 3])
  func prefixesEndWithKeptState(_ pageStride: Int) throws {
    let fixture = try Self.fixture(pageStride: pageStride)
    let tree = fixture.tree()
    let tokens = someTokens(300)
    tree.insert(try Self.cache(fixture, tokens), keys: keys(tokens), includesLast: true)
    // Pages that are full.
    #expect(tree.statistics.pages == 4)
    let step = 64 * pageStride
    for common in [0, 63, 64, 200, 256, 300] {
      let other = Array(tokens.prefix(common)) + someTokens(300 - common, seed: 9)
      let cache = try Self.cache(fixture)
      let found = try tree.extend(cache, keys: keys(other))
      #expect(found == min(common, 256) / step * step)
      #expect(try cache.compressed(other.prefix(found)))
      try cache.compress(other)
      #expect(try cache.compressed(other))
      // What it holds itself is as good.
      #expect(try tree.extend(cache, keys: keys(other)) == 0)
    }
    tree.removeAll()
    #expect(fixture.isUnused)
  }

  /// The tree's limit is of bytes, those of states among them.
  @Test func statesCountAgainstTheTreesLimit() throws {
    let fixture = try Self.fixture(pageStride: 2)
    let layout = fixture.layout
    let limit = 4 * layout.byteCount + 2 * layout.stateByteCount
    for (limit, pages) in [(limit, 4), (limit - 1, 3)] {
      let tree = PrefixTree(layout: layout, byteLimit: UInt64(limit), budget: fixture.budget)
      for seed in 1...3 {
        let tokens = someTokens(256, seed: UInt64(seed))
        tree.insert(try Self.cache(fixture, tokens), keys: keys(tokens), includesLast: false)
      }
      #expect(tree.statistics.pages == pages)
    }
  }

  /// Memory for a page, but not for its state too, is too little: nothing changes.
  @Test func outOfMemoryChangesNothing() throws {
    let layout = try Compressors.layout()
    let fixture = try Self.fixture(byteCount: 3 * layout.byteCount + 2 * layout.stateByteCount)
    let tokens = someTokens(100)
    let cache = try Self.cache(fixture, tokens)
    let failure = #expect(throws: Failure.self) { try cache.compress(someTokens(180)) }
    #expect(failure?.status == .outOfMemory)
    #expect(failure?.message.hasPrefix("a page of the latent cache: 1412 bytes are needed") == true)
    #expect(try cache.compressed(tokens) && cache.pageCount == 2)
    try cache.compress(Array(someTokens(128)))
    #expect(try cache.compressed(someTokens(128)))
  }

  // MARK: - Files

  private static let identity = SnapshotIdentity(bytes: Array("sparse".utf8), description: "a model that compresses")

  private static func read(_ path: String, _ fixture: Fixture) throws -> LatentCache {
    try Snapshot.read(
      path: path, pool: fixture.pool, capacity: 2000, identity: identity, vocabularySize: 1000
    ).cache
  }

  /// Rows and states come back, and a rewound timeline of a file goes on as the old one does.
  @Test(arguments: [1, 3], [0, 1, 64, 100, 128, 192, 300, 384])
  func snapshotsComeBack(_ pageStride: Int, _ length: Int) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let fixture = try Self.fixture(pageStride: pageStride)
    let tokens = someTokens(length)
    let cache = try Self.cache(fixture, tokens)
    try Snapshot.write(cache: cache, tokens: tokens, logits: nil, identity: Self.identity, to: path)
    let bytes = try File(path: path).readAll(limit: 1 << 20)
    let (pages, states) = ((length + 63) / 64, (length + 64 * pageStride - 1) / (64 * pageStride))
    let front = 12 * 3 + 8 + 8 * 2 + 6 + 23 + 4 * length + 8 * (3 * pages + states)
    let rows = 4 * (5 * length + 2 * (length / 4) + length / 128)
    #expect(bytes[8] == 3 && bytes.count == 104 + front + rows + states * 524)
    let restored = try Self.read(path, fixture)
    #expect(try restored.compressed(tokens))
    let longer = tokens + someTokens(200, seed: 8)
    try restored.compress(longer)
    #expect(try restored.compressed(longer))
    let kept = try restored.rewind(to: length / 2)
    #expect(try restored.compressed(tokens.prefix(kept)) && cache.compressed(tokens))
  }

  /// No byte of it can change unnoticed, and layouts with other rows or state refuse it.
  @Test func damagedAndForeignFilesAreRefused() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let fixture = try Self.fixture()
    let tokens = someTokens(130)
    try Snapshot.write(
      cache: try Self.cache(fixture, tokens), tokens: tokens, logits: nil, identity: Self.identity, to: path)
    let bytes = try File(path: path).readAll(limit: 1 << 20)
    for index in stride(from: 0, to: bytes.count, by: 7) {
      var changed = bytes
      changed[index] ^= 0x10
      let file = try folder.write(changed)
      #expect(throws: Failure.self, "byte \(index)") { try Self.read(file, fixture) }
    }
    var others = [
      try Compressors.layout(pageStride: 2), try PageLayout(sections: Compressors.rows, rowType: .float32),
    ]
    let half = RowSection(rank: 1, positionsPerRow: 64)
    others.append(
      try PageLayout(
        sections: Array(Compressors.rows.prefix(2)) + [half],
        state: PageLayout.State(byteCounts: Compressors.stateByteCounts), rowType: .float32))
    for layout in others {
      let other = try Fixture(layout)
      #expect(throws: Failure.self) { try Self.read(path, other) }
      #expect(other.isUnused)
    }
    #expect(try Self.read(path, fixture).compressed(tokens))
  }

  /// Caches that grow, shrink, fork, share and go, beside lists of the tokens that they must hold.
  @Test(arguments: [1, 2])
  func randomGenerations(_ pageStride: Int) throws {
    let fixture = try Self.fixture(pageStride: pageStride)
    let tree = fixture.tree(pages: 20)
    var random = Random(seed: 12)
    do {
      var caches = [try Self.cache(fixture)]
      var wanted: [[Int32]] = [[]]
      for step in 0..<600 {
        let index = Int.random(in: 0..<caches.count, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<2 where caches.count < 8:
          caches.append(try caches[index].fork())
          wanted.append(wanted[index])
        case 0..<4 where caches.count > 1:
          caches.remove(at: index)
          wanted.remove(at: index)
        case 4..<6:
          let length = try caches[index].rewind(to: Int.random(in: 0...wanted[index].count, using: &random))
          wanted[index].removeLast(wanted[index].count - length)
          if Bool.random(using: &random) { caches[index].trim() }
        case 6: tree.insert(caches[index], keys: keys(wanted[index]), includesLast: true)
        case 7:
          // Another's timeline, of which the tree may know the beginning.
          wanted[index] = wanted.randomElement(using: &random) ?? []
          caches[index] = try Self.cache(fixture)
          _ = try tree.extend(caches[index], keys: keys(wanted[index]))
          try caches[index].compress(wanted[index])
        default:
          let count = Int.random(in: 0...min(150, 600 - wanted[index].count), using: &random)
          wanted[index] += someTokens(count, seed: UInt64(step))
          try caches[index].compress(wanted[index], isCancelled: Bool.random(using: &random))
          try caches[index].compress(wanted[index])
        }
        let checked = Int.random(in: 0..<caches.count, using: &random)
        #expect(try caches[checked].compressed(wanted[checked]), "step \(step)")
      }
    }
    tree.removeAll()
    #expect(fixture.isUnused)
  }
}
