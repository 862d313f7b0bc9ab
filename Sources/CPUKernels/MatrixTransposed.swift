public import CPlatform

/// `y[c] = sum over r in first..<last of x[r - first] * w[r, c]`; y: [w.columns].
@inline(never) public func multiplyTransposed(
  _ w: platform_matrix, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>
) {
  switch w.type {
  case Int32(PLATFORM_TYPE_FLOAT32): addRows(Float32Format.self, w, first, last, x, y)
  case Int32(PLATFORM_TYPE_FLOAT16): addRows(Float16Format.self, w, first, last, x, y)
  case Int32(PLATFORM_TYPE_BFLOAT16): addRows(BFloat16Format.self, w, first, last, x, y)
  default: addFloat8Rows(w, first, last, x, y)
  }
}

/// Row `row` in float32, scales multiplied in; y: [w.columns].
@inline(never) public func dequantize(_ w: platform_matrix, _ row: Int, _ y: UnsafeMutablePointer<Float>) {
  switch w.type {
  case Int32(PLATFORM_TYPE_FLOAT32): decode(Float32Format.self, w, row, 0, w.columns, y)
  case Int32(PLATFORM_TYPE_FLOAT16): decode(Float16Format.self, w, row, 0, w.columns, y)
  case Int32(PLATFORM_TYPE_BFLOAT16): decode(BFloat16Format.self, w, row, 0, w.columns, y)
  default: decode(Float8Format.self, w, row, 0, w.columns, y)
  }
}

/// Four rows at a time, so that y is read and written a quarter as often.
@inline(__always) private func addRows<F: Format>(
  _: F.Type, _ w: platform_matrix, _ first: Int, _ last: Int, _ x: Floats, _ y: MutableFloats
) {
  guard let data = w.data else { return }
  for c in 0..<w.columns { y[c] = 0 }
  let stride = w.columns &* F.byteCount
  var begin = 0
  var block = 0
  while begin < w.columns {
    let isWhole = w.scales == nil || w.column_block >= w.columns &- begin
    let end = isWhole ? w.columns : begin &+ w.column_block
    var r = first
    while r &+ 4 <= last {
      var factors = SIMD4(x[r &- first], x[r &- first &+ 1], x[r &- first &+ 2], x[r &- first &+ 3])
      if w.scales != nil {
        factors *= SIMD4(
          scale(w, rowScales(w, r), block), scale(w, rowScales(w, r &+ 1), block),
          scale(w, rowScales(w, r &+ 2), block),
          scale(w, rowScales(w, r &+ 3), block))
      }
      addFour(F.self, data + r &* stride, stride, factors, begin, end, y)
      r &+= 4
    }
    while r < last {
      addOne(F.self, data + r &* stride, x[r &- first] * scale(w, rowScales(w, r), block), begin, end, y)
      r &+= 1
    }
    begin = end
    block &+= 1
  }
}

@inline(__always) private func addFour<F: Format>(
  _: F.Type, _ row: UnsafeRawPointer, _ stride: Int, _ factors: SIMD4<Float>, _ begin: Int, _ end: Int,
  _ y: MutableFloats
) {
  let (f0, f1, f2, f3) = (splat(factors.x), splat(factors.y), splat(factors.z), splat(factors.w))
  var c = begin
  while c &+ lanes <= end {
    let a = fused(F.loadExact(row, c), f0, fused(F.loadExact(row + stride, c), f1, load(y + c)))
    let b = fused(F.loadExact(row + 2 &* stride, c), f2, F.loadExact(row + 3 &* stride, c) * f3)
    store(a + b, y + c)
    c &+= lanes
  }
  while c < end {
    let a = fused(F.loadOne(row, c), factors.x, fused(F.loadOne(row + stride, c), factors.y, y[c]))
    y[c] = a + fused(F.loadOne(row + 2 &* stride, c), factors.z, F.loadOne(row + 3 &* stride, c) * factors.w)
    c &+= 1
  }
}

@inline(__always) private func addOne<F: Format>(
  _: F.Type, _ row: UnsafeRawPointer, _ factor: Float, _ begin: Int, _ end: Int, _ y: MutableFloats
) {
  let factors = splat(factor)
  var c = begin
  while c &+ lanes <= end {
    store(fused(F.loadExact(row, c), factors, load(y + c)), y + c)
    c &+= lanes
  }
  while c < end {
    y[c] = fused(F.loadOne(row, c), factor, y[c])
    c &+= 1
  }
}

/// Columns `from..<to` of a row in float32, scales multiplied in, from `y[0]` on.
@inline(__always) func decode<F: Format>(
  _: F.Type, _ w: platform_matrix, _ row: Int, _ from: Int, _ to: Int, _ y: MutableFloats
) {
  guard let data = w.data else { return }
  let start = data + row &* w.columns &* F.byteCount
  if w.scales == nil {
    decodeScaled(F.self, start, from, to, 1, y)
    return
  }
  let scales = rowScales(w, row)
  var begin = from
  while begin < to {
    let block = begin / w.column_block
    let inside = begin &- block &* w.column_block
    let end = w.column_block &- inside < to &- begin ? begin &+ (w.column_block &- inside) : to
    decodeScaled(F.self, start, begin, end, scale(w, scales, block), y + (begin &- from))
    begin = end
  }
}

@inline(__always) private func decodeScaled<F: Format>(
  _: F.Type, _ row: UnsafeRawPointer, _ begin: Int, _ end: Int, _ factor: Float, _ y: MutableFloats
) {
  let factors = splat(factor)
  var c = begin
  while c &+ lanes <= end {
    store(F.loadExact(row, c) * factors, y + (c &- begin))
    c &+= lanes
  }
  while c < end {
    y[c &- begin] = F.loadOne(row, c) * factor
    c &+= 1
  }
}
