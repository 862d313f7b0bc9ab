internal import CPlatform

/// `out[j] = sum over r of weights[r] * max(0, x[r, j])`: an indexer's scores of keys from the products of each of its
/// heads with them.
///
/// x: a column for each key; weights: [x.rows]; out: [x.columns]. NaN stays.
@inline(never) func sumRectified(_ x: UnsafePointer<platform_floats>, _ weights: Floats, _ out: MutableFloats) {
  let (rows, count, xRow) = (x.pointee.rows, x.pointee.columns, x.pointee.stride)
  let x = x.pointee.data
  var j = 0
  while j &+ lanes <= count {
    var total = zero
    for r in 0..<rows { total = fused(splat(weights[r]), rectified(load(x + (r &* xRow &+ j))), total) }
    store(total, out + j)
    j &+= lanes
  }
  let rest = count &- j
  guard rest > 0 else { return }
  var total = zero
  for r in 0..<rows { total = fused(splat(weights[r]), rectified(loadPartial(x + (r &* xRow &+ j), rest)), total) }
  storePartial(total, out + j, rest)
}

@inline(__always) private func rectified(_ x: FloatVector) -> FloatVector { x.replacing(with: zero, where: x .< zero) }
