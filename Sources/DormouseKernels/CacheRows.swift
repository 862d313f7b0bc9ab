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

/// Rows of one layer of a latent cache, [any number, rank + rope], in pages that somebody else owns and keeps alive. Any
/// alignment but that of float32 for float32 rows.
public struct CacheRows: @unchecked Sendable {
  public let type: CacheRowType
  public let rank: Int
  public let rope: Int
  /// Pages of `positionsPerPage` rows each, the last one maybe of fewer.
  public let pages: UnsafePointer<UnsafeRawPointer>
  /// Bytes from a page's address to its first row.
  public let offset: Int

  /// Rows of one layer that a page has room for.
  public static let positionsPerPage = Int(PLATFORM_POSITIONS_PER_PAGE)

  public init(type: CacheRowType, rank: Int, rope: Int, pages: UnsafePointer<UnsafeRawPointer>, offset: Int = 0) {
    self.type = type
    self.rank = max(0, rank)
    self.rope = max(0, rope)
    self.pages = pages
    self.offset = offset
  }

  public var width: Int { rank + rope }

  /// The rows' type and widths as the kernels see them.
  var format: platform_row_format { platform_row_format(type: type.platform, rank: rank, rope: rope) }

  /// Where the row of a position lies.
  func address(_ position: Int, size: Int) -> UnsafeRawPointer {
    pages[position / CacheRows.positionsPerPage] + (offset + position % CacheRows.positionsPerPage * size)
  }
}

extension Kernels {
  /// Stores `count` rows [count, rank + rope] as `type` has them, at `out`.
  public func storeRows(
    _ rows: UnsafePointer<Float>, count: Int, type: CacheRowType, rank: Int, rope: Int,
    into out: UnsafeMutableRawPointer
  ) {
    var format = platform_row_format(type: type.platform, rank: rank, rope: rope)
    table.store_rows(rows, max(0, count), &format, out)
  }

  /// Rows `range` in float32: [range.count, rank + rope] with `stride` floats between rows.
  public func loadRows(
    _ rows: CacheRows, _ range: Range<Int>, into out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    guard let size = rows.type.byteCount(rank: rows.rank, rope: rows.rope) else { return }
    var format = rows.format
    var position = range.lowerBound
    while position < range.upperBound {
      let left = CacheRows.positionsPerPage - position % CacheRows.positionsPerPage
      let count = min(left, range.upperBound - position)
      table.load_rows(
        rows.address(position, size: size), count, &format, out + (position - range.lowerBound) * stride, stride)
      position += count
    }
  }
}
