internal import DormouseKernels
internal import DormouseSupport

/// The first bytes of a saved session's file, and how long its parts are.
///
/// Little-endian, at these bytes:
///     0  magic                [8] "DORMSNAP"
///     8  version              UInt32, of all that is described here and of `PageLayout.positionsPerPage`: 1 where all
///                             sections' rows have one size, 2 where they differ
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
///   sections     version 2 only: [sectionCount][2] UInt32, rank and rope of each section
///   identity     [identityCount] bytes
///   description  [descriptionCount] bytes, UTF-8
///   tokens       [tokenCount] Int32, or UInt64: see keyType
///   logits       [logitCount] Float32
///   forms        [formRunCount][2] UInt64: the position behind a run of rows, which ascends to rowCount, and their
///                `RowForm.bits`
///   checksums    [pages][sectionCount] UInt64, XXH64 of each block of rows
///   rows         [pages] blocks [sectionCount][rows held of the page][bytes of a row], the machine's byte order
///
/// So a file has 104 + identityCount + descriptionCount + 4 (tokenCount + logitCount) + sectionCount * 8 pages + rowCount
/// bytes of a position's rows, where pages is rowCount / 64, rounded up; 4 tokenCount more with keys of type 1, 8
/// sectionCount more in version 2, and 16 formRunCount.
struct SnapshotHeader: Equatable {
  static let byteCount = 104
  static let byteOrderMark: UInt32 = 0x0102_0304

  /// Whether the rows of all sections have one size.
  enum Version: UInt32 {
    case uniform = 1
    case mixed = 2

    init(_ layout: PageLayout) { self = layout.uniformSection == nil ? .mixed : .uniform }
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
  /// Bytes of the table of sections, which is the front's first part.
  let sectionTableByteCount: Int
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
    sectionTableByteCount = Version(layout) == .mixed ? 8 * layout.sections.count : 0
    let what = "the saved session's size"
    frontByteCount = try CheckedSize.sum(
      sectionTableByteCount, identityCount, descriptionCount,
      CheckedSize.product(keyType.byteCount, tokenCount, of: what), CheckedSize.product(4, logitCount, of: what),
      CheckedSize.product(SnapshotHeader.formRunByteCount, formRunCount, of: what),
      CheckedSize.product(8, pageCount, layout.sections.count, of: what), of: what)
    fileByteCount = try CheckedSize.sum(
      SnapshotHeader.byteCount, frontByteCount, CheckedSize.product(rowCount, layout.positionByteCount, of: what),
      of: what)
  }

  /// Positions of `page` whose rows are held.
  func rowCount(page: Int) -> Int { min(PageLayout.positionsPerPage, rowCount - page * PageLayout.positionsPerPage) }

  /// Where the rows of `section` in `page` begin, which must be there.
  func offset(page: Int, section: Int) -> Int {
    let before =
      page * layout.byteCount + layout.sections[section].offset / PageLayout.positionsPerPage * rowCount(page: page)
    return SnapshotHeader.byteCount + frontByteCount + before
  }

  /// The table of sections; empty where they are alike.
  var sectionTable: [UInt8] {
    var bytes: [UInt8] = []
    guard sectionTableByteCount > 0 else { return bytes }
    for section in layout.sections {
      bytes.append(littleEndian: UInt32(truncatingIfNeeded: section.rank))
      bytes.append(littleEndian: UInt32(truncatingIfNeeded: section.rope))
    }
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
      layout.sections.count, layout.sections[0].rank, layout.sections[0].rope, tokenCount, rowCount, logitCount,
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
