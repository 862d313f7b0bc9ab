internal import DormouseKernels
internal import DormouseSupport

/// The first bytes of a saved session's file, and how long its parts are.
///
/// Little-endian, at these bytes:
///     0  magic                [8] "DORMSNAP"
///     8  version              UInt32, of all that is described here and of `PageLayout.tokenCount`
///    12  byteOrder            UInt32, `byteOrderMark` as the machine has it that wrote the rows
///    16  rowType              UInt32: 0 float32, 1 bfloat16, 2 int8
///    20  keyType              UInt32: 0 for ids of tokens, Int32; 1 for `PositionKey.value`, UInt64, where the timeline
///                             has pictures or sound
///    24  layerCount           UInt64
///    32  kvLoraRank           UInt64
///    40  qkRopeHeadDimension  UInt64
///    48  tokenCount           UInt64
///    56  rowCount             UInt64, positions whose rows are held: tokenCount at most
///    64  logitCount           UInt64, the vocabulary's size or 0
///    72  identityCount        UInt64, bytes
///    80  descriptionCount     UInt64, bytes
///    88  frontChecksum        UInt64, XXH64 of the front
///    96  headerChecksum       UInt64, XXH64 of the 96 bytes before
/// The front follows, and then the rows, both without padding:
///   identity     [identityCount] bytes
///   description  [descriptionCount] bytes, UTF-8
///   tokens       [tokenCount] Int32, or UInt64: see keyType
///   logits       [logitCount] Float32
///   checksums    [pages][layerCount] UInt64, XXH64 of each block of rows
///   rows         [pages] blocks [layerCount][rows held of the page][bytes of a row], the machine's byte order
///
/// So a file has 104 + identityCount + descriptionCount + 4 (tokenCount + logitCount) + layerCount (8 pages + rowCount
/// bytes of a row) bytes, where pages is rowCount / 64, rounded up; and 4 tokenCount more with keys of type 1.
struct SnapshotHeader: Equatable {
  static let byteCount = 104
  static let version: UInt32 = 1
  static let byteOrderMark: UInt32 = 0x0102_0304

  /// How the positions of the timeline are told.
  enum KeyType: UInt32 {
    case tokens = 0
    case keys = 1

    var byteCount: Int { self == .tokens ? 4 : 8 }
  }

  static let magic = Array("DORMSNAP".utf8)
  /// Most bytes of an identity, and of a description.
  static let textLimit = 1 << 16

  let layout: PageLayout
  let keyType: KeyType
  let tokenCount: Int
  let rowCount: Int
  let logitCount: Int
  let identityCount: Int
  let descriptionCount: Int
  let pageCount: Int
  /// Bytes between this header and the rows.
  let frontByteCount: Int
  let fileByteCount: Int

  /// - Throws: `Failure(.malformed)` for a count that is negative, or a file beyond 64 bits.
  init(
    layout: PageLayout, keyType: KeyType, tokenCount: Int, rowCount: Int, logitCount: Int, identityCount: Int,
    descriptionCount: Int
  ) throws(Failure) {
    self.layout = layout
    self.keyType = keyType
    self.tokenCount = tokenCount
    self.rowCount = rowCount
    self.logitCount = logitCount
    self.identityCount = identityCount
    self.descriptionCount = descriptionCount
    pageCount = PageLayout.pageCount(rowCount)
    let what = "the saved session's size"
    frontByteCount = try CheckedSize.sum(
      identityCount, descriptionCount, CheckedSize.product(keyType.byteCount, tokenCount, of: what),
      CheckedSize.product(4, logitCount, of: what), CheckedSize.product(8, pageCount, layout.layerCount, of: what),
      of: what)
    fileByteCount = try CheckedSize.sum(
      SnapshotHeader.byteCount, frontByteCount,
      CheckedSize.product(rowCount, layout.layerCount, layout.rowByteCount, of: what), of: what)
  }

  /// Positions of `page` whose rows are held.
  func rowCount(page: Int) -> Int { min(PageLayout.tokenCount, rowCount - page * PageLayout.tokenCount) }

  /// Where the rows of `layer` in `page` begin, which must be there.
  func offset(page: Int, layer: Int) -> Int {
    let before = page * PageLayout.tokenCount * layout.layerCount + layer * rowCount(page: page)
    return SnapshotHeader.byteCount + frontByteCount + before * layout.rowByteCount
  }

  /// The header's bytes.
  func encoded(frontChecksum: UInt64) -> [UInt8] {
    var bytes = SnapshotHeader.magic
    bytes.append(littleEndian: SnapshotHeader.version)
    withUnsafeBytes(of: SnapshotHeader.byteOrderMark) { bytes.append(contentsOf: $0) }
    bytes.append(littleEndian: SnapshotHeader.number(of: layout.rowType))
    bytes.append(littleEndian: keyType.rawValue)
    for number in [
      layout.layerCount, layout.kvLoraRank, layout.qkRopeHeadDimension, tokenCount, rowCount, logitCount,
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
