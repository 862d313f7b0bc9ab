import DormouseKernels
import DormouseSupport

/// The absorbed form: q~ = q_nope W_kvb[nope rows], score = q~ . c + q_rope . k_rope, out = (p . c) W_kvb[value rows]^T.
extension LatentAttention {
  /// Heads of one task at most: enough to read each latent row once for several heads.
  static let headsPerTask = 16

  struct AbsorbedScratch {
    var layout = ScratchLayout()
    /// [headsPerTask, rank + rope].
    let query: Int
    /// [headsPerTask, rank].
    let out: Int
    var wordCount: Int { layout.wordCount }
  }

  static func absorbedScratch(_ c: ModelConfiguration) throws(Failure) -> AbsorbedScratch {
    var layout = ScratchLayout()
    let query = try layout.words(headsPerTask, c.latentWidth)
    let out = try layout.words(headsPerTask, c.kvLoraRank)
    return AbsorbedScratch(layout: layout, query: query, out: out)
  }

  /// From `scratch.query` to `scratch.attended`; tasks are blocks of heads of one token.
  func attendAbsorbed(_ pass: Pass, _ keys: CachedRows, _ scratch: Scratch, _ queue: ProductQueue) {
    let even = CheckedSize.ceilingQuotient(pass.count * heads, queue.pool.threadCount * 2)
    let block = min(max(even, 1), LatentAttention.headsPerTask, heads)
    let blocks = CheckedSize.ceilingQuotient(heads, block)
    queue.pool.run(pass.count * blocks) { task, worker in
      let memory = scratch.attention + worker * scratch.attentionStride
      let token = task / blocks
      let start = task % blocks * block
      absorb(
        pass, keys, scratch, queue.kernels, token: token, heads: start..<min(start + block, heads),
        query: memory + absorbed.query, out: memory + absorbed.out)
    }
  }

  private func absorb(
    _ pass: Pass, _ keys: CachedRows, _ scratch: Scratch, _ kernels: Kernels, token: Int, heads range: Range<Int>,
    query: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>
  ) {
    for (index, head) in range.enumerated() {
      let source = scratch.query + (token * heads + head) * keyWidth
      let target = query + index * latentWidth
      rotate(source + nope, token, scratch)
      let first = head * (nope + value)
      kernels.multiplyTransposed(pass.weights.expansion, rows: first..<first + nope, x: source, into: target)
      (target + rank).update(from: source + nope, count: rope)
    }
    kernels.attendLatent(
      query: query, heads: range.count, rows: keys.bytes, rowType: keys.type, rowStride: keys.width,
      count: pass.first + token + 1, rank: rank, rope: rope, scale: scale, into: out)
    for (index, head) in range.enumerated() {
      let first = head * (nope + value) + nope
      kernels.multiply(
        pass.weights.expansion, rows: first..<first + value, x: out + index * rank, xStride: rank, count: 1,
        into: scratch.attended + (token * heads + head) * value, yStride: value)
    }
  }
}
