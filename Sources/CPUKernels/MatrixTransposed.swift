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

/// Row by row in the order of memory: y stays in the first cache, and to read several rows at a time halved the speed,
/// since processors read ahead of few streams in a page.
@inline(__always) private func addRows<F: Format>(
  _: F.Type, _ w: platform_matrix, _ first: Int, _ last: Int, _ x: Floats, _ y: MutableFloats
) {
  guard let data = w.data else { return }
  clear(y, w.columns)
  var r = first
  while r < last {
    let row = data + r &* w.columns &* F.byteCount
    let factor = x[r &- first]
    if w.scales == nil {
      addRow(F.self, row, factor, 0, w.columns, y)
    } else {
      let scales = rowScales(w, r)
      var begin = 0
      var block = 0
      while begin < w.columns {
        let end = w.column_block < w.columns &- begin ? begin &+ w.column_block : w.columns
        addRow(F.self, row, factor * scale(w, scales, block), begin, end, y)
        begin = end
        block &+= 1
      }
    }
    r &+= 1
  }
}

/// `y[c] += factor * row[c]` for the columns `begin..<end`.
@inline(__always) private func addRow<F: Format>(
  _: F.Type, _ row: UnsafeRawPointer, _ factor: Float, _ begin: Int, _ end: Int, _ y: MutableFloats
) {
  let factors = splat(factor)
  var c = begin
  while c &+ lanes <= end {
    platform_prefetch(row + (c &* F.byteCount &+ 2048))
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
