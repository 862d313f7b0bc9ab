/// The cryptographic hash BLAKE2b (RFC 7693), without a key.
public struct BLAKE2b {
  private var state: [UInt64]
  private var block = [UInt8](repeating: 0, count: BLAKE2b.blockByteCount)
  /// Bytes of `block` that are filled, and bytes hashed before them.
  private var filled = 0
  private var hashed: UInt64 = 0
  private let digestByteCount: Int

  private static let blockByteCount = 128
  /// The square roots' fractions of the first eight primes.
  private static let initial: [UInt64] = [
    0x6A09_E667_F3BC_C908, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B, 0xA54F_F53A_5F1D_36F1,
    0x510E_527F_ADE6_82D1, 0x9B05_688C_2B3E_6C1F, 0x1F83_D9AB_FB41_BD6B, 0x5BE0_CD19_137E_2179,
  ]
  /// Which word of the block each half of a mixing step takes; the last two of twelve rounds repeat the first.
  private static let schedule: [[Int]] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4], [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
    [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13], [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
    [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11], [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
    [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5], [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
  ]

  /// - Parameter digestByteCount: 1 to 64.
  public init(digestByteCount: Int = 32) {
    self.digestByteCount = min(max(digestByteCount, 1), 64)
    state = BLAKE2b.initial
    state[0] ^= 0x0101_0000 ^ UInt64(self.digestByteCount)
  }

  /// Adds bytes at the end.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes[...]
    while !rest.isEmpty {
      // The last block waits for `finish`, even a full one.
      if filled == BLAKE2b.blockByteCount { compress(isLast: false) }
      let part = rest.prefix(BLAKE2b.blockByteCount - filled)
      block.withUnsafeMutableBytes { block in
        UnsafeMutableRawBufferPointer(rebasing: block[filled...]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: part))
      }
      filled += part.count
      rest = rest.dropFirst(part.count)
    }
  }

  /// The same of many bytes, with a look at whether anybody waits between each megabyte.
  public mutating func update(_ bytes: UnsafeRawBufferPointer, _ interruption: Interruption) throws(Failure) {
    for start in stride(from: 0, to: bytes.count, by: BLAKE2b.pieceByteCount) {
      try interruption.check()
      update(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + BLAKE2b.pieceByteCount, bytes.count)]))
    }
  }

  /// Bytes that are hashed, or read to be hashed, at a time.
  public static let pieceByteCount = 1 << 20

  public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

  /// The digest; the hash takes no more bytes.
  public mutating func finish() -> [UInt8] {
    for index in filled..<BLAKE2b.blockByteCount { block[index] = 0 }
    compress(isLast: true)
    var digest: [UInt8] = []
    for word in state { withUnsafeBytes(of: word.littleEndian) { digest.append(contentsOf: $0) } }
    return Array(digest.prefix(digestByteCount))
  }

  public static func hash(_ bytes: [UInt8], digestByteCount: Int = 32) -> [UInt8] {
    var hash = BLAKE2b(digestByteCount: digestByteCount)
    hash.update(bytes)
    return hash.finish()
  }

  private mutating func compress(isLast: Bool) {
    hashed &+= UInt64(filled)
    filled = 0
    var v = state + BLAKE2b.initial
    v[12] ^= hashed
    if isLast { v[14] = ~v[14] }
    v.withUnsafeMutableBufferPointer { v in
      block.withUnsafeBytes { block in
        for round in 0..<12 {
          let s = BLAKE2b.schedule[round % 10]
          func word(_ index: Int) -> UInt64 {
            UInt64(littleEndian: block.loadUnaligned(fromByteOffset: s[index] * 8, as: UInt64.self))
          }
          for i in 0..<4 { BLAKE2b.mix(v, i, 4 + i, 8 + i, 12 + i, word(2 * i), word(2 * i + 1)) }
          for i in 0..<4 {
            BLAKE2b.mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, word(8 + 2 * i), word(9 + 2 * i))
          }
        }
      }
    }
    for index in 0..<8 { state[index] ^= v[index] ^ v[index + 8] }
  }

  @inline(__always) private static func mix(
    _ v: UnsafeMutableBufferPointer<UInt64>, _ a: Int, _ b: Int, _ c: Int, _ d: Int, _ x: UInt64, _ y: UInt64
  ) {
    func turned(_ value: UInt64, _ count: UInt64) -> UInt64 { value >> count | value << (64 - count) }
    v[a] = v[a] &+ v[b] &+ x
    v[d] = turned(v[d] ^ v[a], 32)
    v[c] = v[c] &+ v[d]
    v[b] = turned(v[b] ^ v[c], 24)
    v[a] = v[a] &+ v[b] &+ y
    v[d] = turned(v[d] ^ v[a], 16)
    v[c] = v[c] &+ v[d]
    v[b] = turned(v[b] ^ v[c], 63)
  }
}
