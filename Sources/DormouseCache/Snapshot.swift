internal import DormouseKernels
public import DormouseSupport

/// Whose rows a saved session holds: only a reader with an equal `bytes` may go on from them.
public struct SnapshotIdentity: Sendable, Equatable {
  /// All that rows and logits depend on: the model's files and how they are computed with, or a hash of these.
  public var bytes: [UInt8]
  /// The same for people: the sentence of a refusal shows it.
  public var description: String

  public init(bytes: [UInt8], description: String) {
    self.bytes = bytes
    self.description = description
  }
}

/// A session as a file holds it: what stands at its positions, the rows of the latent cache, and logits, so that whoever restores it goes on
/// bit for bit. `SnapshotHeader` describes the file.
///
/// Checksums find damage. They are no proof of where a file comes from: rows that somebody has forged give nonsense, and
/// never more than that.
public struct Snapshot: Sendable, Equatable {
  /// What stands at each position; the first `LatentCache.length` of them have rows.
  public var keys: [PositionKey]
  /// [vocabulary], after the last token that has a row.
  public var logits: [Float]?

  public init(keys: [PositionKey], logits: [Float]?) {
    self.keys = keys
    self.logits = logits
  }

  /// Writes the rows that `cache` holds, and what belongs to them, to a file that takes the place of the one at `path`,
  /// whole or not at all.
  ///
  /// - Parameters:
  ///   - keys: of all its rows, and perhaps of positions that have none yet.
  ///   - logits: [vocabulary], finite, after the last row, if they are to be kept.
  ///   - identity: at most 65,536 bytes, and as many of its description are kept.
  /// - Throws: `Failure(.invalidArgument)` for fewer keys than rows, more than the cache's capacity, one that is
  ///   neither of a token nor of content, empty or non-finite logits or a long identity, `.busy` when somebody else writes the file, `.inputOutput` or
  ///   `.notFound` when it can't be written: the old file is what it was then.
  public static func write(
    cache: LatentCache, keys: [PositionKey], logits: [Float]?, identity: SnapshotIdentity, to path: String
  ) throws(Failure) {
    let description = Array(identity.description.utf8.prefix(SnapshotHeader.textLimit))
    try check(cache, keys, logits, identity, path)
    let tokens = keys.compactMap(\.token)
    let keyType = tokens.count == keys.count ? SnapshotHeader.KeyType.tokens : .keys
    let forms = runs(of: cache.forms)
    let header = try SnapshotHeader(
      layout: cache.layout, keyType: keyType, tokenCount: keys.count, rowCount: cache.length,
      logitCount: logits?.count ?? 0, formRunCount: forms.count, identityCount: identity.bytes.count,
      descriptionCount: description.count)
    let file = try ReplacementFile(path: path, byteCount: header.fileByteCount, isPrivate: true)
    var front = header.sectionTable + identity.bytes + description
    front.reserveCapacity(header.frontByteCount)
    switch keyType {
    case .tokens: for token in tokens { front.append(littleEndian: token) }
    case .keys: for key in keys { front.append(littleEndian: key.value) }
    }
    for logit in logits ?? [] { front.append(littleEndian: logit.bitPattern) }
    for run in forms {
      front.append(littleEndian: UInt64(run.end))
      front.append(littleEndian: run.form.bits)
    }
    var offset = header.rowOffset
    for memory in cache.blocks {
      let block = UnsafeRawBufferPointer(memory)
      front.append(littleEndian: XXHash64.hash(block))
      try file.write(block, at: offset)
      offset += block.count
    }
    try write(header.encoded(frontChecksum: XXHash64.hash(front)), at: 0, of: file)
    try write(front, at: SnapshotHeader.byteCount, of: file)
    try file.commit()
  }

  /// What the file tells of how rows were computed: all of it, or nothing.
  private static func runs(of forms: RowForms) -> ContiguousArray<RowForms.Run> {
    forms.hasUnknown || forms.runs.count > SnapshotHeader.formRunLimit ? [] : forms.runs
  }

  private static func check(
    _ cache: LatentCache, _ keys: [PositionKey], _ logits: [Float]?, _ identity: SnapshotIdentity, _ path: String
  ) throws(Failure) {
    guard keys.count >= cache.length, keys.count <= cache.capacity else {
      throw unwritable(path, "\(keys.count) tokens; expected \(cache.length) (its rows) to \(cache.capacity)")
    }
    if let index = keys.firstIndex(where: { $0.token == nil && !$0.isContent }) {
      throw unwritable(path, "token \(index) is \(keys[index].value); expected an id of the vocabulary")
    }
    if let logits {
      guard !logits.isEmpty else { throw unwritable(path, "0 logits; expected one for each id of the vocabulary") }
      if let index = logits.firstIndex(where: { !$0.isFinite }) {
        throw unwritable(path, "logit \(index) is \(logits[index]); expected a finite number")
      }
    }
    guard identity.bytes.count <= SnapshotHeader.textLimit else {
      throw unwritable(
        path, "an identity of \(identity.bytes.count) bytes; expected at most \(SnapshotHeader.textLimit)")
    }
  }

  private static func unwritable(_ path: String, _ what: String) -> Failure {
    Failure(.invalidArgument, "\(path): a session with \(what) cannot be saved")
  }

  private static func write(_ bytes: [UInt8], at offset: Int, of file: ReplacementFile) throws(Failure) {
    let outcome: Result<Void, Failure> = bytes.withUnsafeBytes { bytes in
      do throws(Failure) { return .success(try file.write(bytes, at: offset)) } catch { return .failure(error) }
    }
    try outcome.get()
  }
}
