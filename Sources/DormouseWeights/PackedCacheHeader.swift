internal import DormouseKernels
internal import DormouseSupport

/// What stands before the packed bytes in a cache file, and how it is told whether they fit.
///
/// Little-endian, in this order:
///   magic           [8] "DORMPACK"
///   version         UInt32, of this header
///   revision        UInt32, `PanelMatrix.layoutRevision`
///   byteCount       UInt64, of the packed bytes
///   dataOffset      UInt64, where they begin: the next multiple of 4096 behind the header
///   identityCount   UInt64, bytes of the identity
///   headerChecksum  UInt64, XXH64 of identity and checksums
///   identity        [identityCount] bytes: the model that was packed
///   checksums       [pieces] UInt64, XXH64 of each `TensorReader.pieceByteCount` bytes of data
///
/// Everything but the checksums is known before the file is opened: what the file says is compared and never used as a
/// size.
struct PackedCacheHeader {
  static let version: UInt32 = 1
  private static let magic = Array("DORMPACK".utf8)
  private static let fixedByteCount = 48
  private static let alignment = 4096

  let identity: [UInt8]
  let byteCount: Int
  let pieceCount: Int
  let dataOffset: Int

  /// - Parameter byteCount: of the packed bytes, which are in memory: sums with it are far from overflow.
  init(identity: [UInt8], byteCount: Int) {
    self.identity = identity
    self.byteCount = byteCount
    pieceCount = CheckedSize.ceilingQuotient(byteCount, TensorReader.pieceByteCount)
    let end = PackedCacheHeader.fixedByteCount + identity.count + pieceCount * 8
    dataOffset = CheckedSize.ceilingQuotient(end, PackedCacheHeader.alignment) * PackedCacheHeader.alignment
  }

  var fileByteCount: Int { dataOffset + byteCount }

  /// The header's bytes, `dataOffset` of them.
  func encoded(checksums: some Sequence<UInt64>) -> [UInt8] {
    var body = identity
    for checksum in checksums { append(checksum, to: &body) }
    var bytes = fixedPart()
    append(XXHash64.hash(body), to: &bytes)
    bytes += body
    bytes += [UInt8](repeating: 0, count: max(0, dataOffset - bytes.count))
    return bytes
  }

  /// The checksums of `file`.
  /// - Throws: `Failure(.unsupported)` for a file of another version, model or state of the model, `.malformed` for one
  ///   that is damaged, `.inputOutput`; the sentence does not name the file.
  func checksums(in file: File) throws(Failure) -> [UInt64] {
    guard file.size >= PackedCacheHeader.fixedByteCount else { throw damaged("it has only \(file.size) bytes") }
    let found = try file.read(at: 0, count: PackedCacheHeader.fixedByteCount)
    try compare(found)
    guard file.size == fileByteCount else { throw damaged("it has \(file.size) bytes, not \(fileByteCount)") }
    let body = try file.read(at: PackedCacheHeader.fixedByteCount, count: identity.count + pieceCount * 8)
    guard body.starts(with: identity) else { throw otherModel }
    guard XXHash64.hash(body) == PackedCacheHeader.word(found, at: 40) else { throw damaged("its header is damaged") }
    return (0..<pieceCount).map { PackedCacheHeader.word(body, at: identity.count + $0 * 8) }
  }

  /// The first 40 bytes.
  private func fixedPart() -> [UInt8] {
    var bytes = PackedCacheHeader.magic
    append(PackedCacheHeader.version, to: &bytes)
    append(PanelMatrix.layoutRevision, to: &bytes)
    for number in [byteCount, dataOffset, identity.count] { append(UInt64(number), to: &bytes) }
    return bytes
  }

  private func compare(_ found: [UInt8]) throws(Failure) {
    let expected = fixedPart()
    guard found.starts(with: expected[..<8]) else { throw damaged("it is no file of packed weights") }
    guard found[8..<16] == expected[8..<16] else {
      let numbers = PackedCacheHeader.word(found, at: 8)
      throw Failure(
        .unsupported,
        "it has version \(numbers & 0xFFFF_FFFF), layout \(numbers >> 32); this library has "
          + "\(PackedCacheHeader.version), \(PanelMatrix.layoutRevision)")
    }
    guard found[16..<40] == expected[16..<40] else { throw otherModel }
  }

  private var otherModel: Failure {
    Failure(.unsupported, "the model's files or its configuration have changed since it was written")
  }

  private func damaged(_ what: String) -> Failure { Failure(.malformed, what) }

  private func append(_ number: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// The number at `offset`; 0 outside of `bytes`.
  private static func word(_ bytes: [UInt8], at offset: Int) -> UInt64 {
    guard offset >= 0, offset <= bytes.count - 8 else { return 0 }
    return bytes[offset..<offset + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
