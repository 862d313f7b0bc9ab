/// `gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i]`.
@inline(never) func siluMultiply(_ gate: MutableFloats, _ up: Floats, _ count: Int) {
  var i = 0
  while i &+ lanes <= count {
    store(silu(load(gate + i)) * load(up + i), gate + i)
    i &+= lanes
  }
  let rest = count &- i
  if rest > 0 { storePartial(silu(loadPartial(gate + i, rest)) * loadPartial(up + i, rest), gate + i, rest) }
}

@inline(__always) private func silu(_ x: FloatVector) -> FloatVector { x / (splat(1) + exponential(-x)) }
