internal import DormouseKernels
public import DormouseSupport

extension Snapshot {
  /// Reads what `write` wrote, with the rows in a new cache: no other cache is touched.
  ///
  /// What the file says is compared with what is expected, its size included, before anything of a size that it chose
  /// is allocated. Pages are back in the pool when reading fails.
  ///
  /// - Parameters:
  ///   - pool: of the rows' layout; gives the pages.
  ///   - capacity: tokens that the new cache has room for.
  ///   - identity: what the file must have been written with; only its bytes are compared.
  ///   - vocabularySize: ids are below it, and logits as many.
  /// - Throws: `Failure(.notFound)` or `.inputOutput` when there is no file to read, `.unsupported` for one of another
  ///   version, machine or model, `.contextFull` for more tokens than `capacity`, `.malformed` for one that is damaged
  ///   or was never a saved session, `.outOfMemory` when there are no pages. The sentence names the file, what is
  ///   wrong, and what was expected.
  public static func read(
    path: String, pool: PagePool, capacity: Int, identity: SnapshotIdentity, vocabularySize: Int
  ) throws(Failure) -> (snapshot: Snapshot, cache: LatentCache) {
    guard capacity > 0, vocabularySize > 0 else {
      throw Failure(
        .invalidArgument,
        "\(path): restoring with a capacity of \(capacity) tokens and a vocabulary of \(vocabularySize);"
          + " expected positive numbers")
    }
    let reader = SnapshotReader(
      file: try File(path: path), layout: pool.layout, capacity: capacity, identity: identity,
      vocabularySize: vocabularySize)
    let (header, frontChecksum) = try reader.header()
    let front = try reader.front(header, frontChecksum)
    let cache = try LatentCache(pool: pool, capacity: capacity)
    try cache.reserve(header.rowCount)
    for run in front.forms.runs { try cache.advance(by: run.end - cache.length, form: run.form) }
    try reader.fill(cache, header, checksums: front.checksums)
    return (front.snapshot, cache)
  }
}

/// Reads one file, part by part; every part is checked before it is believed.
private struct SnapshotReader {
  let file: File
  let layout: PageLayout
  let capacity: Int
  let identity: SnapshotIdentity
  let vocabularySize: Int

  // MARK: - Header

  /// The header of a file that fits, and the checksum of what follows.
  func header() throws(Failure) -> (SnapshotHeader, frontChecksum: UInt64) {
    let size = SnapshotHeader.byteCount
    guard file.size >= size else {
      throw malformed("a file of \(file.size) bytes is no saved session, which has at least \(size)")
    }
    let bytes = try file.read(at: 0, count: size)
    try checkFormat(bytes)
    try checkModel(bytes)
    let tokens = try count("tokens", bytes.number(at: 48), atMost: capacity, .contextFull)
    let rows = try count("rows", bytes.number(at: 56), atMost: tokens, .malformed)
    let logits: UInt64 = bytes.number(at: 64)
    guard logits == 0 || logits == UInt64(vocabularySize) else {
      throw unsupported("logits", logits, expected: "0 or \(vocabularySize)")
    }
    let limit = SnapshotHeader.textLimit
    let header = try SnapshotHeader(
      layout: layout, keyType: try keyType(bytes), tokenCount: tokens, rowCount: rows,
      logitCount: logits == 0 ? 0 : vocabularySize, formRunCount: Int(bytes.number(at: 22, as: UInt16.self)),
      identityCount: count("bytes of identity", bytes.number(at: 72), atMost: limit, .malformed),
      descriptionCount: count("bytes of description", bytes.number(at: 80), atMost: limit, .malformed))
    guard file.size == header.fileByteCount else {
      throw malformed("file size \(file.size); expected \(header.fileByteCount) bytes for what its header says")
    }
    return (header, bytes.number(at: 88))
  }

  /// Whether it is a file of this kind, whole, and of this library's and machine's way to write it.
  private func checkFormat(_ bytes: [UInt8]) throws(Failure) {
    let (magic, wanted) = (bytes.prefix(8), SnapshotHeader.magic)
    guard magic.elementsEqual(wanted) else {
      throw malformed("magic \(name(magic)); expected \(name(wanted[...])), which begins a saved session")
    }
    let version: UInt32 = bytes.number(at: 8)
    let expectedVersion = SnapshotHeader.Version(layout).rawValue
    guard version == expectedVersion else { throw unsupported("version", version, expected: "\(expectedVersion)") }
    let mark: UInt32 = bytes.number(at: 12)
    guard mark == SnapshotHeader.byteOrderMark.littleEndian else {
      let expected = SnapshotHeader.byteOrderMark.littleEndian
      throw unsupported(
        "byte order", "0x" + String(mark, radix: 16), expected: "0x" + String(expected, radix: 16))
    }
    guard bytes.number(at: 96) == XXHash64.hash(Array(bytes.prefix(96))) else {
      throw malformed("checksum of the header does not fit: the file is damaged")
    }
    _ = try keyType(bytes)
  }

  private func keyType(_ bytes: [UInt8]) throws(Failure) -> SnapshotHeader.KeyType {
    let number: UInt16 = bytes.number(at: 20)
    guard let type = SnapshotHeader.KeyType(rawValue: number) else {
      throw unsupported("key type", number, expected: "0 (tokens) or 1 (keys)")
    }
    return type
  }

  /// Whether rows are what `layout` says.
  private func checkModel(_ bytes: [UInt8]) throws(Failure) {
    let type: UInt32 = bytes.number(at: 16)
    guard type == SnapshotHeader.number(of: layout.rowType) else {
      let known = CacheRowType.allCases.first { SnapshotHeader.number(of: $0) == type }
      throw unsupported("row type", known.map { "\($0)" } ?? "\(type)", expected: "\(layout.rowType)")
    }
    for (field, offset, expected) in [
      ("layer count", 24, layout.sections.count), ("kv_lora_rank", 32, layout.sections[0].rows.rank),
      ("qk_rope_head_dim", 40, layout.sections[0].rows.rope),
    ] {
      let found: UInt64 = bytes.number(at: offset)
      guard found == UInt64(expected) else { throw unsupported(field, found, expected: "\(expected)") }
    }
  }

  private func count(
    _ what: String, _ found: UInt64, atMost limit: Int, _ status: Status
  ) throws(Failure) -> Int {
    guard let count = Int(exactly: found), count <= limit else {
      throw Failure(status, "\(file.path): \(found) \(what); expected at most \(limit)")
    }
    return count
  }

  // MARK: - Front

  /// What stands between header and rows, once it is known that the file's size fits.
  func front(
    _ header: SnapshotHeader, _ checksum: UInt64
  ) throws(Failure) -> (snapshot: Snapshot, forms: RowForms, checksums: [UInt64]) {
    let bytes = try file.read(at: SnapshotHeader.byteCount, count: header.frontByteCount)
    guard XXHash64.hash(bytes) == checksum else {
      throw malformed("checksum of identity, tokens, logits and forms does not fit: the file is damaged")
    }
    let identityStart = header.sectionTable.count
    guard bytes.prefix(identityStart).elementsEqual(header.sectionTable) else {
      throw Failure(.unsupported, "\(file.path): rows of other sizes than the model's layers have")
    }
    let identityEnd = identityStart + header.identityCount
    let descriptionEnd = identityEnd + header.descriptionCount
    guard bytes[identityStart..<identityEnd].elementsEqual(identity.bytes) else {
      let writer = name(bytes[identityEnd..<descriptionEnd])
      throw unsupported("the model's identity: written with", writer, expected: Excerpt.name(identity.description))
    }
    let logitsStart = descriptionEnd + header.keyType.byteCount * header.tokenCount
    let formsStart = logitsStart + 4 * header.logitCount
    let checksumsStart = formsStart + SnapshotHeader.formRunByteCount * header.formRunCount
    let keys = try keys(bytes, from: descriptionEnd, header)
    let logits = try logits(bytes, from: logitsStart, count: header.logitCount)
    let forms = try forms(bytes, from: formsStart, header)
    let checksums = (0..<header.pageCount * layout.sections.count + header.stateCount).map {
      bytes.number(at: checksumsStart + 8 * $0, as: UInt64.self)
    }
    return (Snapshot(keys: keys, logits: logits.isEmpty ? nil : logits), forms, checksums)
  }

  private func keys(_ bytes: [UInt8], from start: Int, _ header: SnapshotHeader) throws(Failure) -> [PositionKey] {
    let size = header.keyType.byteCount
    let values: [UInt64] = (0..<header.tokenCount).map {
      switch header.keyType {
      case .tokens: UInt64(truncatingIfNeeded: bytes.number(at: start + size * $0, as: Int32.self))
      case .keys: bytes.number(at: start + size * $0)
      }
    }
    let isKnown: (UInt64) -> Bool = { value in
      value < UInt64(vocabularySize) || (header.keyType == .keys && PositionKey(value: value).isContent)
    }
    if let index = values.firstIndex(where: { !isKnown($0) }) {
      throw malformed(
        "token \(index) is \(Int64(bitPattern: values[index])); expected an id from 0 to \(vocabularySize - 1)")
    }
    return values.map { PositionKey(value: $0) }
  }

  private func logits(_ bytes: [UInt8], from start: Int, count: Int) throws(Failure) -> [Float] {
    let logits = (0..<count).map { Float(bitPattern: bytes.number(at: start + 4 * $0)) }
    if let index = logits.firstIndex(where: { !$0.isFinite }) {
      throw malformed("logit \(index) is \(logits[index]); expected a finite number")
    }
    return logits
  }

  /// How the rows were computed: unknown where the file does not say.
  private func forms(_ bytes: [UInt8], from start: Int, _ header: SnapshotHeader) throws(Failure) -> RowForms {
    var forms = RowForms()
    for index in 0..<header.formRunCount {
      let place = start + SnapshotHeader.formRunByteCount * index
      let end: UInt64 = bytes.number(at: place)
      guard end > UInt64(forms.count), end <= UInt64(header.rowCount) else {
        throw malformed(
          "run \(index) of forms ends at \(end); expected more than \(forms.count) and at most \(header.rowCount)")
      }
      forms.append(RowForm(bits: bytes.number(at: place + 8)), count: Int(end) - forms.count)
    }
    guard header.formRunCount == 0 || forms.count == header.rowCount else {
      throw malformed("forms of \(forms.count) rows; expected \(header.rowCount)")
    }
    forms.append(.unknown, count: header.rowCount - forms.count)
    return forms
  }

  // MARK: - Rows

  /// Reads rows and states into the pages of a cache that nobody else knows yet.
  func fill(_ cache: LatentCache, _ header: SnapshotHeader, checksums: [UInt64]) throws(Failure) {
    var offset = header.rowOffset
    for (index, (block, checksum)) in zip(cache.blocks, checksums).enumerated() {
      try file.read(into: block, at: offset)
      guard XXHash64.hash(UnsafeRawBufferPointer(block)) == checksum else {
        let (page, section) = index.quotientAndRemainder(dividingBy: layout.sections.count)
        let what = page < header.pageCount ? "page \(page), section \(section)" : "a state behind the rows"
        throw malformed("checksum of \(what) does not fit: the file is damaged")
      }
      offset += block.count
    }
    cache.loadState()
  }

  // MARK: - Sentences

  private func malformed(_ what: String) -> Failure { Failure(.malformed, "\(file.path): \(what)") }

  private func unsupported(_ field: String, _ found: some CustomStringConvertible, expected: String) -> Failure {
    Failure(.unsupported, "\(file.path): \(field) \(found); expected \(expected)")
  }

  private func name(_ bytes: ArraySlice<UInt8>) -> String { Excerpt.name(String(decoding: bytes, as: UTF8.self)) }
}
