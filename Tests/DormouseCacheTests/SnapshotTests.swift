import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseCache

/// Sessions that this library writes and reads.
@Suite struct SnapshotTests {
  static let identity = SnapshotIdentity(bytes: Array("weights 1234".utf8), description: "a model")
  static let vocabulary = 1000
  static let logits = (0..<vocabulary).map { Float($0) / 7 - 50 }

  private func read(
    _ path: String, _ fixture: Fixture, capacity: Int = 1000, identity: SnapshotIdentity = identity
  ) throws -> (snapshot: Snapshot, cache: LatentCache) {
    try Snapshot.read(
      path: path, pool: fixture.pool, capacity: capacity, identity: identity, vocabularySize: Self.vocabulary)
  }

  /// The failure of reading a file, after which the pool is what it was.
  private func refusal(
    _ path: String, _ fixture: Fixture, capacity: Int = 1000, identity: SnapshotIdentity = identity,
    sourceLocation: SourceLocation = #_sourceLocation
  ) -> Failure? {
    let before = fixture.pool.statistics
    let failure = #expect(throws: Failure.self, sourceLocation: sourceLocation) {
      _ = try read(path, fixture, capacity: capacity, identity: identity)
    }
    let after = fixture.pool.statistics
    #expect(after.used == before.used && after.shared == before.shared, sourceLocation: sourceLocation)
    return failure
  }

  /// Rows come back bit for bit, and so do tokens and logits; the file has the size of its formula.
  @Test(arguments: CacheRowType.allCases, [0, 1, 63, 64, 65, 130])
  func comesBackBitForBit(_ type: CacheRowType, _ length: Int) throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture(layers: 3, rank: 7, rope: 3, type: type)
    let tokens = someTokens(length + 3)
    let cache = try fixture.cache(Array(tokens.prefix(length)))
    for (ahead, logits) in [(0, nil), (0, Self.logits), (1, nil), (3, Self.logits)] {
      let path = folder.path + "/session"
      let told = Array(tokens.prefix(length + ahead))
      try Snapshot.write(cache: cache, tokens: told, logits: logits, identity: Self.identity, to: path)
      let front = 12 + 7 + 4 * (told.count + (logits?.count ?? 0)) + 8 * ((length + 63) / 64) * 3
      #expect(try File(path: path).size == 104 + front + length * 3 * cache.layout.sections[0].rowByteCount)
      let restored = try read(path, fixture, capacity: length + 200)
      #expect(restored.snapshot == Snapshot(tokens: told, logits: logits))
      #expect(restored.cache.length == length && restored.cache.capacity == length + 200)
      #expect(try restored.cache.bytes() == cache.bytes())
      #expect(fixture.pool.statistics.shared == 0)
      // It goes on as the old one does, whose pages it does not touch.
      let longer = tokens + someTokens(90, seed: 3)
      try restored.cache.append(longer)
      #expect(try restored.cache.bytes() == fixture.cache(longer).bytes())
      #expect(try cache.bytes() == fixture.cache(Array(tokens.prefix(length))).bytes())
    }
    #expect(folder.names == ["session"])
  }

  /// A fork with shared pages, and rows behind its end, is saved as what it holds.
  @Test func savesWhatIsHeld() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture()
    let tokens = someTokens(200)
    let cache = try fixture.cache(tokens)
    let fork = try cache.fork()
    try fork.rewind(to: 70)
    let short = try fixture.cache(Array(tokens.prefix(70)))
    for (cache, name) in [(fork, "fork"), (short, "short")] {
      try Snapshot.write(
        cache: cache, tokens: Array(tokens.prefix(70)), logits: nil, identity: Self.identity,
        to: "\(folder.path)/\(name)")
    }
    let files = try ["fork", "short"].map { try File(path: "\(folder.path)/\($0)").readAll(limit: 1 << 20) }
    #expect(files[0] == files[1])
    #expect(try cache.holds(tokens) && fork.holds(tokens.prefix(70)))
    #expect(fixture.pool.statistics == PagePool.Statistics(used: 6, shared: 4, free: 0))
  }

  private func small(_ fixture: Fixture, _ folder: TemporaryFolder) throws -> (path: String, bytes: [UInt8]) {
    let path = folder.path + "/small"
    try Snapshot.write(
      cache: try fixture.cache(someTokens(3)), tokens: someTokens(4), logits: nil, identity: Self.identity, to: path)
    return (path, try File(path: path).readAll(limit: 10_000))
  }

  /// No byte can change unnoticed: not one bit of it, and not all.
  @Test func everyChangedByteIsRefused() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture(layers: 2, rank: 3, rope: 1, type: .int8)
    let (_, bytes) = try small(fixture, folder)
    #expect((200..<400).contains(bytes.count))
    for index in bytes.indices {
      for change: UInt8 in [1, 0x80, 0xFF] {
        var changed = bytes
        changed[index] ^= change
        let failure = refusal(try folder.write(changed), fixture)
        #expect(failure?.message.hasPrefix(folder.path + "/file: ") == true, "byte \(index)")
        #expect([.malformed, .unsupported].contains(failure?.status), "byte \(index)")
      }
    }
  }

  @Test func everyOtherLengthIsRefused() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture(layers: 2, rank: 3, rope: 1, type: .int8)
    let (_, bytes) = try small(fixture, folder)
    for length in bytes.indices {
      let failure = refusal(try folder.write(Array(bytes[..<length])), fixture)
      #expect(failure?.status == .malformed && failure?.message.contains("\(length)") == true)
    }
    for extra in [1, 8, 64, 5000] {
      let failure = refusal(try folder.write(bytes + [UInt8](repeating: 0, count: extra)), fixture)
      #expect(failure?.status == .malformed)
    }
    _ = try read(try folder.write(bytes), fixture)
  }

  /// A session that does not fit, or belongs to another model, is refused before pages are taken.
  @Test func whatDoesNotFitIsRefused() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture()
    let (path, _) = try small(fixture, folder)
    let full = refusal(path, fixture, capacity: 3)
    #expect(full == Failure(.contextFull, "\(path): 4 tokens; expected at most 3"))
    let stranger = SnapshotIdentity(bytes: Array("weights 5678".utf8), description: "another\u{1B} model")
    let other = refusal(path, fixture, identity: stranger)
    #expect(
      other
        == Failure(
          .unsupported, "\(path): the model's identity: written with 'a model'; expected 'another\\u{1b} model'"))
    for (other, sentence) in [
      (try Fixture(type: .bfloat16), "row type float32; expected bfloat16"),
      (try Fixture(layers: 3), "layer count 2; expected 3"), (try Fixture(rank: 6), "kv_lora_rank 5; expected 6"),
      (try Fixture(rope: 3), "qk_rope_head_dim 2; expected 3"),
    ] { #expect(refusal(path, other) == Failure(.unsupported, "\(path): \(sentence)")) }
    for (capacity, vocabulary) in [(0, 1), (-1, 1), (1, 0), (.max, 1), (4, .min)] {
      #expect(throws: Failure.self) {
        try Snapshot.read(
          path: path, pool: fixture.pool, capacity: capacity, identity: Self.identity, vocabularySize: vocabulary)
      }
    }
    #expect(refusal(folder.path + "/none", fixture)?.status == .notFound)
    #expect(refusal(folder.path, fixture)?.status == .inputOutput)
    #expect(fixture.isUnused)
  }

  /// Without memory for the rows no page is lost, and with it the same file can be read.
  @Test func outOfMemoryChangesNothing() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture(pages: 4)
    let path = folder.path + "/session"
    let tokens = someTokens(130)
    let cache = try fixture.cache(tokens)
    try Snapshot.write(cache: cache, tokens: tokens, logits: nil, identity: Self.identity, to: path)
    #expect(refusal(path, fixture)?.status == .outOfMemory)
    #expect(try cache.holds(tokens))
    try cache.rewind(to: 64)
    cache.trim()
    #expect(try read(path, fixture).cache.holds(tokens))
  }

  /// What can't be saved, or where, is refused; the file that was there stays.
  @Test func failedWritesLeaveTheOldFile() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture()
    let (path, bytes) = try small(fixture, folder)
    let tokens = someTokens(10)
    let cache = try fixture.cache(tokens, capacity: 12)
    let long = SnapshotIdentity(bytes: [UInt8](repeating: 1, count: 65_537), description: "")
    for (told, logits, identity, sentence) in [
      (Array(tokens.prefix(9)), nil, Self.identity, "9 tokens; expected 10 (its rows) to 12"),
      (tokens + [1, 2, 3], nil, Self.identity, "13 tokens; expected 10 (its rows) to 12"),
      (tokens + [-1], nil, Self.identity, "token 10 is 4294967295; expected an id of the vocabulary"),
      (tokens, [], Self.identity, "0 logits; expected one for each id of the vocabulary"),
      (tokens, [0, .nan], Self.identity, "logit 1 is nan; expected a finite number"),
      (tokens, [-.infinity], Self.identity, "logit 0 is -inf; expected a finite number"),
      (tokens, nil, long, "an identity of 65537 bytes; expected at most 65536"),
    ] as [([Int32], [Float]?, SnapshotIdentity, String)] {
      let failure = #expect(throws: Failure.self) {
        try Snapshot.write(cache: cache, tokens: told, logits: logits, identity: identity, to: path)
      }
      #expect(failure == Failure(.invalidArgument, "\(path): a session with \(sentence) cannot be saved"))
      #expect(try File(path: path).readAll(limit: 10_000) == bytes)
    }
    let other = try ReplacementFile(path: path, byteCount: 1)
    let places: [(String, [Status])] = [
      (path, [.busy]), (folder.path + "/none/file", [.notFound]), ("a\0b", [.notFound]),
      ("/proc/file", [.notFound, .inputOutput]),
    ]
    for (place, statuses) in places {
      let failure = #expect(throws: Failure.self) {
        try Snapshot.write(cache: cache, tokens: tokens, logits: nil, identity: Self.identity, to: place)
      }
      #expect(failure.map { statuses.contains($0.status) } == true, "\(place)")
    }
    #expect(try File(path: path).readAll(limit: 10_000) == bytes)
    withExtendedLifetime(other) {}
    #expect(folder.names == ["small", "small.tmp"])
  }

  /// A folder can't be replaced by a file, and nothing stays beside it.
  @Test func aFolderIsNoPlaceForAFile() throws {
    let parent = try TemporaryFolder()
    let place = parent.path + "/folder"
    try File.makeFolder(place)
    defer { TemporaryFolder.remove(place) }
    let cache = try Fixture().cache(someTokens(3))
    let failure = #expect(throws: Failure.self) {
      try Snapshot.write(cache: cache, tokens: someTokens(3), logits: nil, identity: Self.identity, to: place)
    }
    #expect(failure?.status == .inputOutput)
    #expect(File.isFolder(place) && parent.names == ["folder"])
  }

  /// Of a description that is too long the beginning is kept.
  @Test func descriptionsAreCutToTheLimit() throws {
    let folder = try TemporaryFolder()
    let fixture = try Fixture()
    let identity = SnapshotIdentity(bytes: [], description: String(repeating: "é", count: 40_000))
    let path = folder.path + "/session"
    try Snapshot.write(cache: try fixture.cache(), tokens: [], logits: nil, identity: identity, to: path)
    #expect(try File(path: path).size == 104 + 65_536)
    let restored = try read(path, fixture, identity: identity)
    #expect(restored.snapshot == Snapshot(tokens: [], logits: nil) && restored.cache.length == 0)
    #expect((refusal(path, fixture)?.message.utf8.count ?? .max) < 1000)
  }
}
