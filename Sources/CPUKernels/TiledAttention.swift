internal import CPlatform

/// Queries whose scores are held at a time.
private let queryBlock = 64

/// Adds a tile of keys to the attention of queries of one head, with online softmax. `out` is not read while a query's
/// total is 0.
@inline(never) func attendTile(_ tile: UnsafePointer<platform_tile>) {
  let t = tile.pointee
  let scoreRow = padded(t.key_count) &+ 16
  // Queries before this one see no key.
  var i = t.visible > 0 ? 0 : 1 &- t.visible
  while i < t.count {
    let some = t.count &- i < queryBlock ? t.count &- i : queryBlock
    // The last of them sees the most.
    let most = t.visible &+ i &+ some &- 1
    let seen = most < t.key_count ? most : t.key_count
    // Whole vectors where rows of keys are long enough: a score too many costs less than one of its own, and is not used.
    let scored = padded(seen) <= t.key_row ? padded(seen) : seen
    var scores = platform_outer_product(
      a: t.query + i &* t.query_row, a_row: t.query_row, a_step: 1, rows: some, b: t.keys, b_row: t.key_row,
      columns: scored, depth: t.width, c: t.scratch, c_row: scoreRow, accumulate: false)
    multiplyOuter(&scores)
    for j in 0..<some {
      let own = t.visible &+ i &+ j
      let s = t.scratch + j &* scoreRow
      if let mask = t.mask { hide(s, own < seen ? own : seen, mask + (i &+ j) &* t.mask_row) }
      let factor = weighScores(s, own < seen ? own : seen, seen, t.tops + (i &+ j), t.totals + (i &+ j))
      let sums = t.out + (i &+ j) &* t.out_row
      if factor == 0 { clear(sums, t.value_width) } else if factor != 1 { scaleFloats(sums, t.value_width, factor) }
    }
    var sums = platform_outer_product(
      a: t.scratch, a_row: scoreRow, a_step: 1, rows: some, b: t.values, b_row: t.value_width, columns: t.value_width,
      depth: seen, c: t.out + i &* t.out_row, c_row: t.out_row, accumulate: true)
    multiplyOuter(&sums)
    i &+= some
  }
}

/// Makes those of `count` scores whose bits are not set count for nothing.
@inline(__always) private func hide(_ s: MutableFloats, _ count: Int, _ mask: UnsafePointer<UInt64>) {
  for k in 0..<(count > 0 ? count : 0) where mask[k / 64] >> UInt64(k % 64) & 1 == 0 { s[k] = -.infinity }
}

/// Turns the first `visible` scores into weights relative to the greatest so far and the rest of `count` into zeroes;
/// returns what earlier sums must be multiplied by.
@inline(__always) private func weighScores(
  _ s: MutableFloats, _ visible: Int, _ count: Int, _ top: MutableFloats, _ total: MutableFloats
) -> Float {
  let before = top[0]
  let here = maximum(s, visible)
  let now = here > before ? here : before
  // Nothing but -infinity so far: weights of zero, no NaN.
  let base = now == -.infinity ? 0 : now
  // Nothing was summed before a first score: 0 drops what the memory held.
  let factor = before == -.infinity ? 0 : before == now ? 1 : exponential(splat(before - base))[0]
  let sum = exponentials(s, visible, minus: base)
  total[0] = fused(total[0], factor, sum)
  top[0] = now
  clear(s + visible, count &- visible)
  return factor
}

/// Divides each row of weighted sums by its total.
@inline(never) func finishAttention(_ sums: UnsafePointer<platform_weighted_sums>) {
  let s = sums.pointee
  for i in 0..<s.count { scaleFloats(s.out + i &* s.out_row, s.value_width, 1 / s.totals[i]) }
}
