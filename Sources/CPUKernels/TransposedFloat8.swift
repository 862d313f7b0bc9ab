internal import CPlatform

// The transposed product of float8: four rows at a time, decoded in parts as for few vectors. y holds the sums in the
// order of the parts until the end, so that nothing is put into order within the loop.

/// As `multiplyTransposed` for float8 weights.
@inline(__always) func addFloat8Rows(_ w: platform_matrix, _ first: Int, _ last: Int, _ x: Floats, _ y: MutableFloats) {
  let job = Float8Rows(w: w, first: first, last: last, x: x, y: y)
  clear(y, w.columns)
  let exponents = (centring(largestMagnitude(x, last &- first)), centring(job.largestScale()))
  var seen = IntVector(repeating: 0)
  var r = first
  while r < last {
    job.addFour(r, exponents.0, exponents.1, &seen)
    r &+= 4
  }
  if Float8Format.foundNaN(seen) { return job.addPlain() }
  job.putInOrder(exponents.0, exponents.1)
}

private struct Float8Rows {
  let w: platform_matrix
  let first: Int
  let last: Int
  let x: Floats
  let y: MutableFloats

  @inline(__always) var group: Int { 4 &* lanes }

  /// Calls `body(first column, last column + 1, block)` for columns that share their scales.
  @inline(__always) func forEachBlock(_ body: (Int, Int, Int) -> Void) {
    let size = w.scales == nil ? w.columns : w.column_block
    var begin = 0
    var block = 0
    while begin < w.columns {
      let end = size < w.columns &- begin ? begin &+ size : w.columns
      body(begin, end, block)
      begin = end
      block &+= 1
    }
  }

  @inline(__always) func largestScale() -> Float {
    var top: Float = w.scales == nil ? 1 : 0
    var r = first
    while w.scales != nil, r < last {
      let scales = rowScales(w, r)
      forEachBlock { _, _, block in
        let size = scale(w, scales, block).magnitude
        if size > top { top = size }
      }
      r = ((w.first_row &+ r) / w.row_block &+ 1) &* w.row_block &- w.first_row
    }
    return top
  }

  /// Rows `r..<r + 4`; those past the last count nothing.
  @inline(__always) func addFour(_ r: Int, _ exponent: Int, _ scaleExponent: Int, _ seen: inout IntVector) {
    guard let data = w.data else { return }
    let p = data + r &* w.columns
    let s1 = r &+ 1 < last ? w.columns : 0
    let s2 = r &+ 2 < last ? 2 &* w.columns : 0
    let s3 = r &+ 3 < last ? 3 &* w.columns : 0
    let rowsAhead = (leastAhead / w.columns &+ 4) / 4 &* 4
    let ahead = r &+ rowsAhead &+ 4 <= last ? rowsAhead &* w.columns : 0
    var watched = seen
    forEachBlock { begin, end, block in
      let f = SIMD4(
        factor(r, block, exponent, scaleExponent), factor(r &+ 1, block, exponent, scaleExponent),
        factor(r &+ 2, block, exponent, scaleExponent), factor(r &+ 3, block, exponent, scaleExponent))
      var c = begin
      while c &+ group <= end {
        prefetchFour(p + (ahead &+ c), w.columns)
        let (a, b) = (words(p + c), words(p + (s1 &+ c)))
        let (d, e) = (words(p + (s2 &+ c)), words(p + (s3 &+ c)))
        Float8Format.watch(a, &watched)
        Float8Format.watch(b, &watched)
        Float8Format.watch(d, &watched)
        Float8Format.watch(e, &watched)
        for k in 0..<4 {
          var sum = load(y + (c &+ k &* lanes))
          sum = fused(Float8Format.element(a, k), splat(f.x), sum)
          sum = fused(Float8Format.element(b, k), splat(f.y), sum)
          sum = fused(Float8Format.element(d, k), splat(f.z), sum)
          store(fused(Float8Format.element(e, k), splat(f.w), sum), y + (c &+ k &* lanes))
        }
        c &+= group
      }
      addTail(r, c, end, block)
    }
    seen = watched
  }

  /// x times the scale of row `r`, both brought to about 2^centre.
  @inline(__always) func factor(_ r: Int, _ block: Int, _ exponent: Int, _ scaleExponent: Int) -> Float {
    guard r < last else { return 0 }
    return x[r &- first] * powerOfTwo(exponent) * (scale(w, rowScales(w, r), block) * powerOfTwo(scaleExponent))
  }

  /// Columns that fill no group, in their order and size from the beginning.
  @inline(__always) func addTail(_ r: Int, _ from: Int, _ end: Int, _ block: Int) {
    guard from < end else { return }
    for row in r..<(r &+ 4 < last ? r &+ 4 : last) { addRow(row, from, end, block) }
  }

  @inline(__always) func putInOrder(_ exponent: Int, _ scaleExponent: Int) {
    let (f, g) = (splat(powerOfTwo(centre &- scaleExponent)), splat(powerOfTwo(centre &- exponent)))
    forEachBlock { begin, end, _ in
      var c = begin
      while c &+ group <= end {
        for k in 0..<4 {
          let p = y + (c &+ k &* lanes)
          store(load(p) * splat(0x1p60) * f * g, p)
        }
        Float8Format.disorder(y + c)
        c &+= group
      }
    }
  }

  /// Everything once more, element by element: the way for a NaN.
  @inline(__always) func addPlain() {
    clear(y, w.columns)
    for r in first..<last { forEachBlock { begin, end, block in addRow(r, begin, end, block) } }
  }

  @inline(__always) func addRow(_ r: Int, _ from: Int, _ end: Int, _ block: Int) {
    guard let data = w.data else { return }
    let factor = x[r &- first] * scale(w, rowScales(w, r), block)
    for c in from..<end { y[c] = fused(Float8Format.loadOne(data + r &* w.columns, c), factor, y[c]) }
  }
}

@inline(__always) private func words(_ p: UnsafeRawPointer) -> IntVector { p.loadUnaligned(as: IntVector.self) }

/// A vector of each of four rows, into the second cache.
@inline(__always) private func prefetchFour(_ p: UnsafeRawPointer, _ stride: Int) {
  platform_prefetch_second(p)
  platform_prefetch_second(p + stride)
  platform_prefetch_second(p + 2 &* stride)
  platform_prefetch_second(p + 3 &* stride)
}
