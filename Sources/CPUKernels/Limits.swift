// What the processor and its memory can do at best: the reference for every other figure.

/// Reads `byteCount` bytes and returns a number that depends on all of them, so that no read can be left out.
@inline(never) public func readAll(_ p: UnsafeRawPointer, _ byteCount: Int) -> UInt64 {
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
@inline(never) public func multiplyAndAdd(_ iterations: Int, _ factor: Float, _ term: Float) -> Float {
  let x = splat(factor)
  let t = splat(term)
  var s = InlineArray<12, FloatVector>(repeating: zero)
  for j in 0..<12 { s[j] = splat(Float(j)) }
  var i = 0
  while i < iterations {
    for j in 0..<12 { s[j] = fused(s[j], x, t) }
    i &+= 1
  }
  var total = zero
  for j in 0..<12 { total += s[j] }
  return sum(total)
}

/// Floats in a vector of this instruction set.
@inline(never) public func vectorLength() -> Int { lanes }
