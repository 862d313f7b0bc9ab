import DormouseKernels
import DormouseLayers
import DormouseSupport

/// Attention of all patches of an image, or of a chunk of frames, over each other: no mask, and none across images.
///
/// A tile of keys at a time with a running softmax (flash attention, arXiv 2205.14135): no matrix of scores is held.
struct VisionAttention {
  private let heads: Int
  private let width: Int
  private let layout: ScratchOffsets

  /// Keys of a tile.
  private static let keyTile = 256
  /// Queries of a task.
  private static let queryBlock = 512
  /// Tasks for each thread between two looks at whether to go on.
  private static let tasksPerThread = 8

  struct ScratchOffsets {
    var own = ScratchLayout()
    /// [width, keyTile].
    let keys: Int
    /// [keyTile, paddedWidth]: zeroes behind a head's channels, so that whole vectors are multiplied.
    let values: Int
    /// [queryBlock, paddedWidth].
    let sums: Int
    let scores: Int
    /// [queryBlock].
    let tops: Int
    let totals: Int
  }

  init(_ configuration: VisionConfiguration) throws(Failure) {
    heads = configuration.attentionHeadCount
    width = configuration.headDimension
    layout = try Self.scratchLayout(configuration)
  }

  static func scratchLayout(_ c: VisionConfiguration) throws(Failure) -> ScratchOffsets {
    let padded = ScratchLayout.wholeLines(c.headDimension)
    var own = ScratchLayout()
    let keys = try own.words(c.headDimension, keyTile)
    let values = try own.words(keyTile, padded)
    let sums = try own.words(queryBlock, padded)
    let scores = try own.words(Kernels.tileScratchCount(keys: keyTile))
    let tops = try own.words(queryBlock)
    let totals = try own.words(queryBlock)
    return ScratchOffsets(
      own: own, keys: keys, values: values, sums: sums, scores: scores, tops: tops, totals: totals)
  }

  private var hidden: Int { heads * width }
  private var paddedWidth: Int { ScratchLayout.wholeLines(width) }

  /// From `query`, `key` and `value` to `normed`, for the rows of one image: queries scaled, both rotated.
  /// - Throws: what `interruption` says.
  func run(
    _ rows: Range<Int>, scratch: VisionScratch, kernels: Kernels, pool: ThreadPool, _ interruption: Interruption
  ) throws(Failure) {
    let blocks = CheckedSize.ceilingQuotient(rows.count, Self.queryBlock)
    let tasks = heads * blocks
    let step = pool.threadCount * Self.tasksPerThread
    for first in stride(from: 0, to: tasks, by: step) {
      try interruption.check()
      pool.run(min(step, tasks - first)) { task, worker in
        let (head, block) = ((first + task) / blocks, (first + task) % blocks)
        let start = rows.lowerBound + block * Self.queryBlock
        attend(
          head, start..<min(start + Self.queryBlock, rows.upperBound), over: rows, scratch, kernels,
          scratch.attention(of: worker))
      }
    }
  }

  private func attend(
    _ head: Int, _ queries: Range<Int>, over rows: Range<Int>, _ scratch: VisionScratch, _ kernels: Kernels,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let sums = AttentionSums(
      tops: memory + layout.tops, totals: memory + layout.totals, out: memory + layout.sums, outRow: paddedWidth,
      count: queries.count, valueWidth: paddedWidth)
    let query = FloatMatrix(
      scratch.query + queries.lowerBound * hidden + head * width, rows: queries.count, columns: width, stride: hidden)
    for start in stride(from: rows.lowerBound, to: rows.upperBound, by: Self.keyTile) {
      let tile = start..<min(start + Self.keyTile, rows.upperBound)
      load(tile, head, scratch, kernels, memory)
      kernels.attendTile(
        TileQueries(query, visible: tile.count),
        keys: FloatMatrix(memory + layout.keys, rows: width, columns: tile.count, stride: Self.keyTile),
        values: memory + layout.values, into: sums, scratch: memory + layout.scores)
    }
    kernels.finishAttention(sums)
    for index in 0..<queries.count {
      let target = scratch.normed + (queries.lowerBound + index) * hidden + head * width
      target.update(from: sums.out + index * paddedWidth, count: width)
    }
  }

  /// A head's keys, transposed, and values of a tile.
  private func load(
    _ tile: Range<Int>, _ head: Int, _ scratch: VisionScratch, _ kernels: Kernels,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let offset = tile.lowerBound * hidden + head * width
    kernels.transpose(
      scratch.key + offset, xRow: hidden, rows: tile.count, columns: width, into: memory + layout.keys,
      outRow: Self.keyTile)
    for index in 0..<tile.count {
      let target = memory + layout.values + index * paddedWidth
      target.update(from: scratch.value + offset + index * hidden, count: width)
      (target + width).update(repeating: 0, count: paddedWidth - width)
    }
  }
}
