import DormouseCache
import DormouseKernels
import DormouseSupport
import Glibc
import Testing

/// A pool with a budget of its own, and what the tests ask of caches.
struct Fixture {
  let budget: MemoryBudget
  let pool: PagePool
  var layout: PageLayout { pool.layout }

  /// - Parameter pages: the budget; nil for no limit.
  init(
    layers: Int = 2, rank: Int = 5, rope: Int = 2, type: CacheRowType = .float32, pages: Int? = nil
  ) throws {
    try self.init(
      PageLayout(layerCount: layers, kvLoraRank: rank, qkRopeHeadDimension: rope, rowType: type), pages: pages)
  }

  init(_ layout: PageLayout, pages: Int? = nil) throws {
    try self.init(layout, byteCount: pages.map { $0 * layout.byteCount })
  }

  /// - Parameter byteCount: the budget; nil for no limit.
  init(_ layout: PageLayout, byteCount: Int?) throws {
    budget = MemoryBudget(limit: byteCount.map { UInt64($0) }, name: "the test's budget")
    pool = PagePool(layout: layout, kernels: try Kernels.selected(), budget: budget)
  }

  func cache(capacity: Int = 1000) throws -> LatentCache { try LatentCache(pool: pool, capacity: capacity) }

  /// A cache with the rows of `Rows`, appended at once.
  func cache(_ tokens: [Int32], capacity: Int = 1000) throws -> LatentCache {
    let cache = try cache(capacity: capacity)
    try cache.append(tokens)
    return cache
  }

  func tree(pages: Int = 1000) -> PrefixTree {
    PrefixTree(layout: layout, byteLimit: UInt64(pages * layout.byteCount), budget: budget)
  }

  /// Whether nobody holds a page, and none is counted as shared.
  var isUnused: Bool { pool.statistics.used == 0 && pool.statistics.shared == 0 }
}

/// Rows as a model makes them: the row of a position is a function of all tokens up to it.
struct Rows: Sequence, IteratorProtocol {
  private var tokens: ArraySlice<Int32>
  private var state: UInt64 = 0

  init(_ tokens: some Collection<Int32>) { self.tokens = Array(tokens)[...] }

  /// A hash of the tokens up to the next position.
  mutating func next() -> UInt64? {
    guard let token = tokens.popFirst() else { return nil }
    state = Rows.mixed(state ^ UInt64(UInt32(bitPattern: token)) &+ 0x9E37_79B9_7F4A_7C15)
    return state
  }

  static func mixed(_ word: UInt64) -> UInt64 {
    let first = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    let second = (first ^ first >> 27) &* 0x94D0_49BB_1331_11EB
    return second ^ second >> 31
  }

  /// The value in a column of a layer's row: a whole number that float32 and bfloat16 hold exactly.
  static func value(_ hash: UInt64, layer: Int, column: Int) -> Float {
    Float(Int(mixed(hash &+ UInt64(layer * 1000 + column)) % 255) - 127)
  }

  /// Rows [layers, tokens.count - first, width] of the positions from `first` on.
  static func values(_ tokens: [Int32], from first: Int, layers: Int, width: Int) -> [Float] {
    let hashes = Rows(tokens).dropFirst(first)
    return (0..<layers).flatMap { layer in
      hashes.flatMap { hash in (0..<width).map { value(hash, layer: layer, column: $0) } }
    }
  }
}

extension LatentCache {
  /// Values of a row; all sections have as many.
  var rowWidth: Int { layout.sections[0].rows.width }

  /// Appends the rows of the tokens that it has none of yet.
  func append(_ tokens: [Int32]) throws {
    let count = tokens.count - length
    try #require(count >= 0)
    try append(
      values: Rows.values(tokens, from: length, layers: layout.sections.count, width: rowWidth), count: count)
  }

  func append(values: [Float], count: Int) throws {
    try values.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { try append(base, count: count) }
    }
  }

  /// Where the row of a position lies.
  func address(layer: Int, position: Int) throws -> UnsafeRawPointer {
    let rows = try #require(self.rows(section: layer))
    return rows.pages[position / PageLayout.positionsPerPage] + rows.offset
      + position % PageLayout.positionsPerPage * layout.sections[0].rowByteCount
  }

  /// The bytes of the rows held of a layer, without what is between pages.
  func bytes(layer: Int) throws -> [UInt8] {
    try (0..<length).flatMap { position in
      Array(
        UnsafeRawBufferPointer(
          start: try address(layer: layer, position: position), count: layout.sections[0].rowByteCount))
    }
  }

  func bytes() throws -> [[UInt8]] { try (0..<layout.sections.count).map { try bytes(layer: $0) } }

  /// Whether its float32 rows are those of `tokens`, and as many.
  func holds(_ tokens: some Collection<Int32>) throws -> Bool {
    try #require(layout.rowType == .float32)
    guard length == tokens.count else { return false }
    for (position, hash) in Rows(tokens).enumerated() {
      for layer in 0..<layout.sections.count {
        let row = try address(layer: layer, position: position)
        for column in 0..<rowWidth
        where row.load(fromByteOffset: 4 * column, as: Float.self)
          != Rows.value(hash, layer: layer, column: column)
        { return false }
      }
    }
    return true
  }
}

/// Numbers that are the same in every run.
struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    return Rows.mixed(state)
  }
}

/// `count` ids below `vocabulary`.
func someTokens(_ count: Int, vocabulary: Int32 = 1000, seed: UInt64 = 1) -> [Int32] {
  var random = Random(seed: seed)
  return (0..<count).map { _ in Int32.random(in: 0..<vocabulary, using: &random) }
}

func keys(_ tokens: some Collection<Int32>) -> ArraySlice<PositionKey> { tokens.map { PositionKey(token: $0) }[...] }

/// A folder in /tmp that goes with this object, and the files in it.
final class TemporaryFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/dormouse-cache-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  static func remove(_ folder: String) { rmdir(folder) }

  /// What is in it.
  var names: [String] { TemporaryFolder.names(in: path) }

  static func names(in path: String) -> [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Writes a file in place, without the bytes of one that was there.
  func write(_ bytes: [UInt8], _ name: String = "file") throws -> String {
    let file = "\(path)/\(name)"
    let descriptor = open(file, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    return file
  }
}

/// Sessions of text alone.
extension Snapshot {
  init(tokens: [Int32], logits: [Float]?) { self.init(keys: tokens.map { PositionKey(token: $0) }, logits: logits) }

  var tokens: [Int32] { keys.compactMap(\.token) }

  static func write(
    cache: LatentCache, tokens: [Int32], logits: [Float]?, identity: SnapshotIdentity, to path: String
  ) throws(Failure) {
    try write(
      cache: cache, keys: tokens.map { PositionKey(token: $0) }, logits: logits,
      identity: identity, to: path)
  }
}
