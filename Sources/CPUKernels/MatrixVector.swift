public import CPlatform

/// `y[i, r - first] = sum over c of w[r, c] * x[i, c]`, for few x: each row of weights is read from memory once.
///
/// x: [count, w.columns] with `xStride` floats between rows; y: [count, last - first] with `yStride`.
@inline(never) public func multiplyVectors(
  _ w: platform_matrix, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ xStride: Int, _ count: Int,
  _ y: UnsafeMutablePointer<Float>, _ yStride: Int
) {
  let job = VectorJob(w: w, first: first, last: last, x: x, xStride: xStride, count: count, y: y, yStride: yStride)
  switch w.type {
  case Int32(PLATFORM_TYPE_FLOAT32): job.run(Float32Format.self)
  case Int32(PLATFORM_TYPE_FLOAT16): job.run(Float16Format.self)
  case Int32(PLATFORM_TYPE_BFLOAT16): job.run(BFloat16Format.self)
  default: job.run(Float8Format.self)
  }
}

private struct VectorJob {
  let w: platform_matrix
  let first: Int
  let last: Int
  let x: Floats
  let xStride: Int
  let count: Int
  let y: MutableFloats
  let yStride: Int

  @inline(__always) func run<F: Format>(_: F.Type) {
    guard let data = w.data else { return }
    var r = first
    while r < last {
      let row = data + r &* w.columns &* F.byteCount
      var i = 0
      while i &+ 4 <= count {
        store4(rowTimesFour(F.self, row, r, x + i &* xStride), r, i)
        i &+= 4
      }
      while i < count {
        y[i &* yStride &+ r &- first] = rowTimesOne(F.self, row, r, x + i &* xStride)
        i &+= 1
      }
      r &+= 1
    }
  }

  @inline(__always) func store4(_ sums: SIMD4<Float>, _ r: Int, _ i: Int) {
    let out = y + (i &* yStride &+ r &- first)
    out[0] = sums.x
    out[yStride] = sums.y
    out[2 &* yStride] = sums.z
    out[3 &* yStride] = sums.w
  }

  /// One row times one vector. With scales, each block's sum is multiplied by its scale once.
  @inline(__always) func rowTimesOne<F: Format>(_: F.Type, _ row: UnsafeRawPointer, _ r: Int, _ x: Floats) -> Float {
    var seen = IntVector(repeating: 0)
    var tail: Float = 0
    var total = zero
    if w.scales == nil {
      total = partial(F.self, row, x, 0, w.columns, &tail, &seen)
    } else {
      let scales = rowScales(w, r)
      var begin = 0
      var block = 0
      while begin < w.columns {
        let end = w.column_block < w.columns &- begin ? begin &+ w.column_block : w.columns
        let factor = scale(w, scales, block)
        var rest: Float = 0
        total = fused(partial(F.self, row, x, begin, end, &rest, &seen), splat(factor), total)
        tail = fused(rest, factor, tail)
        begin = end
        block &+= 1
      }
    }
    return F.foundNaN(seen) ? .nan : sum(total) + tail
  }

  /// Columns `begin..<end` of a row times x: whole vectors as the result, the last columns in `tail`.
  @inline(__always) func partial<F: Format>(
    _: F.Type, _ row: UnsafeRawPointer, _ x: Floats, _ begin: Int, _ end: Int, _ tail: inout Float,
    _ seen: inout IntVector
  ) -> FloatVector {
    var s0 = zero
    var s1 = zero
    var s2 = zero
    var s3 = zero
    var i = begin
    while i &+ 4 &* lanes <= end {
      prefetch(F.self, row, i)
      F.watch(row, i, &seen)
      s0 = fused(F.load(row, i), load(x + i), s0)
      s1 = fused(F.load(row, i &+ lanes), load(x + i + lanes), s1)
      s2 = fused(F.load(row, i &+ 2 &* lanes), load(x + i + 2 &* lanes), s2)
      s3 = fused(F.load(row, i &+ 3 &* lanes), load(x + i + 3 &* lanes), s3)
      i &+= 4 &* lanes
    }
    while i &+ lanes <= end {
      s0 = fused(F.loadExact(row, i), load(x + i), s0)
      i &+= lanes
    }
    while i < end {
      tail = fused(F.loadOne(row, i), x[i], tail)
      i &+= 1
    }
    return (s0 + s1) + (s2 + s3)
  }

  /// One row times four vectors.
  @inline(__always) func rowTimesFour<F: Format>(
    _: F.Type, _ row: UnsafeRawPointer, _ r: Int, _ x: Floats
  ) -> SIMD4<Float> {
    var total = FourSums()
    if w.scales == nil {
      total.add(F.self, row, x, xStride, 0, w.columns)
      return total.sums
    }
    let scales = rowScales(w, r)
    var result = SIMD4<Float>(repeating: 0)
    var begin = 0
    var block = 0
    while begin < w.columns {
      let end = w.column_block < w.columns &- begin ? begin &+ w.column_block : w.columns
      var part = FourSums()
      part.add(F.self, row, x, xStride, begin, end)
      let factor = splat(scale(w, scales, block))
      total.s0 = fused(part.s0, factor, total.s0)
      total.s1 = fused(part.s1, factor, total.s1)
      total.s2 = fused(part.s2, factor, total.s2)
      total.s3 = fused(part.s3, factor, total.s3)
      result += part.tail * SIMD4(repeating: factor[0])
      begin = end
      block &+= 1
    }
    return total.sums + result
  }
}

/// The running sums of four vectors against one row.
private struct FourSums {
  var s0 = zero
  var s1 = zero
  var s2 = zero
  var s3 = zero
  var tail = SIMD4<Float>(repeating: 0)

  @inline(__always) var sums: SIMD4<Float> { laneSums(s0, s1, s2, s3) + tail }

  @inline(__always) mutating func add<F: Format>(
    _: F.Type, _ row: UnsafeRawPointer, _ x: Floats, _ stride: Int, _ begin: Int, _ end: Int
  ) {
    var i = begin
    while i &+ lanes <= end {
      let weights = F.loadExact(row, i)
      let p = x + i
      s0 = fused(weights, load(p), s0)
      s1 = fused(weights, load(p + stride), s1)
      s2 = fused(weights, load(p + 2 &* stride), s2)
      s3 = fused(weights, load(p + 3 &* stride), s3)
      i &+= lanes
    }
    while i < end {
      let p = x + i
      let values = SIMD4(p[0], p[stride], p[2 &* stride], p[3 &* stride])
      tail += values * SIMD4(repeating: F.loadOne(row, i))
      i &+= 1
    }
  }
}

/// Rows follow each other in memory, so reading ahead of this row warms the next; an address past the end is harmless.
@inline(__always) private func prefetch<F: Format>(_: F.Type, _ row: UnsafeRawPointer, _ i: Int) {
  let ahead = row + (i &* F.byteCount &+ 2048)
  var line = 0
  while line < 4 &* lanes &* F.byteCount {
    platform_prefetch(ahead + line)
    line &+= 64
  }
}
