import DormouseKernels
public import DormouseLayers
public import DormouseSupport

/// Softmax attention of heads side by side over keys and values that lie head by head, keys transposed: one task a
/// head, or several where there are few heads for the threads. Scores exist for a tile of keys at a time.
public struct HeadAttention {
  /// Keys of a tile.
  public static let keyTile = 256
  /// Queries of a task at least.
  private static let leastQueriesPerTask = 64

  public let headCount: Int
  public let headDimension: Int
  /// Queries at a time at most.
  public let capacity: Int
  /// Words that a thread works in: scores, and each query's greatest score and sum of weights.
  public let ownWords: Int
  private let tops: Int
  private let totals: Int

  public init(headCount: Int, headDimension: Int, capacity: Int) throws(Failure) {
    self.headCount = headCount
    self.headDimension = headDimension
    self.capacity = capacity
    var own = ScratchLayout()
    _ = try own.words(Kernels.tileScratchCount(keys: Self.keyTile))
    tops = try own.words(capacity)
    totals = try own.words(capacity)
    ownWords = own.wordCount
  }

  /// - Parameters:
  ///   - query: [count, heads, head dimension], scaled; so is `out`.
  ///   - keys: [heads, head dimension, keyRow]; values: [heads, keyRow, head dimension].
  ///   - keyCount: keys that are there.
  ///   - visible: keys that the first query sees; each further one sees one more.
  ///   - scratch: [threads, ownWords].
  public func run(
    query: UnsafePointer<Float>, count: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, keyRow: Int,
    keyCount: Int, visible: Int, into out: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>,
    _ queue: ProductQueue
  ) {
    let wanted = CheckedSize.ceilingQuotient(2 * queue.pool.threadCount, headCount)
    let most = CheckedSize.ceilingQuotient(count, Self.leastQueriesPerTask)
    let size = CheckedSize.ceilingQuotient(count, max(1, min(wanted, most)))
    let row = headCount * headDimension
    queue.pool.run(headCount * CheckedSize.ceilingQuotient(count, size)) { task, worker in
      let head = task % headCount
      let first = task / headCount * size
      let some = min(size, count - first)
      let memory = scratch + worker * ownWords
      let query = FloatMatrix(
        query + (first * row + head * headDimension), rows: some, columns: headDimension, stride: row)
      let sums = AttentionSums(
        tops: memory + tops, totals: memory + totals, out: out + (first * row + head * headDimension), outRow: row,
        count: some, valueWidth: headDimension)
      for start in stride(from: 0, to: min(keyCount, visible + first + some - 1), by: Self.keyTile) {
        let tile = FloatMatrix(
          keys + (head * headDimension * keyRow + start), rows: headDimension,
          columns: min(Self.keyTile, keyCount - start), stride: keyRow)
        queue.kernels.attendTile(
          TileQueries(query, visible: visible + first - start), keys: tile,
          values: values + (head * keyRow + start) * headDimension, into: sums, scratch: memory)
      }
      queue.kernels.finishAttention(sums)
    }
  }

  /// Puts rows of keys and values [count, heads, head dimension] where `run` reads them, from position `first` on.
  public func store(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, count: Int, at first: Int,
    keys: UnsafeMutablePointer<Float>, values: UnsafeMutablePointer<Float>, keyRow: Int, _ queue: ProductQueue
  ) {
    let row = headCount * headDimension
    queue.pool.run(headCount) { head, _ in
      queue.kernels.transpose(
        key + head * headDimension, xRow: row, rows: count, columns: headDimension,
        into: keys + (head * headDimension * keyRow + first), outRow: keyRow)
      for index in 0..<count {
        (values + (head * keyRow + first + index) * headDimension).update(
          from: value + (index * row + head * headDimension), count: headDimension)
      }
    }
  }
}
