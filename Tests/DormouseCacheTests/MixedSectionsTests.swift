import DormouseCache
import DormouseKernels
import DormouseSupport
import Testing

/// Pages whose sections have rows of different sizes.
@Suite struct MixedSectionsTests {
  private static let sizes = [
    RowSection(rank: 7, rope: 3), RowSection(rank: 5), RowSection(rank: 11, rope: 2), RowSection(rank: 7, rope: 3),
  ]
  private static let identity = SnapshotIdentity(bytes: Array("mixed".utf8), description: "a model of mixed layers")

  private static func fixture(_ type: CacheRowType, _ sizes: [RowSection] = sizes) throws -> Fixture {
    try Fixture(PageLayout(sections: sizes, rowType: type))
  }

  /// For each section in turn its rows of some tokens, whose values tell section and position.
  private static func values(_ count: Int, from first: Int = 0) -> [Float] {
    var values: [Float] = []
    for (section, size) in sizes.enumerated() {
      for position in first..<first + count {
        for column in 0..<size.width {
          values.append(Float((position * 7 + section * 31 + column) % 250 - 125))
        }
      }
    }
    return values
  }

  private static func rows(_ cache: LatentCache, _ section: Int) throws -> [Float] {
    let width = cache.layout.sections[section].rows.width
    var out = [Float](repeating: .nan, count: cache.length * width)
    cache.pool.kernels.loadRows(
      try #require(cache.rows(section: section)), 0..<cache.length, into: &out, stride: width)
    return out
  }

  @Test(arguments: CacheRowType.allCases)
  func sizesAndPlacesFollowFromTheSections(_ type: CacheRowType) throws {
    let layout = try Self.fixture(type).layout
    var offset = 0
    for (section, size) in zip(layout.sections, Self.sizes) {
      #expect(section.offset == offset && section.rows == size)
      #expect(section.rowByteCount == type.byteCount(rank: size.rank, rope: size.rope))
      offset += 64 * section.rowByteCount
    }
    #expect(layout.byteCount == offset && layout.positionByteCount * 64 == offset)
    #expect(throws: Failure.self) { try PageLayout(sections: [], rowType: type) }
  }

  @Test(arguments: [1, 64, 65, 130])
  func rowsOfEachSectionAreItsOwn(_ count: Int) throws {
    let cache = try Self.fixture(.float32).cache(capacity: 300)
    for first in stride(from: 0, to: count, by: 50) {
      let some = min(50, count - first)
      try cache.append(values: Self.values(some, from: first), count: some)
    }
    let fork = try cache.fork()
    try fork.append(values: Self.values(3, from: count), count: 3)
    var start = 0
    for (index, size) in Self.sizes.enumerated() {
      let width = size.width
      let all = Self.values(count)
      #expect(try Self.rows(cache, index) == Array(all[start * count..<(start + width) * count]))
      let longer = Self.values(count + 3)
      #expect(try Self.rows(fork, index) == Array(longer[start * (count + 3)..<(start + width) * (count + 3)]))
      start += width
    }
  }

  @Test(arguments: CacheRowType.allCases, [0, 1, 64, 65, 130])
  func snapshotsComeBack(_ type: CacheRowType, _ count: Int) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let fixture = try Self.fixture(type)
    let cache = try fixture.cache(capacity: 300)
    try cache.append(values: Self.values(count), count: count)
    let keys = (0..<count).map { PositionKey(token: Int32($0 % 9)) }
    try Snapshot.write(cache: cache, keys: keys, logits: nil, identity: Self.identity, to: path)
    let bytes = try File(path: path).readAll(limit: 1 << 20)
    let front = 8 * Self.sizes.count + 5 + 23 + 4 * count + 8 * Self.sizes.count * ((count + 63) / 64)
    #expect(bytes[8] == 2 && bytes.count == 104 + front + count * cache.layout.positionByteCount)
    let read = try Snapshot.read(
      path: path, pool: fixture.pool, capacity: 300, identity: Self.identity, vocabularySize: 9)
    #expect(read.snapshot.keys == keys && read.cache.length == count)
    for section in Self.sizes.indices where count > 0 {
      #expect(try Self.rows(read.cache, section) == Self.rows(cache, section))
    }
  }

  /// Other layouts refuse the file, whether their sections are alike or not.
  @Test func otherSizesRefuseTheFile() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let cache = try Self.fixture(.float32).cache(capacity: 100)
    try cache.append(values: Self.values(3), count: 3)
    try Snapshot.write(
      cache: cache, keys: (0..<3).map { PositionKey(token: $0) }, logits: nil, identity: Self.identity, to: path)
    let (first, second, third) = (Self.sizes[0], Self.sizes[1], Self.sizes[2])
    let others: [(sizes: [RowSection], said: String)] = [
      ([first, second, first, third], "rows of other sizes"),
      ([first, second, third], "layer count 4; expected 3"),
      ([first, first, first, first], "version 2; expected 1"),
    ]
    for (sizes, said) in others {
      let pool = try Self.fixture(.float32, sizes).pool
      let failure = #expect(throws: Failure.self) {
        _ = try Snapshot.read(path: path, pool: pool, capacity: 100, identity: Self.identity, vocabularySize: 9)
      }
      #expect(failure?.status == .unsupported && failure?.message.contains(said) == true, "\(failure?.message ?? "")")
    }
  }
}
