import DormouseKernels

/// How the expanded form is told what each token attends to.
extension LatentAttention {
  /// What some tokens of a segment attend to of one tile of positions after the other, in the expanded form.
  struct TileMask {
    /// The first position of the first tile that any of the tokens sees.
    let firstTile: Int
    /// The position of the first token.
    private let first: Int
    private let count: Int
    private let window: Int?
    /// The positions that the indexer has picked, `count` for each token in rows of `stride`; nil where none of the tokens
    /// sees more.
    private let picked: (count: Int, rows: UnsafePointer<Int32>, stride: Int)?
    private let masks: UnsafeMutablePointer<UInt64>
    private let cursors: UnsafeMutablePointer<Int32>

    init(
      _ attention: LatentAttention, _ segment: ActiveSegment, _ tokens: Range<Int>, _ picked: Indexer?,
      _ memory: UnsafeMutablePointer<Float>
    ) {
      first = segment.first + tokens.lowerBound
      count = tokens.count
      window = attention.configuration.slidingWindow
      let lowest = attention.configuration.visibleRange(at: first).lowerBound
      firstTile = lowest / LatentAttention.keyTile * LatentAttention.keyTile
      if let picked, first + count > picked.selectedCount {
        let stride = picked.scratch.selectedStride
        let row = segment.rows.lowerBound + tokens.lowerBound
        self.picked = (picked.selectedCount, UnsafePointer(picked.scratch.selected + row * stride), stride)
      } else {
        self.picked = nil
      }
      let raw = UnsafeMutableRawPointer(memory)
      masks = (raw + 4 * attention.expanded.masks).assumingMemoryBound(to: UInt64.self)
      cursors = (raw + 4 * attention.expanded.cursors).assumingMemoryBound(to: Int32.self)
      if self.picked != nil { cursors.update(repeating: 0, count: count) }
    }

    /// How many of the tokens see anything of a tile, but for those that stand before it; and a mask [count, maskWords]
    /// with a bit for each position of the tile, nil where each sees all of it up to its own position. Tiles must come in
    /// their order.
    func load(_ tile: Range<Int>) -> (count: Int, mask: UnsafePointer<UInt64>?) {
      if let picked {
        for token in 0..<count { loadSelection(token, tile, picked.rows + token * picked.stride, picked.count) }
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

    private func loadSelection(
      _ token: Int, _ tile: Range<Int>, _ positions: UnsafePointer<Int32>, _ selectedCount: Int
    ) {
      let words = masks + token * LatentAttention.maskWords
      guard first + token >= selectedCount else {
        return words.update(repeating: .max, count: LatentAttention.maskWords)
      }
      words.update(repeating: 0, count: LatentAttention.maskWords)
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
