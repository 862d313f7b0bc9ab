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
  /// What all threads share.
  private(set) var shared = ScratchLayout()
  /// What each thread has of its own.
  private(set) var own = ScratchLayout()
  private(set) var tokens: ContiguousArray<Token> = []

  /// [roundSize, scoreStride]: of each token of a round.
  private let scores: Int
  private let scoreStride: Int
  /// [keyTile, headDimension]: keys in float32, and the same transposed.
  private let rows: Int
  private let rowsTransposed: Int
  /// [headCount, keyTile].
  private let products: Int
  /// [256] UInt32.
  private let histogram: Int
  /// The tokens of a round that share their keys, by their places in it.
  private var groups: ContiguousArray<Range<Int>> = []

  /// Tokens whose scores are held at once.
  private static let roundSize = 16
  /// Keys that are read and transposed at a time.
  private static let keyTile = 128
  /// Keys of a task.
  private static let spanLength = 256

  init(_ configuration: IndexerConfiguration, _ sizes: DecoderSizes) throws(Failure) {
    headCount = configuration.headCount
    headDimension = configuration.headDimension
    selectedCount = configuration.selectedCount
    let isUsed = sizes.contextLength > selectedCount
    scoreStride = isUsed ? ScratchLayout.wholeLines(sizes.contextLength) : 0
    scores = try shared.words(Self.roundSize, scoreStride)
    let keyTile = isUsed ? Self.keyTile : 0
    rows = try own.words(keyTile, headDimension)
    rowsTransposed = try own.words(keyTile, headDimension)
    products = try own.words(keyTile, headCount)
    histogram = try own.words(isUsed ? TopPositions.bucketCount : 0)
    tokens.reserveCapacity(isUsed ? sizes.chunk : 0)
    groups.reserveCapacity(Self.roundSize)
  }

  func removeAll() { tokens.removeAll(keepingCapacity: true) }

  func append(_ token: Token) { tokens.append(token) }

  /// The positions, ascending, that a token with `visible` positions has picked; nil where it attends to all of them.
  func selection(visible: Int, row: Int, _ scratch: IndexScratch) -> UnsafeBufferPointer<Int32>? {
    guard visible > selectedCount else { return nil }
    return UnsafeBufferPointer(start: scratch.selected + row * scratch.selectedStride, count: selectedCount)
  }

  /// From `index.query`, rotated, and `index.headWeights`, scaled, to `index.selected`, for all `tokens`.
  func run(_ scratch: Scratch, _ queue: ProductQueue) {
    for start in stride(from: 0, to: tokens.count, by: Self.roundSize) {
      let round = tokens[start..<min(start + Self.roundSize, tokens.count)]
      let most = round.reduce(0) { max($0, $1.visible) }
      group(round)
      let spans = CheckedSize.ceilingQuotient(most, Self.spanLength)
      let groups = groups
      queue.pool.run(groups.count * spans) { task, worker in
        score(round, groups[task / spans], span: task % spans, scratch, queue.kernels, worker)
      }
      queue.pool.run(round.count) { index, worker in
        let token = round[round.startIndex + index]
        TopPositions.pick(
          selectedCount, of: scratch.attentionShared + (scores + index * scoreStride), count: token.visible,
          histogram: scratch.attention(of: worker) + histogram,
          into: scratch.index.selected + token.row * scratch.index.selectedStride)
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
    _ round: ArraySlice<Token>, _ places: Range<Int>, span: Int, _ scratch: Scratch, _ kernels: Kernels, _ worker: Int
  ) {
    let tokens = round[round.startIndex + places.lowerBound..<round.startIndex + places.upperBound]
    guard let keys = tokens.first?.keys else { return }
    let memory = scratch.attention(of: worker)
    let end = min((span + 1) * Self.spanLength, tokens.reduce(0) { max($0, $1.visible) })
    for start in stride(from: span * Self.spanLength, to: end, by: Self.keyTile) {
      let tile = start..<min(start + Self.keyTile, end)
      kernels.loadRows(keys, tile, into: memory + rows, stride: headDimension)
      kernels.transpose(
        memory + rows, xRow: headDimension, rows: tile.count, columns: headDimension, into: memory + rowsTransposed,
        outRow: Self.keyTile)
      for (place, token) in zip(places, tokens) where token.visible > start {
        kernels.multiplyOuter(
          scratch.index.query + token.row * headCount * headDimension, aRow: headDimension, rows: headCount,
          memory + rowsTransposed, bRow: Self.keyTile, columns: tile.count, depth: headDimension,
          into: memory + products, cRow: Self.keyTile)
        kernels.sumRectified(
          memory + products, row: Self.keyTile, rows: headCount,
          weights: scratch.index.headWeights + token.row * headCount, count: tile.count,
          into: scratch.attentionShared + (scores + place * scoreStride + start))
      }
    }
  }
}

/// What the indexers' projections of a chunk of tokens become.
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

  init(_ base: UnsafeMutablePointer<Float>, _ offsets: IndexOffsets) {
    query = base + offsets.query
    key = base + offsets.key
    headWeights = base + offsets.headWeights
    selected = UnsafeMutableRawPointer(base + offsets.selected).assumingMemoryBound(to: Int32.self)
    selectedStride = offsets.selectedStride
  }
}

/// Where these lie in the decoder's scratch memory.
struct IndexOffsets {
  let query, key, headWeights, selected, selectedStride: Int

  init(_ c: ModelConfiguration, _ sizes: DecoderSizes, in layout: inout ScratchLayout) throws(Failure) {
    let indexers = c.attentions.compactMap(\.indexer)
    func largest(_ count: (IndexerConfiguration) -> Int) -> Int { indexers.map(count).max() ?? 0 }
    query = try layout.words(sizes.chunk, largest { $0.headCount * $0.headDimension })
    key = try layout.words(sizes.chunk, largest { $0.headDimension })
    headWeights = try layout.words(sizes.chunk, largest { $0.headCount })
    selectedStride = largest { $0.selectedCount < sizes.contextLength ? $0.selectedCount : 0 }
    selected = try layout.words(sizes.chunk, selectedStride)
  }
}
