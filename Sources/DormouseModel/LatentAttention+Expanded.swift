import DormouseKernels
import DormouseLayers
import DormouseSupport

/// The expanded form: [k_nope | v] = c W_kvb^T for a tile of keys and one head at a time, then attention over the tile
/// with a running softmax (flash attention, arXiv 2205.14135). Neither all keys nor all scores are ever held.
extension LatentAttention {
  /// Cached positions expanded at a time.
  static let keyTile = 128
  /// 64-bit words of a mask with a bit for each of them.
  static let maskWords = keyTile / 64
  /// Tokens of a task at least: every task of a head expands its keys again.
  private static let leastTokensPerTask = 64

  struct ExpandedScratch {
    /// What each thread has of its own.
    var own = ScratchLayout()
    /// [nope, rank]: the key rows of one head.
    let keyWeights: Int
    /// [rank, v]: its value rows, transposed.
    let valueWeights: Int
    /// [v, rank]: weights on their way there, and [keyTile, rank + rope]: cached rows in float32.
    let rows: Int
    /// [rank + rope, keyTile]: the same rows transposed.
    let rowsTransposed: Int
    /// [nope + rope, keyTile].
    let keys: Int
    /// [keyTile, v].
    let values: Int
    /// What `Kernels.attendTile` works in.
    let scores: Int
    /// [chunk]: each token's greatest score so far, and the sum of its weights.
    let tops: Int
    let totals: Int
    /// [chunk, maskWords] UInt64: what of a tile each token attends to.
    let masks: Int
    /// [chunk] Int32: how many of the positions picked for each token lie before the tile.
    let cursors: Int
  }

  /// - Parameter picksPositions: whether tokens attend to positions that were picked for each.
  static func expandedScratch(
    _ a: LatentAttentionConfiguration, chunk: Int, picksPositions: Bool = false
  ) throws(Failure) -> ExpandedScratch {
    var own = ScratchLayout()
    let keyWeights = try own.words(a.qkNopeHeadDimension, a.kvLoraRank)
    let valueWeights = try own.words(a.kvLoraRank, a.vHeadDimension)
    let rows = try own.words(max(keyTile, a.vHeadDimension), a.latentWidth)
    let rowsTransposed = try own.words(a.latentWidth, keyTile)
    let keys = try own.words(a.qkHeadDimension, keyTile)
    let values = try own.words(keyTile, a.vHeadDimension)
    let scores = try own.words(Kernels.tileScratchCount(keys: keyTile))
    let tops = try own.words(chunk)
    let totals = try own.words(chunk)
    let masks = try own.words(a.slidingWindow != nil || picksPositions ? chunk : 0, 2 * maskWords)
    let cursors = try own.words(picksPositions ? chunk : 0)
    return ExpandedScratch(
      own: own, keyWeights: keyWeights, valueWeights: valueWeights, rows: rows, rowsTransposed: rowsTransposed,
      keys: keys, values: values, scores: scores, tops: tops, totals: totals, masks: masks, cursors: cursors)
  }

  /// From `own.query` to `own.attended`; one task a head, or several where there are few heads for the threads.
  /// A token's result does not depend on the tokens that share its task.
  func attendExpanded(_ segment: ActiveSegment, _ rows: CacheRows, _ picked: Indexer?) {
    let count = segment.rows.count
    let wanted = CheckedSize.ceilingQuotient(2 * queue.pool.threadCount, heads)
    let most = CheckedSize.ceilingQuotient(count, Self.leastTokensPerTask)
    let size = CheckedSize.ceilingQuotient(count, max(1, min(wanted, most)))
    let parts = CheckedSize.ceilingQuotient(count, size)
    // The last tokens see the most: they begin first.
    queue.pool.run(heads * parts) { task, worker in
      let start = (parts - 1 - task / heads) * size
      attend(task % heads, start..<min(start + size, count), segment, rows, picked, own.task(of: worker))
    }
  }

  /// The attention of one head for `tokens` of the segment.
  private func attend(
    _ head: Int, _ tokens: Range<Int>, _ segment: ActiveSegment, _ rows: CacheRows, _ picked: Indexer?,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let kernels = queue.kernels
    let row = segment.rows.lowerBound + tokens.lowerBound
    let query = own.query + (row * heads + head) * keyWidth
    let out = own.attended + (row * heads + head) * value
    prepareQueries(query, row..<row + tokens.count)
    let expansion = expansion(head)
    expansion.loadKeys(into: memory + expanded.keyWeights)
    expansion.loadValues(into: memory + expanded.valueWeights, scratch: memory + expanded.rows)
    let sums = AttentionSums(
      tops: memory + expanded.tops, totals: memory + expanded.totals, out: out, outRow: heads * value,
      count: tokens.count, valueWidth: value)
    let mask = TileMask(self, segment, tokens, picked, memory)
    let total = segment.first + tokens.upperBound
    for start in stride(from: mask.firstTile, to: total, by: Self.keyTile) {
      let tile = start..<min(start + Self.keyTile, total)
      expand(tile, rows, memory)
      let seen = mask.load(tile)
      let queries = TileQueries(
        FloatMatrix(query, rows: seen.count, columns: keyWidth, stride: heads * keyWidth),
        visible: segment.first + tokens.lowerBound + 1 - start, mask: seen.mask, maskWords: Self.maskWords)
      kernels.attendTile(
        queries,
        keys: FloatMatrix(memory + expanded.keys, rows: keyWidth, columns: tile.count, stride: Self.keyTile),
        values: memory + expanded.values, into: sums, scratch: memory + expanded.scores)
    }
    kernels.finishAttention(sums)
  }

  /// Rotates a head's queries, of `tokens` of the batch, and multiplies the softmax's scale in.
  private func prepareQueries(_ first: UnsafeMutablePointer<Float>, _ tokens: Range<Int>) {
    for (index, token) in tokens.enumerated() {
      let query = first + index * heads * keyWidth
      positions.rotate(query + nope, token)
      for channel in 0..<keyWidth { query[channel] *= scale }
    }
  }

  /// The loaded head's keys, transposed, and values of a tile of cached positions.
  private func expand(_ tile: Range<Int>, _ rows: CacheRows, _ memory: UnsafeMutablePointer<Float>) {
    let kernels = queue.kernels
    let latents = memory + expanded.rows
    let transposed = memory + expanded.rowsTransposed
    let keys = memory + expanded.keys
    kernels.loadRows(rows, tile, into: latents, stride: latentWidth)
    kernels.transpose(
      latents, xRow: latentWidth, rows: tile.count, columns: latentWidth, into: transposed, outRow: Self.keyTile)
    kernels.multiplyOuter(
      FloatMatrix(memory + expanded.keyWeights, rows: nope, columns: rank, stride: rank),
      FloatMatrix(transposed, rows: rank, columns: tile.count, stride: Self.keyTile), into: keys,
      stride: Self.keyTile)
    (keys + nope * Self.keyTile).update(from: transposed + rank * Self.keyTile, count: rope * Self.keyTile)
    kernels.multiplyOuter(
      FloatMatrix(latents, rows: tile.count, columns: rank, stride: latentWidth),
      FloatMatrix(memory + expanded.valueWeights, rows: rank, columns: value, stride: value),
      into: memory + expanded.values, stride: value)
  }
}
