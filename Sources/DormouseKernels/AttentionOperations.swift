internal import CPlatform
public import DormouseSupport

extension Kernels {
  /// Absorbed multi-head latent attention (DeepSeek-V2, section 2.1) of one token over latent rows.
  ///
  /// `scores[h, t] = scale * dot(query[h], rows[t])`, `out[h] = sum over t of softmax(scores[h])[t] * rows[t][..<rank]`,
  /// computed online, so that no matrix of scores exists.
  ///
  /// - Parameters:
  ///   - query: [heads, rank + rope].
  ///   - rows: one a position.
  ///   - out: [heads, rank]; zero when `count` is 0, NaN when there is no memory for a block of rows.
  public func attendLatent(
    query: UnsafePointer<Float>, heads: Int, rows: CacheRows, count: Int, scale: Float,
    into out: UnsafeMutablePointer<Float>
  ) {
    guard count > 0, heads > 0 else { return out.update(repeating: 0, count: max(0, heads) * rows.rank) }
    let partialCount = heads * (rows.rank + 2)
    guard let working = try? Kernels.latentScratchCount(heads: heads, rank: rows.rank, rope: rows.rope),
      let partial = scratch(partialCount + working)
    else {
      return out.update(repeating: .nan, count: heads * rows.rank)
    }
    let result = LatentPartials(partial, stride: partialCount, heads: heads, rank: rows.rank)
    attendLatent(
      query: query, scale: scale, over: LatentSpans(rows: rows, range: 0..<count, length: count), into: result,
      scratch: partial + partialCount)
    for head in 0..<heads { combineLatent(result, spans: 1, head: head, into: out + head * rows.rank) }
  }

  /// The same over the rows of some spans alone, for `combineLatent` to join with others.
  ///
  /// - Parameters:
  ///   - query: [heads, rank + rope], of the heads of `partials`.
  ///   - partials: for each span what it leaves.
  ///   - scratch: `latentScratchCount` floats.
  public func attendLatent(
    query: UnsafePointer<Float>, scale: Float, over spans: LatentSpans, into partials: LatentPartials,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let rows = spans.rows
    var latent = platform_latent(
      query: query, heads: partials.heads, scale: scale, format: rows.format, pages: rows.pages, offset: rows.offset,
      positions: spans.positions, first: spans.range.lowerBound, count: spans.range.count, span_length: spans.length,
      partials: partials.data, stride: partials.stride, scratch: scratch)
    table.attend_latent(&latent)
  }

  /// Joins what `attendLatent` left of one head in `spans` (at least 1) spans, in their order. out: [rank].
  public func combineLatent(
    _ partials: LatentPartials, spans: Int, head: Int, into out: UnsafeMutablePointer<Float>
  ) {
    var spans = platform_spans(
      partials: partials.data, stride: partials.stride, count: spans, heads: partials.heads, head: head,
      rank: partials.rank, out: out)
    table.combine_spans(&spans)
  }

  /// Floats of scratch memory that `attendLatent` needs at most, whatever the instruction set: a page's rows in float32,
  /// and for each head its query, a score for each of them and three numbers, both padded for the widest vectors.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func latentScratchCount(heads: Int, rank: Int, rope: Int) throws(Failure) -> Int {
    let what = "the scratch memory of latent attention"
    let width = try CheckedSize.sum(rank, rope, of: what)
    let count = CacheRows.positionsPerPage
    let rows = try CheckedSize.product(count, CheckedSize.sum(width, 2 * widestVector, of: what), of: what)
    let queries = try CheckedSize.product(
      CheckedSize.sum(heads, widestVector, of: what), CheckedSize.sum(width, count + 3, of: what), of: what)
    return try CheckedSize.sum(rows, queries, of: what)
  }

  /// Floats of scratch memory that `attendTile` needs at most for tiles of `keys` keys: 64 rows of scores.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func tileScratchCount(keys: Int) throws(Failure) -> Int {
    let what = "the scratch memory of attention"
    return try CheckedSize.product(64, CheckedSize.sum(keys, 2 * widestVector, of: what), of: what)
  }

  /// Floats in a vector of any instruction set, at most.
  private static let widestVector = 16

  /// Adds a tile of keys to the attention of queries of one head, with online softmax.
  ///
  /// - Parameters:
  ///   - keys: [width, keys], transposed; what its rows hold behind the last key does not matter.
  ///   - values: [keys, value width], rows follow each other.
  ///   - sums: what the tiles before have added up to.
  ///   - scratch: `tileScratchCount(keys:)` floats.
  public func attendTile(
    _ queries: TileQueries, keys: FloatMatrix, values: UnsafePointer<Float>, into sums: AttentionSums,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let query = queries.query
    var tile = platform_tile(
      query: query.data, query_row: query.stride, count: query.rows, visible: queries.visible, keys: keys.data,
      key_row: keys.stride, key_count: keys.columns, width: query.columns, values: values,
      value_width: sums.valueWidth, mask: queries.mask, mask_row: queries.maskWords, tops: sums.tops,
      totals: sums.totals, out: sums.out, out_row: sums.outRow, scratch: scratch)
    table.attend_tile(&tile)
  }

  /// An indexer's scores: `out[j] = sum over r of weights[r] * max(0, x[r, j])`.
  ///
  /// - Parameters:
  ///   - x: [rows, count], `row` floats between rows.
  ///   - weights: [rows].
  ///   - out: [count].
  public func sumRectified(
    _ x: UnsafePointer<Float>, row: Int, rows: Int, weights: UnsafePointer<Float>, count: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    var x = platform_floats(data: x, stride: row, rows: rows, columns: count)
    table.sum_rectified(&x, weights, out)
  }

  /// Divides each of the sums that `attendTile` has left by its total.
  public func finishAttention(_ sums: AttentionSums) {
    var sums = platform_weighted_sums(
      out: sums.out, out_row: sums.outRow, count: sums.count, value_width: sums.valueWidth, totals: sums.totals)
    table.finish_attention(&sums)
  }

  /// `C[i, j] (+)= sum over k of A[i, k] * B[k, j]` in float32.
  ///
  /// - Parameters:
  ///   - a: [rows, depth].
  ///   - aStep: floats from one column of `a` to the next.
  ///   - b: [depth, columns].
  ///   - c: [rows, columns], `stride` floats between rows; added to if `accumulate`, else overwritten.
  public func multiplyOuter(
    _ a: FloatMatrix, aStep: Int = 1, _ b: FloatMatrix, into c: UnsafeMutablePointer<Float>, stride: Int,
    accumulate: Bool = false
  ) {
    var product = platform_outer_product(
      a: a.data, a_row: a.stride, a_step: aStep, rows: a.rows, b: b.data, b_row: b.stride, columns: b.columns,
      depth: b.rows, c: c, c_row: stride, accumulate: accumulate)
    table.multiply_outer(&product)
  }

  /// `out[c, r] = x[r, c]`: x [rows, columns] with `xRow` floats between rows, out with `outRow`.
  public func transpose(
    _ x: UnsafePointer<Float>, xRow: Int, rows: Int, columns: Int, into out: UnsafeMutablePointer<Float>, outRow: Int
  ) {
    var x = platform_floats(data: x, stride: xRow, rows: rows, columns: columns)
    table.transpose(&x, out, outRow)
  }
}

/// Rows of a cache that a token attends to in the absorbed form, in spans of which each has a result of its own.
public struct LatentSpans: @unchecked Sendable {
  public let rows: CacheRows
  /// Which of the rows, or of `positions`; not empty.
  public let range: Range<Int>
  /// Rows of a span; the last has what is left.
  public let length: Int
  /// The positions of the rows, of which `range` then are places in this list; nil: `range` itself.
  public let positions: UnsafePointer<Int32>?

  @inlinable public init(rows: CacheRows, range: Range<Int>, length: Int, positions: UnsafePointer<Int32>? = nil) {
    self.rows = rows
    self.range = range
    self.length = length
    self.positions = positions
  }
}

/// What spans of rows leave of a token's heads, for each: [heads, rank] weighted sums, [heads] greatest scores, [heads]
/// totals.
public struct LatentPartials: @unchecked Sendable {
  public let data: UnsafeMutablePointer<Float>
  /// Floats from one span's result to the next, at least `heads * (rank + 2)`.
  public let stride: Int
  public let heads: Int
  public let rank: Int

  @inlinable public init(_ data: UnsafeMutablePointer<Float>, stride: Int, heads: Int, rank: Int) {
    self.data = data
    self.stride = stride
    self.heads = heads
    self.rank = rank
  }
}

/// Queries of one head and the keys of a tile that each of them sees.
public struct TileQueries: @unchecked Sendable {
  /// [count, width], the softmax's scale multiplied in.
  public let query: FloatMatrix
  /// Keys of the tile that the first query sees; each further one sees one more. May be negative.
  public let visible: Int
  /// [count, maskWords]: of the keys that a query sees, those whose bits are set; nil for all.
  public let mask: UnsafePointer<UInt64>?
  public let maskWords: Int

  @inlinable public init(
    _ query: FloatMatrix, visible: Int, mask: UnsafePointer<UInt64>? = nil, maskWords: Int = 0
  ) {
    self.query = query
    self.visible = visible
    self.mask = mask
    self.maskWords = maskWords
  }
}

/// What the tiles of keys have added up to, for each of `count` queries of one head.
public struct AttentionSums: @unchecked Sendable {
  /// [count]: greatest scores.
  public let tops: UnsafeMutablePointer<Float>
  /// [count]: sums of weights.
  public let totals: UnsafeMutablePointer<Float>
  /// [count, valueWidth], `outRow` floats between rows: weighted sums of values.
  public let out: UnsafeMutablePointer<Float>
  public let outRow: Int
  public let count: Int
  public let valueWidth: Int

  /// Sums before the first tile. Each query must see a key of some tile.
  @inlinable public init(
    tops: UnsafeMutablePointer<Float>, totals: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>,
    outRow: Int, count: Int, valueWidth: Int
  ) {
    self.tops = tops
    self.totals = totals
    self.out = out
    self.outRow = outRow
    self.count = count
    self.valueWidth = valueWidth
    tops.update(repeating: -.infinity, count: count)
    totals.update(repeating: 0, count: count)
  }
}
