/// Queries whose scores are held at a time.
private let queryBlock = 64

/// Adds a tile of keys to the attention of `count` queries of one head, with online softmax.
///
/// Query i sees the first `visible + i` keys of the tile (all, once that is `keyCount` or more; none, for 0 or less), and
/// of these only those whose bits are set in row i of `mask` [count, maskRow], if there is one: bit j % 64 of word j / 64.
/// query: [count, width] with `queryRow` floats between rows; keys: [width, keyRow], transposed, of whose columns the
/// first `keyCount` count; values: [keyCount, valueWidth] with `valueRow`; tops, totals: [count], each query's greatest
/// score and sum of weights so far, -infinity and 0 at first; out: [count, valueWidth] with `outRow`, weighted sums so
/// far, not read while a total is 0; scratch: `Kernels.tileScratchCount` floats.
@inline(never) public func attendTile(
  _ query: UnsafePointer<Float>, _ queryRow: Int, _ count: Int, _ visible: Int, _ keys: UnsafePointer<Float>,
  _ keyRow: Int, _ keyCount: Int, _ width: Int, _ values: UnsafePointer<Float>, _ valueRow: Int, _ valueWidth: Int,
  _ mask: UnsafePointer<UInt64>?, _ maskRow: Int, _ tops: UnsafeMutablePointer<Float>,
  _ totals: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Float>,
  _ outRow: Int, _ scratch: UnsafeMutablePointer<Float>
) {
  let scoreRow = padded(keyCount) &+ 16
  // Queries before this one see no key.
  var i = visible > 0 ? 0 : 1 &- visible
  while i < count {
    let some = count &- i < queryBlock ? count &- i : queryBlock
    // The last of them sees the most.
    let most = visible &+ i &+ some &- 1
    let seen = most < keyCount ? most : keyCount
    // Whole vectors where rows of keys are long enough: a score too many costs less than one of its own, and is not used.
    let scored = padded(seen) <= keyRow ? padded(seen) : seen
    multiplyOuter(query + i &* queryRow, queryRow, 1, some, keys, keyRow, scored, width, scratch, scoreRow, false)
    for j in 0..<some {
      let own = visible &+ i &+ j
      let s = scratch + j &* scoreRow
      if let mask { hide(s, own < seen ? own : seen, mask + (i &+ j) &* maskRow) }
      let factor = weighScores(s, own < seen ? own : seen, seen, tops + (i &+ j), totals + (i &+ j))
      let sums = out + (i &+ j) &* outRow
      if factor == 0 { clear(sums, valueWidth) } else if factor != 1 { scaleFloats(sums, valueWidth, factor) }
    }
    multiplyOuter(scratch, scoreRow, 1, some, values, valueRow, valueWidth, seen, out + i &* outRow, outRow, true)
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

/// Divides each of `count` rows of weighted sums by its total.
@inline(never) public func finishAttention(
  _ out: UnsafeMutablePointer<Float>, _ outRow: Int, _ count: Int, _ valueWidth: Int, _ totals: UnsafePointer<Float>
) {
  for i in 0..<count { scaleFloats(out + i &* outRow, valueWidth, 1 / totals[i]) }
}
