/// The sum of `a[i] * b[i]`.
@inline(never) func dot(_ a: Floats, _ b: Floats, _ count: Int) -> Float {
  innerProduct(a, b, count)
}

/// `y[i] += factor * x[i]`.
@inline(never) func addScaled(_ y: MutableFloats, _ factor: Float, _ x: Floats, _ count: Int) {
  let factors = splat(factor)
  var i = 0
  while i &+ lanes <= count {
    store(fused(factors, load(x + i), load(y + i)), y + i)
    i &+= lanes
  }
  while i < count {
    y[i] = fused(factor, x[i], y[i])
    i &+= 1
  }
}

/// Four sums side by side hide the latency of an addition.
@inline(__always) func innerProduct(_ a: Floats, _ b: Floats, _ count: Int) -> Float {
  var s0 = zero
  var s1 = zero
  var s2 = zero
  var s3 = zero
  var i = 0
  while i &+ 4 &* lanes <= count {
    s0 = fused(load(a + i), load(b + i), s0)
    s1 = fused(load(a + i + lanes), load(b + i + lanes), s1)
    s2 = fused(load(a + i + 2 &* lanes), load(b + i + 2 &* lanes), s2)
    s3 = fused(load(a + i + 3 &* lanes), load(b + i + 3 &* lanes), s3)
    i &+= 4 &* lanes
  }
  while i &+ lanes <= count {
    s0 = fused(load(a + i), load(b + i), s0)
    i &+= lanes
  }
  var total = sum((s0 + s1) + (s2 + s3))
  while i < count {
    total = fused(a[i], b[i], total)
    i &+= 1
  }
  return total
}
