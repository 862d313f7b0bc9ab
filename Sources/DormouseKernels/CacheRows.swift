internal import CPlatform

/// How the rows of a latent cache are stored. A row has no padding: `rank` latent values, then `rope` values of the
/// rotated key.
public enum CacheRowType: Sendable, CaseIterable {
  /// Both parts in float32.
  case float32
  /// Both parts in bfloat16, rounded to nearest even.
  case bfloat16
  /// The latent in signed bytes and one float32 that they are multiplied by, the greatest magnitude / 127; the rotated
  /// key, whose channels differ more in size, in bfloat16. A latent with a value that is not finite reads as NaN, one
  /// whose values are all below 2^-110 as zero.
  case int8

  /// Bytes of a row.
  /// - Returns: nil for sizes that are negative or beyond 64 bits.
  public func byteCount(rank: Int, rope: Int) -> Int? {
    guard rank >= 0, rope >= 0, rank <= Int.max / 16, rope <= Int.max / 16 else { return nil }
    return switch self {
    case .float32: 4 * (rank + rope)
    case .bfloat16: 2 * (rank + rope)
    case .int8: rank + 4 + 2 * rope
    }
  }

  /// The number of the type in `rows.h`.
  var platform: Int32 {
    switch self {
    case .float32: Int32(PLATFORM_ROWS_FLOAT32)
    case .bfloat16: Int32(PLATFORM_ROWS_BFLOAT16)
    case .int8: Int32(PLATFORM_ROWS_INT8)
    }
  }
}

/// Rows of a latent cache, [any number, rank + rope], in memory that somebody else owns and keeps alive. Any alignment
/// but that of float32 for float32 rows.
public struct CacheRows: @unchecked Sendable {
  public let type: CacheRowType
  public let rank: Int
  public let rope: Int
  public let bytes: UnsafeRawPointer

  public init(type: CacheRowType, rank: Int, rope: Int, bytes: UnsafeRawPointer) {
    self.type = type
    self.rank = max(0, rank)
    self.rope = max(0, rope)
    self.bytes = bytes
  }

  public var width: Int { rank + rope }
}

extension Kernels {
  /// Stores `count` rows [count, rank + rope] as `type` has them, at `out`.
  public func storeRows(
    _ rows: UnsafePointer<Float>, count: Int, type: CacheRowType, rank: Int, rope: Int,
    into out: UnsafeMutableRawPointer
  ) {
    table.storeRows(rows, max(0, count), type.platform, rank, rope, out)
  }

  /// Rows `range` in float32: [range.count, rank + rope] with `stride` floats between rows.
  public func loadRows(
    _ rows: CacheRows, _ range: Range<Int>, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    table.loadRows(rows.bytes, rows.type.platform, rows.rank, rows.rope, range.lowerBound, range.count, out, stride)
  }
}
