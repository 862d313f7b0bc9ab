// What the processor and its memory can do at best: the reference for every other figure.

/// Reads `byteCount` bytes and returns a number that depends on all of them, so that no read can be left out.
@inline(never) func readAll(_ p: UnsafeRawPointer, _ byteCount: Int) -> UInt64 {
  var a = IntVector(repeating: 0)
  var b = a
  var c = a
  var d = a
  let size = 4 &* lanes
  var i = 0
  while i &+ 4 &* size <= byteCount {
    a ^= p.loadUnaligned(fromByteOffset: i, as: IntVector.self)
    b ^= p.loadUnaligned(fromByteOffset: i &+ size, as: IntVector.self)
    c ^= p.loadUnaligned(fromByteOffset: i &+ 2 &* size, as: IntVector.self)
    d ^= p.loadUnaligned(fromByteOffset: i &+ 3 &* size, as: IntVector.self)
    i &+= 4 &* size
  }
  let all = (a ^ b) ^ (c ^ d)
  var result: UInt64 = 0
  for lane in 0..<lanes { result ^= UInt64(UInt32(bitPattern: all[lane])) &<< UInt64(lane & 31) }
  return result
}

/// Twelve independent chains of `iterations` multiplications and additions of a vector; returns a number that depends
/// on all, of `24 * lanes * iterations` operations.
@inline(never) func multiplyAndAdd(_ iterations: Int, _ factor: Float, _ term: Float) -> Float {
  let x = splat(factor)
  let t = splat(term)
  // Twelve names and no array: an array of vectors would bring a specialisation that several modules share.
  var (s0, s1, s2, s3) = (splat(0), splat(1), splat(2), splat(3))
  var (s4, s5, s6, s7) = (splat(4), splat(5), splat(6), splat(7))
  var (s8, s9, s10, s11) = (splat(8), splat(9), splat(10), splat(11))
  var i = 0
  while i < iterations {
    s0 = fused(s0, x, t)
    s1 = fused(s1, x, t)
    s2 = fused(s2, x, t)
    s3 = fused(s3, x, t)
    s4 = fused(s4, x, t)
    s5 = fused(s5, x, t)
    s6 = fused(s6, x, t)
    s7 = fused(s7, x, t)
    s8 = fused(s8, x, t)
    s9 = fused(s9, x, t)
    s10 = fused(s10, x, t)
    s11 = fused(s11, x, t)
    i &+= 1
  }
  return sum(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + ((s8 + s9) + (s10 + s11)))
}

/// Floats in a vector of this instruction set.
@inline(never) func vectorLength() -> Int { lanes }
