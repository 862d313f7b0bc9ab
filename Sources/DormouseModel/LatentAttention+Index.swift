import DormouseCache
import DormouseKernels
import DormouseLayers

/// Sparse attention: what of the timeline each token attends to, and how the expanded form is told.
extension LatentAttention {
  /// Fills `scratch.index.selected` for the tokens that see more positions than are picked.
  func select(by indexer: Indexer, _ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue) {
    guard let section = pass.sections.index else { return }
    indexer.removeAll()
    for segment in pass.segments {
      guard let keys = segment.cache.rows(section: section) else { continue }
      for (index, row) in segment.rows.enumerated() where segment.first + index >= indexer.selectedCount {
        indexer.append(Indexer.Token(row: row, visible: segment.first + index + 1, keys: keys))
      }
    }
    guard !indexer.tokens.isEmpty else { return }
    let width = indexer.headDimension
    // Behind relu, where a positive factor may stand as well as before it.
    let factor = 1 / (Float(width) * Float(indexer.headCount)).squareRoot()
    queue.pool.forEachToken(indexer.tokens.count) { index in
      let row = indexer.tokens[index].row
      for head in row * indexer.headCount..<(row + 1) * indexer.headCount {
        rotate(scratch.index.query + head * width, row)
        scratch.index.headWeights[head] *= factor
      }
    }
    indexer.run(scratch, queue)
  }

  /// What some tokens of a segment attend to of one tile of positions after the other, in the expanded form.
  struct TileMask {
    /// The first position of the first tile that any of the tokens sees.
    let firstTile: Int
    /// The position of the first token.
    private let first: Int
    private let count: Int
    private let window: Int?
    /// Positions that its indexer picks for a token; nil where none of the tokens sees more.
    private let selectedCount: Int?
    /// [count, selectedStride].
    private let selected: UnsafePointer<Int32>
    private let selectedStride: Int
    private let masks: UnsafeMutablePointer<UInt64>
    private let cursors: UnsafeMutablePointer<Int32>

    init(
      _ attention: LatentAttention, _ segment: ActiveSegment, _ tokens: Range<Int>, _ index: IndexScratch,
      _ memory: UnsafeMutablePointer<Float>
    ) {
      first = segment.first + tokens.lowerBound
      count = tokens.count
      window = attention.configuration.slidingWindow
      let lowest = attention.configuration.visibleRange(at: first).lowerBound
      firstTile = lowest / LatentAttention.keyTile * LatentAttention.keyTile
      selectedCount = attention.indexer.flatMap { [first, count] in
        first + count > $0.selectedCount ? $0.selectedCount : nil
      }
      selectedStride = index.selectedStride
      selected = UnsafePointer(index.selected + (segment.rows.lowerBound + tokens.lowerBound) * index.selectedStride)
      let raw = UnsafeMutableRawPointer(memory)
      masks = (raw + 4 * attention.expanded.masks).assumingMemoryBound(to: UInt64.self)
      cursors = (raw + 4 * attention.expanded.cursors).assumingMemoryBound(to: Int32.self)
      if selectedCount != nil { cursors.update(repeating: 0, count: count) }
    }

    /// How many of the tokens see anything of a tile, but for those that stand before it; and a mask [count, maskWords]
    /// with a bit for each position of the tile, nil where each sees all of it up to its own position. Tiles must come in
    /// their order.
    func load(_ tile: Range<Int>) -> (count: Int, mask: UnsafePointer<UInt64>?) {
      if let selectedCount {
        for token in 0..<count { loadSelection(token, tile, selectedCount) }
        return (count, UnsafePointer(masks))
      }
      guard let window else { return (count, nil) }
      let seeing = max(0, min(count, tile.upperBound + window - 1 - first))
      guard first + seeing - window > tile.lowerBound else { return (seeing, nil) }
      for token in 0..<seeing {
        let hidden = max(0, first + token + 1 - window - tile.lowerBound)
        for word in 0..<LatentAttention.maskWords {
          let bits = min(64, max(0, hidden - word * 64))
          masks[token * LatentAttention.maskWords + word] = bits == 64 ? 0 : .max << UInt64(bits)
        }
      }
      return (seeing, UnsafePointer(masks))
    }

    private func loadSelection(_ token: Int, _ tile: Range<Int>, _ selectedCount: Int) {
      let words = masks + token * LatentAttention.maskWords
      guard first + token >= selectedCount else {
        return words.update(repeating: .max, count: LatentAttention.maskWords)
      }
      words.update(repeating: 0, count: LatentAttention.maskWords)
      let positions = selected + token * selectedStride
      var cursor = Int(cursors[token])
      while cursor < selectedCount, Int(positions[cursor]) < tile.upperBound {
        let bit = Int(positions[cursor]) - tile.lowerBound
        words[bit / 64] |= 1 << UInt64(bit % 64)
        cursor += 1
      }
      cursors[token] = Int32(truncatingIfNeeded: cursor)
    }
  }
}
