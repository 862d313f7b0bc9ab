internal import CPlatform

// Matrix products in which vectors lie along the rows of the second matrix and of the result: `C += A B`, each number
// of A multiplied with a whole vector of B. Nothing is summed across lanes, so that short sums cost no more than long
// ones; attention is made of such sums.

/// Vectors of a wide tile: its four rows of sums, one row of B and a number of A stay in registers.
#if ISA_AVX512 || ISA_NEON
  @inline(__always) private var tileVectors: Int { 4 }
#else
  @inline(__always) private var tileVectors: Int { 2 }
#endif

/// Depth of a block: that much of B stays in the first cache while all rows of A pass. Its sums begin at zero, so that
/// rounding errors grow with the square root of this depth and then of the number of blocks, not of their product. The
/// same for all sizes: what a row of C is does not depend on the rows and columns that are computed with it, nor on
/// zeroes behind it.
@inline(__always) private var depthBlock: Int { Int(PLATFORM_OUTER_DEPTH) }

/// `C[i, j] (+)= sum over k of A[i, k] * B[k, j]`. No column beyond `columns` is read or written.
@inline(never) func multiplyOuter(_ product: UnsafePointer<platform_outer_product>) {
  outerProduct(product.pointee, product.pointee.a, 0)
}

/// The same, and asks for `aheadCount` bytes from `ahead` on, a little with each step: asked for at once they would hold
/// up the work.
@inline(never) func multiplyOuter(
  _ product: UnsafePointer<platform_outer_product>, ahead: UnsafeRawPointer, _ aheadCount: Int
) {
  outerProduct(product.pointee, ahead, aheadCount)
}

@inline(__always) private func outerProduct(
  _ p: platform_outer_product, _ ahead: UnsafeRawPointer, _ aheadCount: Int
) {
  let wide = tileVectors &* lanes
  let tiles = p.columns / wide &* (p.rows / 4) &+ p.columns % wide / lanes &* (p.rows / 8)
  let steps = tiles &* p.depth
  let step = aheadCount > 0 && steps > 0 ? (aheadCount &+ steps &- 1) / steps : 0
  var k = 0
  repeat {
    let job = OuterJob(
      a: p.a + k &* p.a_step, aRow: p.a_row, aStep: p.a_step, rows: p.rows, b: p.b + k &* p.b_row, bRow: p.b_row,
      depth: depthBlock < p.depth &- k ? depthBlock : p.depth &- k, c: p.c, cRow: p.c_row,
      accumulates: p.accumulate || k > 0, aheadStep: step)
    job.run(p.columns, ahead + k &* tiles &* step)
    k &+= depthBlock
  } while k < p.depth
}

/// A part of the depth for all rows and columns.
private struct OuterJob {
  let a: Floats
  let aRow: Int
  let aStep: Int
  let rows: Int
  let b: Floats
  let bRow: Int
  let depth: Int
  let c: MutableFloats
  let cRow: Int
  let accumulates: Bool
  /// Bytes to ask for with each step; 0 for none.
  let aheadStep: Int

  @inline(__always) func run(_ columns: Int, _ ahead: UnsafeRawPointer) {
    var line = ahead
    var j = 0
    while j &+ tileVectors &* lanes <= columns {
      var i = 0
      while i &+ 4 <= rows {
        wideFour(i, j, &line)
        i &+= 4
      }
      while i < rows {
        wideOne(i, j)
        i &+= 1
      }
      j &+= tileVectors &* lanes
    }
    while j &+ lanes <= columns {
      var i = 0
      while i &+ 8 <= rows {
        narrowEight(i, j, &line)
        i &+= 8
      }
      while i < rows {
        narrowOne(i, j)
        i &+= 1
      }
      j &+= lanes
    }
    if j < columns { for i in 0..<rows { single(i, j, columns) } }
  }

  @inline(__always) private func wideFour(_ i: Int, _ j: Int, _ line: inout UnsafeRawPointer) {
    let out = c + (i &* cRow &+ j)
    var (r0, r1, r2, r3) = (WideSums(), WideSums(), WideSums(), WideSums())
    var p = a + i &* aRow
    var q = b + j
    var k = depth
    while k > 0 {
      if aheadStep > 0 {
        platform_prefetch(line)
        line += aheadStep
      }
      let v = WideRow(q)
      r0.add(p[0], v)
      r1.add(p[aRow], v)
      r2.add(p[2 &* aRow], v)
      r3.add(p[3 &* aRow], v)
      p += aStep
      q += bRow
      k &-= 1
    }
    r0.put(out, accumulates)
    r1.put(out + cRow, accumulates)
    r2.put(out + 2 &* cRow, accumulates)
    r3.put(out + 3 &* cRow, accumulates)
  }

  @inline(__always) private func wideOne(_ i: Int, _ j: Int) {
    let out = c + (i &* cRow &+ j)
    var sums = WideSums()
    for k in 0..<depth { sums.add(a[i &* aRow &+ k &* aStep], WideRow(b + (k &* bRow &+ j))) }
    sums.put(out, accumulates)
  }

  /// Eight rows hide the latency of an addition where there is only one vector of columns.
  @inline(__always) private func narrowEight(_ i: Int, _ j: Int, _ line: inout UnsafeRawPointer) {
    let out = c + (i &* cRow &+ j)
    let next = out + 4 &* cRow
    var (s0, s1, s2, s3) = (zero, zero, zero, zero)
    var (s4, s5, s6, s7) = (zero, zero, zero, zero)
    var p = a + i &* aRow
    var q = p + 4 &* aRow
    var r = b + j
    var k = depth
    while k > 0 {
      if aheadStep > 0 {
        platform_prefetch(line)
        line += aheadStep
      }
      let v = load(r)
      s0 = fused(splat(p[0]), v, s0)
      s1 = fused(splat(p[aRow]), v, s1)
      s2 = fused(splat(p[2 &* aRow]), v, s2)
      s3 = fused(splat(p[3 &* aRow]), v, s3)
      s4 = fused(splat(q[0]), v, s4)
      s5 = fused(splat(q[aRow]), v, s5)
      s6 = fused(splat(q[2 &* aRow]), v, s6)
      s7 = fused(splat(q[3 &* aRow]), v, s7)
      p += aStep
      q += aStep
      r += bRow
      k &-= 1
    }
    put(s0, out)
    put(s1, out + cRow)
    put(s2, out + 2 &* cRow)
    put(s3, out + 3 &* cRow)
    put(s4, next)
    put(s5, next + cRow)
    put(s6, next + 2 &* cRow)
    put(s7, next + 3 &* cRow)
  }

  @inline(__always) private func narrowOne(_ i: Int, _ j: Int) {
    let out = c + (i &* cRow &+ j)
    var s = zero
    for k in 0..<depth { s = fused(splat(a[i &* aRow &+ k &* aStep]), load(b + (k &* bRow &+ j)), s) }
    put(s, out)
  }

  /// The columns that fill no vector.
  @inline(__always) private func single(_ i: Int, _ from: Int, _ to: Int) {
    for j in from..<to {
      var s: Float = 0
      for k in 0..<depth { s = fused(a[i &* aRow &+ k &* aStep], b[k &* bRow &+ j], s) }
      c[i &* cRow &+ j] = accumulates ? c[i &* cRow &+ j] + s : s
    }
  }

  @inline(__always) private func put(_ sums: FloatVector, _ p: MutableFloats) {
    store(accumulates ? load(p) + sums : sums, p)
  }
}

/// `tileVectors` neighbouring vectors of a row of B.
private struct WideRow {
  let v0: FloatVector
  let v1: FloatVector
  #if ISA_AVX512 || ISA_NEON
    let v2: FloatVector
    let v3: FloatVector
  #endif

  @inline(__always) init(_ p: Floats) {
    v0 = load(p)
    v1 = load(p + lanes)
    #if ISA_AVX512 || ISA_NEON
      v2 = load(p + 2 &* lanes)
      v3 = load(p + 3 &* lanes)
    #endif
  }
}

/// The sums of one row of C in a wide tile.
private struct WideSums {
  private var s0 = zero
  private var s1 = zero
  #if ISA_AVX512 || ISA_NEON
    private var s2 = zero
    private var s3 = zero
  #endif

  @inline(__always) mutating func add(_ factor: Float, _ row: WideRow) {
    let f = splat(factor)
    s0 = fused(f, row.v0, s0)
    s1 = fused(f, row.v1, s1)
    #if ISA_AVX512 || ISA_NEON
      s2 = fused(f, row.v2, s2)
      s3 = fused(f, row.v3, s3)
    #endif
  }

  @inline(__always) func put(_ p: MutableFloats, _ accumulates: Bool) {
    store(accumulates ? load(p) + s0 : s0, p)
    store(accumulates ? load(p + lanes) + s1 : s1, p + lanes)
    #if ISA_AVX512 || ISA_NEON
      store(accumulates ? load(p + 2 &* lanes) + s2 : s2, p + 2 &* lanes)
      store(accumulates ? load(p + 3 &* lanes) + s3 : s3, p + 3 &* lanes)
    #endif
  }
}
