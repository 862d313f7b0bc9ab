import DormouseKernels
import DormouseLayers
import DormouseSupport

/// DeepSeek sparse attention's indexer (DeepSeek-V3.2-Exp, `Indexer` of its `inference/model.py`): scores every position
/// that a token sees by `sum over h of w_h * relu(q_h . k)`, and picks those with the greatest scores.
///
/// Where scores are equal the earlier position wins, which `torch.topk` leaves open; NaN counts as the greatest, as there.
/// A token that sees no more positions than are picked is never scored. The result of a token depends on nothing but its
/// own timeline.
final class Indexer {
  /// A token that picks.
  struct Token {
    /// Its row in the scratch memory.
    let row: Int
    /// Positions that it sees, its own among them.
    let visible: Int
    /// The keys of its timeline.
    let keys: CacheRows
  }

  let headCount: Int
  let headDimension: Int
  let selectedCount: Int
  let scratch: IndexScratch
  private let memory: AttentionScratch
  private let layout: IndexLayout
  private(set) var tokens: ContiguousArray<Token> = []
  /// The tokens of a round that share their keys, by their places in it.
  private var groups: ContiguousArray<Range<Int>> = []

  /// Tokens whose scores are held at once.
  static let roundSize = 16
  /// Keys that are read and transposed at a time.
  static let keyTile = 128
  /// Keys of a task.
  private static let spanLength = 256

  /// - Parameter memory: of a kind of attention that has the indexer.
  init(_ layout: IndexLayout, _ memory: AttentionScratch, chunk: Int) {
    headCount = layout.configuration.headCount
    headDimension = layout.configuration.headDimension
    selectedCount = layout.configuration.selectedCount
    scratch = IndexScratch(memory.base, layout)
    self.memory = memory
    self.layout = layout
    tokens.reserveCapacity(layout.isUsed ? chunk : 0)
    groups.reserveCapacity(Self.roundSize)
  }

  func removeAll() { tokens.removeAll(keepingCapacity: true) }

  func append(_ token: Token) { tokens.append(token) }

  /// The positions, ascending, that a token with `visible` positions has picked; nil where it attends to all of them.
  func selection(visible: Int, row: Int) -> UnsafeBufferPointer<Int32>? {
    guard visible > selectedCount else { return nil }
    return UnsafeBufferPointer(start: scratch.selected + row * scratch.selectedStride, count: selectedCount)
  }

  /// From `scratch.query`, rotated, and `scratch.headWeights`, scaled, to `scratch.selected`, for all `tokens`.
  func run(_ queue: ProductQueue) {
    for start in stride(from: 0, to: tokens.count, by: Self.roundSize) {
      let round = tokens[start..<min(start + Self.roundSize, tokens.count)]
      let most = round.reduce(0) { max($0, $1.visible) }
      group(round)
      let spans = CheckedSize.ceilingQuotient(most, Self.spanLength)
      let groups = groups
      queue.pool.run(groups.count * spans) { task, worker in
        score(round, groups[task / spans], span: task % spans, queue.kernels, worker)
      }
      queue.pool.run(round.count) { index, worker in
        let token = round[round.startIndex + index]
        TopPositions.pick(
          selectedCount, of: memory.shared + (layout.scores + index * layout.scoreStride), count: token.visible,
          histogram: memory.task(of: worker) + layout.histogram,
          into: scratch.selected + token.row * scratch.selectedStride)
      }
    }
  }

  private func group(_ round: ArraySlice<Token>) {
    groups.removeAll(keepingCapacity: true)
    var first = 0
    for (place, token) in round.enumerated() {
      let next = round.startIndex + place + 1
      if next < round.endIndex, round[next].keys.pages == token.keys.pages { continue }
      groups.append(first..<place + 1)
      first = place + 1
    }
  }

  /// The scores of the tokens at `places` of the round for one span of positions.
  private func score(
    _ round: ArraySlice<Token>, _ places: Range<Int>, span: Int, _ kernels: Kernels, _ worker: Int
  ) {
    let tokens = round[round.startIndex + places.lowerBound..<round.startIndex + places.upperBound]
    guard let keys = tokens.first?.keys else { return }
    let own = memory.task(of: worker)
    let end = min((span + 1) * Self.spanLength, tokens.reduce(0) { max($0, $1.visible) })
    for start in stride(from: span * Self.spanLength, to: end, by: Self.keyTile) {
      let tile = start..<min(start + Self.keyTile, end)
      kernels.loadRows(keys, tile, into: own + layout.rows, stride: headDimension)
      kernels.transpose(
        own + layout.rows, xRow: headDimension, rows: tile.count, columns: headDimension,
        into: own + layout.rowsTransposed, outRow: Self.keyTile)
      for (place, token) in zip(places, tokens) where token.visible > start {
        let query = FloatMatrix(
          scratch.query + token.row * headCount * headDimension, rows: headCount, columns: headDimension,
          stride: headDimension)
        let keys = FloatMatrix(
          own + layout.rowsTransposed, rows: headDimension, columns: tile.count, stride: Self.keyTile)
        kernels.multiplyOuter(query, keys, into: own + layout.products, stride: Self.keyTile)
        kernels.sumRectified(
          own + layout.products, row: Self.keyTile, rows: headCount,
          weights: scratch.headWeights + token.row * headCount, count: tile.count,
          into: memory.shared + (layout.scores + place * layout.scoreStride + start))
      }
    }
  }
}

/// What the indexer's projections of a chunk of tokens become.
struct IndexScratch {
  /// [chunk, index heads, index head].
  let query: UnsafeMutablePointer<Float>
  /// [chunk, index head]: new rows of the cache.
  let key: UnsafeMutablePointer<Float>
  /// [chunk, index heads].
  let headWeights: UnsafeMutablePointer<Float>
  /// [chunk, selectedStride]: positions that each token has picked, ascending.
  let selected: UnsafeMutablePointer<Int32>
  let selectedStride: Int

  init(_ base: UnsafeMutablePointer<Float>, _ layout: IndexLayout) {
    query = base + layout.query
    key = base + layout.key
    headWeights = base + layout.headWeights
    selected = UnsafeMutableRawPointer(base + layout.selected).assumingMemoryBound(to: Int32.self)
    selectedStride = layout.selectedStride
  }
}

/// Where these lie in the memory of their kind of attention, and what the tasks of an indexer need.
struct IndexLayout {
  let configuration: IndexerConfiguration
  let query, key, headWeights, selected, selectedStride: Int
  /// Whether a timeline can have more positions than are picked.
  let isUsed: Bool
  /// What all threads share.
  private(set) var shared = ScratchLayout()
  /// [roundSize, scoreStride]: of each token of a round.
  let scores, scoreStride: Int
  /// What each thread has of its own.
  private(set) var own = ScratchLayout()
  /// [keyTile, headDimension]: keys in float32, and the same transposed.
  let rows, rowsTransposed: Int
  /// [headCount, keyTile].
  let products: Int
  /// [256] UInt32.
  let histogram: Int

  init(_ c: IndexerConfiguration, _ sizes: DecoderSizes, in layout: inout ScratchLayout) throws(Failure) {
    configuration = c
    query = try layout.words(sizes.chunk, c.headCount * c.headDimension)
    key = try layout.words(sizes.chunk, c.headDimension)
    headWeights = try layout.words(sizes.chunk, c.headCount)
    isUsed = sizes.contextLength > c.selectedCount
    selectedStride = isUsed ? c.selectedCount : 0
    selected = try layout.words(sizes.chunk, selectedStride)
    scoreStride = isUsed ? ScratchLayout.wholeLines(sizes.contextLength) : 0
    scores = try shared.words(Indexer.roundSize, scoreStride)
    let keyTile = isUsed ? Indexer.keyTile : 0
    rows = try own.words(keyTile, c.headDimension)
    rowsTransposed = try own.words(keyTile, c.headDimension)
    products = try own.words(keyTile, c.headCount)
    histogram = try own.words(isUsed ? TopPositions.bucketCount : 0)
  }
}
