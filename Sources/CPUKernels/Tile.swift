// The innermost loop of matrix products and of attention scores: four rows of one matrix against a few of another,
// both row-major in float32, vectors along the rows. Its sums stay in registers for the whole depth.

/// Rows of the second matrix in a tile: four times this many sums, plus what is being multiplied, fill the registers.
#if ISA_AVX512
  @inline(__always) var tileWidth: Int { 6 }
  typealias TileSums = InlineArray<24, FloatVector>
#else
  @inline(__always) var tileWidth: Int { 3 }
  typealias TileSums = InlineArray<12, FloatVector>
#endif

/// `count` rounded up to whole vectors.
@inline(__always) func padded(_ count: Int) -> Int { (count &+ lanes &- 1) / lanes &* lanes }

/// The dot products of rows 0...3 of `a` with rows `0..<tileWidth` of `b`, handed to `finish(row of b, the four)`.
/// `depth` is a whole number of vectors.
@inline(__always) func wideTile(
  _ a: Floats, _ aStride: Int, _ b: Floats, _ bStride: Int, _ depth: Int, _ finish: (Int, SIMD4<Float>) -> Void
) {
  var s = TileSums(repeating: zero)
  var k = 0
  while k < depth {
    let a0 = load(a + k)
    let a1 = load(a + (aStride &+ k))
    let a2 = load(a + (2 &* aStride &+ k))
    let a3 = load(a + (3 &* aStride &+ k))
    for j in 0..<tileWidth {
      let v = load(b + (j &* bStride &+ k))
      s[4 &* j] = fused(a0, v, s[4 &* j])
      s[4 &* j &+ 1] = fused(a1, v, s[4 &* j &+ 1])
      s[4 &* j &+ 2] = fused(a2, v, s[4 &* j &+ 2])
      s[4 &* j &+ 3] = fused(a3, v, s[4 &* j &+ 3])
    }
    k &+= lanes
  }
  for j in 0..<tileWidth { finish(j, laneSums(s[4 &* j], s[4 &* j &+ 1], s[4 &* j &+ 2], s[4 &* j &+ 3])) }
}

/// The same for one row of `b`.
@inline(__always) func narrowTile(_ a: Floats, _ aStride: Int, _ b: Floats, _ depth: Int) -> SIMD4<Float> {
  var s0 = zero
  var s1 = zero
  var s2 = zero
  var s3 = zero
  var k = 0
  while k < depth {
    let v = load(b + k)
    s0 = fused(load(a + k), v, s0)
    s1 = fused(load(a + (aStride &+ k)), v, s1)
    s2 = fused(load(a + (2 &* aStride &+ k)), v, s2)
    s3 = fused(load(a + (3 &* aStride &+ k)), v, s3)
    k &+= lanes
  }
  return laneSums(s0, s1, s2, s3)
}

/// All rows `0..<count` of `b`.
@inline(__always) func tiles(
  _ a: Floats, _ aStride: Int, _ b: Floats, _ bStride: Int, _ count: Int, _ depth: Int,
  _ finish: (Int, SIMD4<Float>) -> Void
) {
  var j = 0
  while j &+ tileWidth <= count {
    wideTile(a, aStride, b + j &* bStride, bStride, depth) { finish(j &+ $0, $1) }
    j &+= tileWidth
  }
  while j < count {
    finish(j, narrowTile(a, aStride, b + j &* bStride, depth))
    j &+= 1
  }
}

/// Copies `count` floats and fills up to `width` with zeroes.
@inline(__always) func copyPadded(_ from: Floats, _ count: Int, _ to: MutableFloats, _ width: Int) {
  var i = 0
  while i &+ lanes <= count {
    store(load(from + i), to + i)
    i &+= lanes
  }
  while i < count {
    to[i] = from[i]
    i &+= 1
  }
  clear(to + i, width &- i)
}

@inline(__always) func clear(_ p: MutableFloats, _ count: Int) {
  var i = 0
  while i &+ lanes <= count {
    store(zero, p + i)
    i &+= lanes
  }
  while i < count {
    p[i] = 0
    i &+= 1
  }
}
