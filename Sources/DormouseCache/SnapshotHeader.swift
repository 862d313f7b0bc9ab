internal import DormouseKernels
internal import DormouseSupport

/// The first bytes of a saved session's file, and how long its parts are.
///
/// Little-endian, at these bytes:
///     0  magic                [8] "DORMSNAP"
///     8  version              UInt32, of all that is described here and of `PageLayout.positionsPerPage`: 1 where all
///                             sections' rows have one size, 2 where they differ, 3 where rows are of several
///                             positions or layers have state
///    12  byteOrder            UInt32, `byteOrderMark` as the machine has it that wrote the rows
///    16  rowType              UInt32: 0 float32, 1 bfloat16, 2 int8
///    20  keyType              UInt16: 0 for ids of tokens, Int32; 1 for `PositionKey.value`, UInt64, where the timeline
///                             has images or audio
///    22  formRunCount         UInt16; 0 where nothing is told of how the rows were computed
///    24  sectionCount         UInt64, in version 1 one a layer
///    32  rank                 UInt64, of the first section (version 1: kv_lora_rank of all)
///    40  rope                 UInt64, likewise (qk_rope_head_dim)
///    48  tokenCount           UInt64
///    56  rowCount             UInt64, positions whose rows are held: tokenCount at most
///    64  logitCount           UInt64, the vocabulary's size or 0
///    72  identityCount        UInt64, bytes
///    80  descriptionCount     UInt64, bytes
///    88  frontChecksum        UInt64, XXH64 of the front
///    96  headerChecksum       UInt64, XXH64 of the 96 bytes before
/// The front follows, and then the rows, both without padding:
///   sections     version 2: [sectionCount][2] UInt32, rank and rope of each section
///                version 3: [sectionCount][3] UInt32, rank, rope and positions of a row; then the number of states and
///                the pages from one that keeps them to the next, UInt32, and [states] UInt64, their bytes
///   identity     [identityCount] bytes
///   description  [descriptionCount] bytes, UTF-8
///   tokens       [tokenCount] Int32, or UInt64: see keyType
///   logits       [logitCount] Float32
///   forms        [formRunCount][2] UInt64: the position behind a run of rows, which ascends to rowCount, and their
///                `RowForm.bits`
///   checksums    [pages][sectionCount] UInt64, XXH64 of each block of rows, then one of each block of state
///   rows         [pages] blocks [sectionCount][rows held of the page][bytes of a row], the machine's byte order
///   states       version 3: all layers' state at the end of each page that keeps it, and behind the last row where that
///                is no such end
///
/// So a file has 104 + identityCount + descriptionCount + 4 (tokenCount + logitCount) + sectionCount * 8 pages + rowCount
/// bytes of a position's rows, where pages is rowCount / 64, rounded up; 4 tokenCount more with keys of type 1, 8
/// sectionCount more in version 2, and 16 formRunCount. Version 3 has, besides its table of sections, the bytes of its
/// states and 8 for each of them.
struct SnapshotHeader: Equatable {
  static let byteCount = 104
  static let byteOrderMark: UInt32 = 0x0102_0304

  /// How much there is to tell of what a page holds.
  enum Version: UInt32 {
    case uniform = 1
    case mixed = 2
    case sparse = 3

    init(_ layout: PageLayout) {
      let isSparse = layout.hasState || layout.sections.contains { $0.rows.positionsPerRow != 1 }
      self = isSparse ? .sparse : layout.uniformRows == nil ? .mixed : .uniform
    }
  }

  /// How the positions of the timeline are told.
  enum KeyType: UInt16 {
    case tokens = 0
    case keys = 1

    var byteCount: Int { self == .tokens ? 4 : 8 }
  }

  static let magic = Array("DORMSNAP".utf8)
  /// Most bytes of an identity, and of a description.
  static let textLimit = 1 << 16
  /// Bytes of one run of forms; a timeline with more than `formRunLimit` of them does not tell.
  static let formRunByteCount = 16
  static let formRunLimit = Int(UInt16.max)

  let layout: PageLayout
  let keyType: KeyType
  let tokenCount: Int
  let rowCount: Int
  let logitCount: Int
  let formRunCount: Int
  let identityCount: Int
  let descriptionCount: Int
  let pageCount: Int
  /// States behind the rows.
  let stateCount: Int
  /// What the pages hold, which is the front's first part; empty where one row tells it.
  let sectionTable: [UInt8]
  /// Bytes between this header and the rows.
  let frontByteCount: Int
  let fileByteCount: Int

  /// - Throws: `Failure(.malformed)` for a count that is negative, or a file beyond 64 bits.
  init(
    layout: PageLayout, keyType: KeyType, tokenCount: Int, rowCount: Int, logitCount: Int, formRunCount: Int,
    identityCount: Int, descriptionCount: Int
  ) throws(Failure) {
    self.layout = layout
    self.keyType = keyType
    self.tokenCount = tokenCount
    self.rowCount = rowCount
    self.logitCount = logitCount
    self.formRunCount = formRunCount
    self.identityCount = identityCount
    self.descriptionCount = descriptionCount
    pageCount = PageLayout.pageCount(rowCount)
    stateCount = layout.hasState ? CheckedSize.ceilingQuotient(rowCount, layout.positionsPerState) : 0
    sectionTable = SnapshotHeader.sectionTable(layout)
    let what = "the saved session's size"
    frontByteCount = try CheckedSize.sum(
      sectionTable.count, identityCount, descriptionCount,
      CheckedSize.product(keyType.byteCount, tokenCount, of: what), CheckedSize.product(4, logitCount, of: what),
      CheckedSize.product(SnapshotHeader.formRunByteCount, formRunCount, of: what),
      CheckedSize.product(8, pageCount, layout.sections.count, of: what), CheckedSize.product(8, stateCount, of: what),
      of: what)
    // No more than the pages and states in memory have.
    _ = try CheckedSize.sum(
      CheckedSize.product(pageCount, layout.byteCount, of: what),
      CheckedSize.product(stateCount, layout.stateByteCount, of: what), of: what)
    let rows = layout.sections.reduce(0) { $0 + $1.byteCount(length: rowCount) }
    fileByteCount = try CheckedSize.sum(
      SnapshotHeader.byteCount, frontByteCount, rows, stateCount * layout.stateByteCount, of: what)
  }

  /// Where the first of the blocks of rows begins; each follows the one before, and states follow them.
  var rowOffset: Int { SnapshotHeader.byteCount + frontByteCount }

  private static func sectionTable(_ layout: PageLayout) -> [UInt8] {
    var bytes: [UInt8] = []
    let version = Version(layout)
    guard version != .uniform else { return bytes }
    func append(_ number: Int) { bytes.append(littleEndian: UInt32(truncatingIfNeeded: number)) }
    for section in layout.sections {
      append(section.rows.rank)
      append(section.rows.rope)
      if version == .sparse { append(section.rows.positionsPerRow) }
    }
    guard version == .sparse else { return bytes }
    append(layout.state.byteCounts.count)
    append(layout.state.pageStride)
    for byteCount in layout.state.byteCounts { bytes.append(littleEndian: UInt64(byteCount)) }
    return bytes
  }

  /// The header's bytes.
  func encoded(frontChecksum: UInt64) -> [UInt8] {
    var bytes = SnapshotHeader.magic
    bytes.append(littleEndian: Version(layout).rawValue)
    withUnsafeBytes(of: SnapshotHeader.byteOrderMark) { bytes.append(contentsOf: $0) }
    bytes.append(littleEndian: SnapshotHeader.number(of: layout.rowType))
    bytes.append(littleEndian: keyType.rawValue)
    bytes.append(littleEndian: UInt16(truncatingIfNeeded: formRunCount))
    for number in [
      layout.sections.count, layout.sections[0].rows.rank, layout.sections[0].rows.rope, tokenCount, rowCount,
      logitCount,
      identityCount, descriptionCount,
    ] { bytes.append(littleEndian: UInt64(number)) }
    bytes.append(littleEndian: frontChecksum)
    bytes.append(littleEndian: XXHash64.hash(bytes))
    return bytes
  }

  /// The number of a row type in files, which never changes.
  static func number(of type: CacheRowType) -> UInt32 {
    switch type {
    case .float32: 0
    case .bfloat16: 1
    case .int8: 2
    }
  }
}

extension [UInt8] {
  mutating func append(littleEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }

  /// The number at `offset`; 0 outside of the bytes.
  func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type = Number.self) -> Number {
    let size = MemoryLayout<Number>.size
    guard offset >= 0, offset <= count - size else { return 0 }
    return withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: Number.self)) }
  }
}
