/// `out[j] = sum over r of weights[r] * max(0, x[r, j])`: an indexer's scores of `count` keys from the products of each
/// of its heads with them.
///
/// x: [rows, count] with `xRow` floats between rows; weights: [rows]; out: [count]. NaN stays.
@inline(never) public func sumRectified(
  _ x: UnsafePointer<Float>, _ xRow: Int, _ rows: Int, _ weights: UnsafePointer<Float>, _ count: Int,
  _ out: UnsafeMutablePointer<Float>
) {
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
