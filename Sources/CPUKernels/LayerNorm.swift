/// `y[i] = (x[i] - mean) / sqrt(variance + epsilon) * weight[i] + bias[i]`; y may be x.
///
/// The variance is the mean of the squared distances from the mean, in a second pass: the difference of two means would
/// cancel where x lies far from zero.
@inline(never) func layerNorm(
  _ x: Floats, _ weight: Floats, _ bias: Floats, _ epsilon: Float, _ count: Int, _ y: MutableFloats
) {
  guard count > 0 else { return }
  let mean = total(x, count) / Float(count)
  let factor = 1 / (squaredDistances(x, mean, count) / Float(count) + epsilon).squareRoot()
  let (means, factors) = (splat(mean), splat(factor))
  var i = 0
  while i &+ lanes <= count {
    store(fused((load(x + i) - means) * factors, load(weight + i), load(bias + i)), y + i)
    i &+= lanes
  }
  while i < count {
    y[i] = fused((x[i] - mean) * factor, weight[i], bias[i])
    i &+= 1
  }
}

@inline(__always) private func total(_ x: Floats, _ count: Int) -> Float {
  var (s0, s1, s2, s3) = (zero, zero, zero, zero)
  var i = 0
  while i &+ 4 &* lanes <= count {
    s0 += load(x + i)
    s1 += load(x + i + lanes)
    s2 += load(x + i + 2 &* lanes)
    s3 += load(x + i + 3 &* lanes)
    i &+= 4 &* lanes
  }
  var rest: Float = 0
  while i < count {
    rest += x[i]
    i &+= 1
  }
  return sum((s0 + s1) + (s2 + s3)) + rest
}

@inline(__always) private func squaredDistances(_ x: Floats, _ mean: Float, _ count: Int) -> Float {
  let means = splat(mean)
  var (s0, s1) = (zero, zero)
  var i = 0
  while i &+ 2 &* lanes <= count {
    let (a, b) = (load(x + i) - means, load(x + i + lanes) - means)
    s0 = fused(a, a, s0)
    s1 = fused(b, b, s1)
    i &+= 2 &* lanes
  }
  var rest: Float = 0
  while i < count {
    rest = fused(x[i] - mean, x[i] - mean, rest)
    i &+= 1
  }
  return sum(s0 + s1) + rest
}
