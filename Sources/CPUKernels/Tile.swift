// The innermost loop of matrix products and of attention scores: four rows of one matrix against a few of another,
// both row-major in float32, vectors along the rows. Its sums stay in registers for the whole depth.

/// Rows of the second matrix in a tile: four times this many sums, and what is being multiplied, stay in registers (of
/// AVX-512's 32 the compiler keeps only about 20 free of spills).
#if ISA_AVX512
  @inline(__always) var tileWidth: Int { 4 }
#else
  @inline(__always) var tileWidth: Int { 3 }
#endif

/// The sums of four rows with one row. Named, because an array's would go through memory.
private struct TileColumn {
  var s0 = zero
  var s1 = zero
  var s2 = zero
  var s3 = zero

  @inline(__always) mutating func add(_ four: TileRows, _ v: FloatVector) {
    s0 = fused(four.a0, v, s0)
    s1 = fused(four.a1, v, s1)
    s2 = fused(four.a2, v, s2)
    s3 = fused(four.a3, v, s3)
  }

  @inline(__always) var sums: SIMD4<Float> { laneSums(s0, s1, s2, s3) }
}

/// One vector of each of four rows.
private struct TileRows {
  let a0: FloatVector
  let a1: FloatVector
  let a2: FloatVector
  let a3: FloatVector

  @inline(__always) init(_ a: Floats, _ stride: Int) {
    a0 = load(a)
    a1 = load(a + stride)
    a2 = load(a + 2 &* stride)
    a3 = load(a + 3 &* stride)
  }
}

/// `count` rounded up to whole vectors.
@inline(__always) func padded(_ count: Int) -> Int { (count &+ lanes &- 1) / lanes &* lanes }

/// The dot products of rows 0...3 of `a` with rows `0..<tileWidth` of `b`, handed to `finish(row of b, the four)`.
/// `depth` is a whole number of vectors.
@inline(__always) func wideTile(
  _ a: Floats, _ aStride: Int, _ b: Floats, _ bStride: Int, _ depth: Int, _ finish: (Int, SIMD4<Float>) -> Void
) {
  var (c0, c1, c2) = (TileColumn(), TileColumn(), TileColumn())
  #if ISA_AVX512
    var c3 = TileColumn()
  #endif
  var k = 0
  while k < depth {
    let p = b + k
    #if ISA_AVX512
      let four = TileRows(a + k, aStride)
      c0.add(four, load(p))
      c1.add(four, load(p + bStride))
      c2.add(four, load(p + 2 &* bStride))
      c3.add(four, load(p + 3 &* bStride))
    #else
      // Row by row: of 16 registers, 12 hold sums, 3 hold b, and 1 is left for a.
      let (v0, v1, v2) = (load(p), load(p + bStride), load(p + 2 &* bStride))
      let a0 = load(a + k)
      c0.s0 = fused(a0, v0, c0.s0)
      c1.s0 = fused(a0, v1, c1.s0)
      c2.s0 = fused(a0, v2, c2.s0)
      let a1 = load(a + (aStride &+ k))
      c0.s1 = fused(a1, v0, c0.s1)
      c1.s1 = fused(a1, v1, c1.s1)
      c2.s1 = fused(a1, v2, c2.s1)
      let a2 = load(a + (2 &* aStride &+ k))
      c0.s2 = fused(a2, v0, c0.s2)
      c1.s2 = fused(a2, v1, c1.s2)
      c2.s2 = fused(a2, v2, c2.s2)
      let a3 = load(a + (3 &* aStride &+ k))
      c0.s3 = fused(a3, v0, c0.s3)
      c1.s3 = fused(a3, v1, c1.s3)
      c2.s3 = fused(a3, v2, c2.s3)
    #endif
    k &+= lanes
  }
  finish(0, c0.sums)
  finish(1, c1.sums)
  finish(2, c2.sums)
  #if ISA_AVX512
    finish(3, c3.sums)
  #endif
}

/// The same for one row of `b`.
@inline(__always) func narrowTile(_ a: Floats, _ aStride: Int, _ b: Floats, _ depth: Int) -> SIMD4<Float> {
  var column = TileColumn()
  var k = 0
  while k < depth {
    column.add(TileRows(a + k, aStride), load(b + k))
    k &+= lanes
  }
  return column.sums
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
