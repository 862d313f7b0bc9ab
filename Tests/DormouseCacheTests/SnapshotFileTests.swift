import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseCache

/// The files of `Tests/Fuzz/snapshot.py`, which knows the layout from its description only.
@Suite struct SnapshotFileTests {
  static let folder =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
    + "/Fuzz/corpus/snapshot/"
  static let identity = SnapshotIdentity(bytes: Array("model 1".utf8), description: "the model of the corpus")
  static let types = ["float32": CacheRowType.float32, "bfloat16": .bfloat16, "int8": .int8]

  private func read(_ name: String, _ fixture: Fixture) throws -> (snapshot: Snapshot, cache: LatentCache) {
    try Snapshot.read(
      path: Self.folder + name, pool: fixture.pool, capacity: 200, identity: Self.identity, vocabularySize: 16)
  }

  private func fixture(_ type: CacheRowType = .bfloat16) throws -> Fixture {
    try Fixture(layers: 2, rank: 3, rope: 2, type: type)
  }

  @Test(arguments: [
    ("bfloat16-0", 0, 0, false), ("bfloat16-0-ahead", 0, 2, false), ("bfloat16-1", 1, 0, false),
    ("bfloat16-64-logits", 64, 0, true), ("float32-63", 63, 0, false), ("float32-65-ahead-logits", 65, 1, true),
    ("int8-130-ahead", 130, 3, false), ("bfloat16-70-forms", 70, 2, false),
  ])
  func goodFilesAreRead(_ name: String, _ rows: Int, _ ahead: Int, _ hasLogits: Bool) throws {
    let type = try #require(Self.types.first { name.hasPrefix($0.key) }?.value)
    let fixture = try fixture(type)
    let (snapshot, cache) = try read("good-" + name, fixture)
    let tokens = (0..<rows + ahead).map { Int32((3 * $0 + 1) % 16) }
    let logits = hasLogits ? (0..<16).map { Float($0) / 4 - 1 } : nil
    #expect(snapshot == Snapshot(tokens: tokens, logits: logits))
    #expect(cache.length == rows)
    for layer in 0..<2 {
      var values = [Float](repeating: .nan, count: rows * 5)
      fixture.pool.kernels.loadRows(try #require(cache.rows(section: layer)), 0..<rows, into: &values, stride: 5)
      for (index, value) in values.enumerated() {
        let whole = Float((index / 5 * 7 + layer * 3 + index % 5) % 50 - 25)
        #expect(value == (type == .int8 && index % 5 < 3 ? whole / 2 : whole), "layer \(layer), value \(index)")
      }
    }
    // Written again it is the same file.
    let folder = try TemporaryFolder()
    let description = name == "bfloat16-1" ? "" : Self.identity.description
    try Snapshot.write(
      cache: cache, tokens: snapshot.tokens, logits: snapshot.logits,
      identity: SnapshotIdentity(bytes: Self.identity.bytes, description: description), to: folder.path + "/again")
    let again = try File(path: folder.path + "/again").readAll(limit: 10_000)
    #expect(try again == File(path: Self.folder + "good-" + name).readAll(limit: 10_000))
  }

  /// Positions of images and audio keep their keys.
  @Test func contentIsRead() throws {
    let (snapshot, cache) = try read("good-bfloat16-5-content", try fixture())
    let content: UInt64 = 1 << 63
    #expect(snapshot.keys.map(\.value) == [1, content + 7, content, .max, 15, content] && cache.length == 5)
    #expect(snapshot.keys.map(\.isContent) == [false, true, true, true, false, true])
    let folder = try TemporaryFolder()
    try Snapshot.write(
      cache: cache, keys: snapshot.keys, logits: nil, identity: Self.identity, to: folder.path + "/again")
    let again = try File(path: folder.path + "/again").readAll(limit: 10_000)
    #expect(try again == File(path: Self.folder + "good-bfloat16-5-content").readAll(limit: 10_000))
  }

  /// How rows were computed is told as the file has it; a file that does not tell, or not of all rows, leaves it open.
  @Test(arguments: [
    ("bfloat16-70-forms", [(64, 1), (65, 0), (70, 1)]), ("bfloat16-3-forms-unknown", [(1, UInt64.max), (3, 1)]),
    ("bfloat16-1", [(1, UInt64.max)]),
  ])
  func formsAreRead(_ name: String, _ runs: [(Int, UInt64)]) throws {
    let (_, cache) = try read("good-" + name, try fixture())
    #expect(cache.forms.runs.map(\.end) == runs.map(\.0) && cache.forms.runs.map(\.form.bits) == runs.map(\.1))
  }

  /// Each bad file, and what is said about it behind its path.
  static let bad: [String: (Status, String)] = [
    "empty": (.malformed, "a file of 0 bytes is no saved session, which has at least 104"),
    "short": (.malformed, "a file of 103 bytes is no saved session, which has at least 104"),
    "magic": (.malformed, "magic 'DORM\\u{1b}[1m'; expected 'DORMSNAP', which begins a saved session"),
    "version": (.unsupported, "version 2; expected 1"),
    "byte-order": (.unsupported, "byte order 0x4030201; expected 0x1020304"),
    "header-damaged": (.malformed, "checksum of the header does not fit: the file is damaged"),
    "key-type": (.unsupported, "key type 2; expected 0 (tokens) or 1 (keys)"),
    "forms-missing": (.malformed, "file size 198; expected 214 bytes for what its header says"),
    "forms-many": (.malformed, "file size 230; expected 1048758 bytes for what its header says"),
    "forms-descending": (.malformed, "run 1 of forms ends at 2; expected more than 2 and at most 3"),
    "forms-beyond-rows": (.malformed, "run 0 of forms ends at 4; expected more than 0 and at most 3"),
    "forms-of-no-rows": (.malformed, "run 0 of forms ends at 0; expected more than 0 and at most 0"),
    "forms-too-few": (.malformed, "forms of 2 rows; expected 3"),
    "row-type": (.unsupported, "row type int8; expected bfloat16"),
    "row-type-unknown": (.unsupported, "row type 3; expected bfloat16"),
    "layer-count": (.unsupported, "layer count 3; expected 2"),
    "layer-count-huge": (.unsupported, "layer count 18446744073709551615; expected 2"),
    "kv-lora-rank": (.unsupported, "kv_lora_rank 512; expected 3"),
    "qk-rope-head-dim": (.unsupported, "qk_rope_head_dim 0; expected 2"),
    "tokens-beyond-capacity": (.contextFull, "201 tokens; expected at most 200"),
    "tokens-huge": (.contextFull, "18446744073709551615 tokens; expected at most 200"),
    "rows-beyond-tokens": (.malformed, "2 rows; expected at most 1"),
    "rows-huge": (.malformed, "9223372036854775808 rows; expected at most 2"),
    "logits-of-another-vocabulary": (.unsupported, "logits 15; expected 0 or 16"),
    "logits-huge": (.unsupported, "logits 4611686018427387904; expected 0 or 16"),
    "identity-huge": (.malformed, "65537 bytes of identity; expected at most 65536"),
    "description-huge": (.malformed, "1099511627776 bytes of description; expected at most 65536"),
    "size-cut": (.malformed, "file size 197; expected 198 bytes for what its header says"),
    "size-long": (.malformed, "file size 199; expected 198 bytes for what its header says"),
    "size-of-fewer-rows": (.malformed, "file size 198; expected 178 bytes for what its header says"),
    "front-damaged": (.malformed, "checksum of identity, tokens, logits and forms does not fit: the file is damaged"),
    "identity": (
      .unsupported, "the model's identity: written with 'another model'; expected 'the model of the corpus'"
    ),
    "identity-shorter": (
      .unsupported, "the model's identity: written with '\\u{1b}[31mmodel\u{FFFD}'; expected 'the model of the corpus'"
    ),
    "identity-none": (.unsupported, "the model's identity: written with ''; expected 'the model of the corpus'"),
    "token-negative": (.malformed, "token 1 is -1; expected an id from 0 to 15"),
    "key-between": (.malformed, "token 1 is 4611686018427387904; expected an id from 0 to 15"),
    "token-outside": (.malformed, "token 1 is 16; expected an id from 0 to 15"),
    "logit-nan": (.malformed, "logit 15 is nan; expected a finite number"),
    "logit-infinite": (.malformed, "logit 0 is -inf; expected a finite number"),
    "rows-damaged": (.malformed, "checksum of page 0, section 1 does not fit: the file is damaged"),
  ]

  @Test(arguments: bad.keys.sorted())
  func badFilesAreRefused(_ name: String) throws {
    let (status, sentence) = try #require(Self.bad[name])
    let fixture = try fixture()
    let failure = #expect(throws: Failure.self) { try read("bad-" + name, fixture) }
    #expect(failure == Failure(status, "\(Self.folder)bad-\(name): \(sentence)"))
    #expect(fixture.isUnused)
  }

  /// Every file is in one of the lists above.
  @Test func noFileIsForgotten() throws {
    let names = Set(TemporaryFolder.names(in: Self.folder))
    #expect(names.filter { $0.hasPrefix("bad-") } == Set(Self.bad.keys.map { "bad-" + $0 }))
    #expect(names.filter { $0.hasPrefix("good-") }.count == 10 && names.count == 10 + Self.bad.count)
  }
}
