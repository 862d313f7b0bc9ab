internal import CPlatform

/// How the rows of a latent cache are stored. A row has no padding: `rank` latent values, then `rope` values of the
/// rotated key. The raw values are what the header and the command line call them.
public enum CacheRowType: String, Sendable, CaseIterable {
  /// Both parts in float32.
  case float32 = "f32"
  /// Both parts in bfloat16, rounded to nearest even.
  case bfloat16 = "bf16"
  /// The latent in signed bytes and one float32 that they are multiplied by, the greatest magnitude / 127; the rotated
  /// key, whose channels differ more in size, in bfloat16. A latent with a value that is not finite reads as NaN, one
  /// whose values are all below 2^-110 as zero.
  case int8

  /// Bytes of a row.
  /// - Returns: nil for sizes that are negative or beyond 64 bits.
  public func byteCount(rank: Int, rope: Int) -> Int? {
    guard rank >= 0, rope >= 0, rank <= Int.max / 16, rope <= Int.max / 16 else { return nil }
    return platform_row_byte_count(platform_row_format(type: platform, rank: rank, rope: rope))
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

/// Rows that one layer keeps in a latent cache, [any number, rank + rope], in pages that somebody else owns and keeps
/// alive. Any alignment but that of float32 for float32 rows.
public struct CacheRows: @unchecked Sendable {
  public let type: CacheRowType
  public let rank: Int
  public let rope: Int
  /// A row lies in the page of the last of its positions, of which a page has `positionsPerPage`.
  public let positionsPerRow: Int
  public let pages: UnsafePointer<UnsafeRawPointer>
  /// Bytes from a page's address to its first row.
  public let offset: Int

  /// Positions of a timeline whose rows lie in one page.
  public static let positionsPerPage = Int(PLATFORM_POSITIONS_PER_PAGE)

  /// - Parameter positionsPerRow: a divisor or a multiple of `positionsPerPage`.
  public init(
    type: CacheRowType, rank: Int, rope: Int, positionsPerRow: Int = 1, pages: UnsafePointer<UnsafeRawPointer>,
    offset: Int = 0
  ) {
    self.type = type
    self.rank = max(0, rank)
    self.rope = max(0, rope)
    self.positionsPerRow = max(1, positionsPerRow)
    self.pages = pages
    self.offset = offset
  }

  public var width: Int { rank + rope }

  /// The rows' type and widths as the kernels see them.
  var format: platform_row_format { platform_row_format(type: type.platform, rank: rank, rope: rope) }

  /// Rows that a page has room for: one at least.
  public static func rowsPerPage(positionsPerRow: Int) -> Int { max(1, positionsPerPage / max(1, positionsPerRow)) }

  /// The page in which a row lies, and its place among the rows there.
  public static func place(row: Int, positionsPerRow: Int) -> (page: Int, index: Int) {
    let (page, position) = ((row + 1) * positionsPerRow - 1).quotientAndRemainder(dividingBy: positionsPerPage)
    return (page, position / positionsPerRow)
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
    let rowsPerPage = CacheRows.rowsPerPage(positionsPerRow: rows.positionsPerRow)
    var row = range.lowerBound
    while row < range.upperBound {
      let place = CacheRows.place(row: row, positionsPerRow: rows.positionsPerRow)
      let count = min(rowsPerPage - place.index, range.upperBound - row)
      table.load_rows(
        rows.pages[place.page] + (rows.offset + place.index * size), count, &format,
        out + (row - range.lowerBound) * stride, stride)
      row += count
    }
  }
}
