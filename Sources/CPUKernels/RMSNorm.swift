/// `y[i] = x[i] / sqrt(mean of x squared + epsilon) * weight[i]`; y may be x.
@inline(never) func rmsNorm(_ x: Floats, _ weight: Floats, _ epsilon: Float, _ count: Int, _ y: MutableFloats) {
  guard count > 0 else { return }
  let factor = 1 / (innerProduct(x, x, count) / Float(count) + epsilon).squareRoot()
  let factors = splat(factor)
  var i = 0
  while i &+ lanes <= count {
    store(load(x + i) * factors * load(weight + i), y + i)
    i &+= lanes
  }
  while i < count {
    y[i] = x[i] * factor * weight[i]
    i &+= 1
  }
}
