/// `x[i] = exp(x[i] - max) / sum`, in place.
@inline(never) func softmax(_ x: MutableFloats, _ count: Int) {
  guard count > 0 else { return }
  let top = maximum(x, count)
  let factor = splat(1 / exponentials(x, count, minus: top))
  var i = 0
  while i &+ lanes <= count {
    store(load(x + i) * factor, x + i)
    i &+= lanes
  }
  let rest = count &- i
  if rest > 0 { storePartial(loadPartial(x + i, rest) * factor, x + i, rest) }
}

/// The largest of `count` (at least 1) numbers; NaN only if all are.
@inline(__always) func maximum(_ x: Floats, _ count: Int) -> Float {
  var tops = splat(-.infinity)
  var i = 0
  while i &+ lanes <= count {
    tops = larger(load(x + i), tops)
    i &+= lanes
  }
  var top = largest(tops)
  while i < count {
    if x[i] > top { top = x[i] }
    i &+= 1
  }
  return top
}

/// Replaces x by `exp(x[i] - top)` and returns their sum.
@inline(__always) func exponentials(_ x: MutableFloats, _ count: Int, minus top: Float) -> Float {
  let tops = splat(top)
  var total = zero
  var i = 0
  while i &+ lanes <= count {
    let e = exponential(load(x + i) - tops)
    store(e, x + i)
    total += e
    i &+= lanes
  }
  let rest = count &- i
  var last: Float = 0
  if rest > 0 {
    storePartial(exponential(loadPartial(x + i, rest) - tops), x + i, rest)
    for j in 0..<rest { last += x[i &+ j] }
  }
  return sum(total) + last
}
