/// e^x in each lane, within 2 units in the last place, subnormal results included; -infinity gives 0, NaN stays.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts of which
/// n times the first is exact (Cody and Waite 1980); e^r by its Taylor polynomial of degree 7,
/// whose remainder is 3e-9 there; 2^n as two factors, so that neither overflows nor a subnormal result is lost.
@inline(__always) func exponential(_ x: FloatVector) -> FloatVector {
  let low = splat(-105)
  let high = splat(89)
  let clamped = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  let magic = splat(0x1.8p23)
  let shifted = fused(clamped, splat(0x1.715476p0), magic)
  let n = shifted - magic
  let r = fused(n, splat(2.12194440e-4), fused(n, splat(-0.693359375), clamped))
  var p = fused(splat(1.0 / 5040), r, splat(1.0 / 720))
  p = fused(p, r, splat(1.0 / 120))
  p = fused(p, r, splat(1.0 / 24))
  p = fused(p, r, splat(1.0 / 6))
  p = fused(p, r, splat(0.5))
  p = fused(p, r * r, r) + splat(1)
  let whole = bits(shifted) &- bits(magic)
  let half = whole &>> IntVector(repeating: 1)
  return p * powerOfTwo(half) * powerOfTwo(whole &- half)
}

/// 2^n for n in -126...127.
@inline(__always) private func powerOfTwo(_ n: IntVector) -> FloatVector {
  floats((n &+ IntVector(repeating: 127)) &<< IntVector(repeating: 23))
}
