/// `x[i] = x[i] / 2 * (1 + erf(x[i] / sqrt 2))`, in place (Hendrycks and Gimpel 2016).
@inline(never) func gelu(_ x: MutableFloats, _ count: Int) {
  var i = 0
  while i &+ lanes <= count {
    store(exactGELU(load(x + i)), x + i)
    i &+= lanes
  }
  let rest = count &- i
  if rest > 0 { storePartial(exactGELU(loadPartial(x + i, rest)), x + i, rest) }
}

/// `x[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 * x[i]^3)))`, in place: the approximation that configs
/// call `gelu_pytorch_tanh` or `gelu_new`.
@inline(never) func geluTanh(_ x: MutableFloats, _ count: Int) {
  var i = 0
  while i &+ lanes <= count {
    store(approximateGELU(load(x + i)), x + i)
    i &+= lanes
  }
  let rest = count &- i
  if rest > 0 { storePartial(approximateGELU(loadPartial(x + i, rest)), x + i, rest) }
}

/// `(1 + erf(a)) / 2` is `1 - erfc(a) / 2` above zero and `erfc(-a) / 2` below, which loses nothing in the tail.
@inline(__always) private func exactGELU(_ x: FloatVector) -> FloatVector {
  let scaled = x * splat(0.707106781)
  let magnitude = larger(scaled, -scaled)
  let half = splat(0.5) * complementaryError(magnitude)
  // The comparison is false for NaN, which x itself brings back.
  return x * half.replacing(with: splat(1) - half, where: x .> zero)
}

/// erfc(a) for a >= 0, within 5e-7 of its value down to the smallest normal number.
///
/// `t exp(p(t) - a^2)` with t = 1 / (1 + a / 2) (Press et al., Numerical Recipes, 6.2.2); p of degree 9 fitted to
/// `ln(erfc(a) exp(a^2) / t)` at Chebyshev nodes for a in 0...9.5, within 5e-8.
@inline(__always) private func complementaryError(_ a: FloatVector) -> FloatVector {
  let t = splat(1) / fused(splat(0.5), a, splat(1))
  var p = fused(splat(0.14050713), t, splat(-0.65661583))
  p = fused(p, t, splat(1.09943847))
  p = fused(p, t, splat(-0.61952332))
  p = fused(p, t, splat(-0.14417350))
  p = fused(p, t, splat(0.03546786))
  p = fused(p, t, splat(0.02287414))
  p = fused(p, t, splat(0.38911715))
  p = fused(p, t, splat(0.99834145))
  p = fused(p, t, splat(-1.26543349))
  return t * exponential(fused(-a, a, p))
}

/// `(1 + tanh(u)) / 2` is `1 / (1 + exp(-2 u))`.
@inline(__always) private func approximateGELU(_ x: FloatVector) -> FloatVector {
  let inner = x * fused(splat(0.044715), x * x, splat(1))
  return x / (splat(1) + exponential(inner * splat(-1.59576912)))
}
