import DormouseKernels
import DormouseSupport
import Glibc

/// The expanded form: [k_nope | v] = c W_kvb^T for a tile of keys and one head at a time, then attention by matrix
/// products with a running softmax. Neither all keys nor all scores are ever held.
extension LatentAttention {
  /// Cached positions expanded at a time.
  private static let keyTile = 128
  /// Tokens whose scores are held at a time.
  private static let queryTile = 64

  struct ExpandedScratch {
    var layout = ScratchLayout()
    /// [keyTile, rank + rope]: cached rows widened to float32.
    let rows: Int
    /// [keyTile, nope + v]: as `kv_b_proj` gives them.
    let expanded: Int
    /// [keyTile, nope + rope].
    let keys: Int
    /// [v, keys of the tile]: transposed, so that the output is a matrix product too.
    let values: Int
    /// [queryTile, keys of the tile].
    let scores: Int
    /// [queryTile, v].
    let partial: Int
    /// [chunk]: each token's greatest score so far, and the sum of exponentials against it.
    let greatest: Int
    let sums: Int
    var wordCount: Int { layout.wordCount }
  }

  static func expandedScratch(_ c: ModelConfiguration, chunk: Int) throws(Failure) -> ExpandedScratch {
    var layout = ScratchLayout()
    let rows = try layout.words(keyTile, c.latentWidth)
    let expanded = try layout.words(keyTile, c.qkNopeHeadDimension + c.vHeadDimension)
    let keys = try layout.words(keyTile, c.qkHeadDimension)
    let values = try layout.words(keyTile, c.vHeadDimension)
    let scores = try layout.words(queryTile, keyTile)
    let partial = try layout.words(queryTile, c.vHeadDimension)
    let greatest = try layout.words(chunk)
    let sums = try layout.words(chunk)
    return ExpandedScratch(
      layout: layout, rows: rows, expanded: expanded, keys: keys, values: values, scores: scores, partial: partial,
      greatest: greatest, sums: sums)
  }

  /// From `scratch.query` to `scratch.attended`; one task a head.
  func attendExpanded(_ pass: Pass, _ keys: CachedRows, _ scratch: Scratch, _ queue: ProductQueue) {
    queue.pool.run(heads) { head, worker in
      let memory = scratch.attention + worker * scratch.attentionStride
      attendHead(head, pass, keys, scratch, queue.kernels, memory)
    }
  }

  private func attendHead(
    _ head: Int, _ pass: Pass, _ keys: CachedRows, _ scratch: Scratch, _ kernels: Kernels,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    for token in 0..<pass.count {
      rotate(scratch.query + (token * heads + head) * keyWidth + nope, token, scratch)
      (scratch.attended + (token * heads + head) * value).update(repeating: 0, count: value)
      memory[expanded.greatest + token] = -.infinity
      memory[expanded.sums + token] = 0
    }
    let total = pass.first + pass.count
    for start in stride(from: 0, to: total, by: Self.keyTile) {
      let tile = start..<min(start + Self.keyTile, total)
      expand(head, tile, pass, keys, kernels, memory)
      // Tokens before the tile's first position see nothing of it.
      for token in stride(from: max(start - pass.first, 0), to: pass.count, by: Self.queryTile) {
        let tokens = token..<min(token + Self.queryTile, pass.count)
        attendTile(head, tokens, tile, pass, scratch, kernels, memory)
      }
    }
    for token in 0..<pass.count {
      let out = scratch.attended + (token * heads + head) * value
      let sum = memory[expanded.sums + token]
      for channel in 0..<value { out[channel] /= sum }
    }
  }

  /// One head's keys and transposed values of a tile of cached positions.
  private func expand(
    _ head: Int, _ tile: Range<Int>, _ pass: Pass, _ keys: CachedRows, _ kernels: Kernels,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let width = nope + value
    let rows = floatRows(tile, keys, kernels, memory + expanded.rows)
    let both = memory + expanded.expanded
    kernels.multiply(
      pass.weights.expansion, rows: head * width..<(head + 1) * width, x: rows, xStride: latentWidth,
      count: tile.count, into: both, yStride: width)
    for position in 0..<tile.count {
      let key = memory + expanded.keys + position * keyWidth
      key.update(from: both + position * width, count: nope)
      (key + nope).update(from: rows + position * latentWidth + rank, count: rope)
      let values = memory + expanded.values + position
      for channel in 0..<value { values[channel * tile.count] = both[position * width + nope + channel] }
    }
  }

  /// The cached rows in float32: where they lie, or widened into `memory`.
  private func floatRows(
    _ tile: Range<Int>, _ keys: CachedRows, _ kernels: Kernels, _ memory: UnsafeMutablePointer<Float>
  ) -> UnsafePointer<Float> {
    let bytes = keys.bytes + tile.lowerBound * latentWidth * keys.type.byteCount
    if keys.type == .float32 { return bytes.assumingMemoryBound(to: Float.self) }
    let matrix = WeightMatrix(
      elementType: keys.type, rows: tile.count, columns: latentWidth, data: bytes, scales: nil)
    for row in 0..<tile.count { kernels.dequantize(matrix, row: row, into: memory + row * latentWidth) }
    return UnsafePointer(memory)
  }

  /// Adds a tile's part to the outputs of a block of tokens.
  private func attendTile(
    _ head: Int, _ tokens: Range<Int>, _ tile: Range<Int>, _ pass: Pass, _ scratch: Scratch, _ kernels: Kernels,
    _ memory: UnsafeMutablePointer<Float>
  ) {
    let scores = memory + expanded.scores
    let keys = WeightMatrix(
      elementType: .float32, rows: tile.count, columns: keyWidth, data: UnsafeRawPointer(memory + expanded.keys),
      scales: nil)
    kernels.multiply(
      keys, rows: 0..<tile.count, x: scratch.query + (tokens.lowerBound * heads + head) * keyWidth,
      xStride: heads * keyWidth, count: tokens.count, into: scores, yStride: tile.count)
    for (row, token) in tokens.enumerated() {
      let visible = min(tile.count, pass.first + token + 1 - tile.lowerBound)
      let factor = weigh(
        scores + row * tile.count, visible: visible, count: tile.count, greatest: memory + expanded.greatest + token,
        sum: memory + expanded.sums + token)
      let out = scratch.attended + (token * heads + head) * value
      if factor != 1 { for channel in 0..<value { out[channel] *= factor } }
    }
    let values = WeightMatrix(
      elementType: .float32, rows: value, columns: tile.count, data: UnsafeRawPointer(memory + expanded.values),
      scales: nil)
    let partial = memory + expanded.partial
    kernels.multiply(
      values, rows: 0..<value, x: scores, xStride: tile.count, count: tokens.count, into: partial, yStride: value)
    for (row, token) in tokens.enumerated() {
      kernels.addScaled(
        scratch.attended + (token * heads + head) * value, 1, partial + row * value, count: value)
    }
  }

  /// Turns scores into weights against the greatest score so far; the keys after `visible` are in the future.
  /// - Returns: what earlier outputs must be multiplied by.
  private func weigh(
    _ scores: UnsafeMutablePointer<Float>, visible: Int, count: Int, greatest: UnsafeMutablePointer<Float>,
    sum: UnsafeMutablePointer<Float>
  ) -> Float {
    let before = greatest.pointee
    var top = before
    for key in 0..<visible {
      scores[key] *= scale
      top = max(top, scores[key])
    }
    var total: Float = 0
    for key in 0..<visible {
      scores[key] = expf(scores[key] - top)
      total += scores[key]
    }
    for key in max(visible, 0)..<count { scores[key] = 0 }
    let factor = before == top ? 1 : expf(before - top)
    greatest.pointee = top
    sum.pointee = sum.pointee * factor + total
    return factor
  }
}
