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
    attendLatent(
      query: query, heads: heads, rows: rows, range: 0..<count, scale: scale, partials: partial,
      stride: partialCount, scratch: partial + partialCount)
    for head in 0..<heads {
      combineLatent(
        partial, stride: partialCount, spans: 1, heads: heads, head: head, rank: rows.rank,
        into: out + head * rows.rank)
    }
  }

  /// The same over the rows `range` alone (not empty), for `combineLatent` to join with others.
  ///
  /// - Parameters:
  ///   - spanLength: rows of a span, each of which has a result of its own, but for the last, which has what is left; nil:
  ///     all rows are one.
  ///   - positions: the positions of the rows, of which `range` then are places in this list; nil: `range` itself.
  ///   - partials: `stride` floats for each span: [heads, rank] weighted sums, [heads] greatest scores, [heads] totals.
  ///   - stride: at least heads * (rank + 2).
  ///   - scratch: `latentScratchCount` floats.
  public func attendLatent(
    query: UnsafePointer<Float>, heads: Int, rows: CacheRows, range: Range<Int>, spanLength: Int? = nil,
    positions: UnsafePointer<Int32>? = nil, scale: Float, partials: UnsafeMutablePointer<Float>, stride: Int,
    scratch: UnsafeMutablePointer<Float>
  ) {
    var latent = platform_latent(
      query: query, heads: heads, scale: scale, format: rows.format, pages: rows.pages, offset: rows.offset,
      positions: positions, first: range.lowerBound, count: range.count, span_length: spanLength ?? range.count,
      partials: partials, stride: stride, scratch: scratch)
    table.attend_latent(&latent)
  }

  /// Joins what `attendLatent` left of one head in `spans` (at least 1) spans, in their order. out: [rank].
  ///
  /// - Parameter stride: floats from one span's partial result to the next.
  public func combineLatent(
    _ partials: UnsafePointer<Float>, stride: Int, spans: Int, heads: Int, head: Int, rank: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    var spans = platform_spans(
      partials: partials, stride: stride, count: spans, heads: heads, head: head, rank: rank, out: out)
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

  /// Adds a tile of keys to the attention of `count` queries of one head, with online softmax.
  ///
  /// - Parameters:
  ///   - query: [count, width], `queryRow` floats between rows, the softmax's scale multiplied in.
  ///   - visible: keys of the tile that the first query sees; each further one sees one more. May be negative.
  ///   - keys: [width, keyRow], of whose columns the first `keyCount` count; what the others hold does not matter.
  ///   - values: [keyCount, valueWidth], rows follow each other.
  ///   - mask: [count, maskWords]: of the keys that a query sees, those whose bits are set; nil for all.
  ///   - tops, totals: [count]; -infinity and 0 before the first tile; each query must see a key of some tile.
  ///   - out: [count, valueWidth], `outRow` floats between rows; `finishAttention` divides it by the totals.
  ///   - scratch: `tileScratchCount(keys: keyCount)` floats.
  public func attendTile(
    query: UnsafePointer<Float>, queryRow: Int, count: Int, visible: Int, keys: UnsafePointer<Float>, keyRow: Int,
    keyCount: Int, width: Int, values: UnsafePointer<Float>, valueWidth: Int,
    mask: UnsafePointer<UInt64>? = nil, maskWords: Int = 0, tops: UnsafeMutablePointer<Float>,
    totals: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>, outRow: Int,
    scratch: UnsafeMutablePointer<Float>
  ) {
    var tile = platform_tile(
      query: query, query_row: queryRow, count: count, visible: visible, keys: keys, key_row: keyRow,
      key_count: keyCount, width: width, values: values, value_width: valueWidth, mask: mask, mask_row: maskWords,
      tops: tops, totals: totals, out: out, out_row: outRow, scratch: scratch)
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

  /// Divides each of `count` rows of `attendTile`'s sums by its total.
  public func finishAttention(
    _ out: UnsafeMutablePointer<Float>, outRow: Int, count: Int, valueWidth: Int, totals: UnsafePointer<Float>
  ) {
    var sums = platform_weighted_sums(
      out: out, out_row: outRow, count: count, value_width: valueWidth, totals: totals)
    table.finish_attention(&sums)
  }

  /// `C[i, j] (+)= sum over k of A[i, k] * B[k, j]` in float32; element (i, k) of A at `a[i * aRow + k * aStep]`.
  ///
  /// - Parameters:
  ///   - b: [depth, columns], `bRow` floats between rows.
  ///   - c: [rows, columns], `cRow` floats between rows; added to if `isAdded`, else overwritten.
  public func multiplyOuter(
    _ a: UnsafePointer<Float>, aRow: Int, aStep: Int = 1, rows: Int, _ b: UnsafePointer<Float>, bRow: Int, columns: Int,
    depth: Int, into c: UnsafeMutablePointer<Float>, cRow: Int, isAdded: Bool = false
  ) {
    var product = platform_outer_product(
      a: a, a_row: aRow, a_step: aStep, rows: rows, b: b, b_row: bRow, columns: columns, depth: depth, c: c,
      c_row: cRow, accumulate: isAdded)
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
