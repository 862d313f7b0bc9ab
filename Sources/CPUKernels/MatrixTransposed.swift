internal import CPlatform

/// The product of one x with the transposed matrix.
@inline(never) func multiplyTransposed(_ product: UnsafePointer<platform_transposed_product>) {
  run(TransposedJob(product: product.pointee), product.pointee.w.type)
}

private struct TransposedJob: FormatJob {
  let product: platform_transposed_product

  @inline(__always) func run<F: Format>(_: F.Type) {
    let (w, x, y) = (product.w, product.x, product.y)
    if F.self == Float8Format.self { return addFloat8Rows(w, product.first, product.last, x, y) }
    addRows(F.self, w, product.first, product.last, product.following, x, y)
  }
}

/// Row `row` in float32, scales multiplied in; y: [w.columns].
@inline(never) func dequantize(_ w: UnsafePointer<platform_matrix>, _ row: Int, _ y: MutableFloats) {
  run(DequantizationJob(w: w.pointee, row: row, y: y), w.pointee.type)
}

private struct DequantizationJob: FormatJob {
  let w: platform_matrix
  let row: Int
  let y: MutableFloats

  @inline(__always) func run<F: Format>(_: F.Type) { decode(F.self, w, row, 0, w.columns, y) }
}

/// Blocks of rows in the order of memory, whose sums stay in registers over a block.
@inline(__always) private func addRows<F: Format>(
  _: F.Type, _ w: platform_matrix, _ first: Int, _ last: Int, _ following: Int, _ x: Floats, _ y: MutableFloats
) {
  guard let data = w.data else { return }
  if first >= last { return clear(y, w.columns) }
  if w.scales != nil { return addScaledRows(F.self, w, first, last, x, y) }
  let stride = w.columns &* F.byteCount
  let order = ReadingOrder(data: data, stride: stride, last: last, following: following)
  prefetchBeginning(data + first &* stride, (last &- first) &* stride)
  var r = first
  while r < last {
    let count = last &- r < rowsTogether ? last &- r : rowsTogether
    let rows = data + r &* stride
    let block = RowBlock(
      rows: rows, stride: stride, count: count, ahead: order.address((r &+ rowsTogether) &* stride) ?? rows,
      x: x + (r &- first), isFirst: r == first)
    block.add(F.self, w.columns, y)
    r &+= rowsTogether
  }
}

/// Rows that are added up before sums go back to memory.
private let rowsTogether = 16

/// Neighbouring rows of weights and a factor for each of them.
private struct RowBlock {
  let rows: UnsafeRawPointer
  /// Bytes from one row to the next.
  let stride: Int
  let count: Int
  /// Rows that are asked for meanwhile, line by line.
  let ahead: UnsafeRawPointer
  let x: Floats
  /// Whether sums begin with these rows.
  let isFirst: Bool

  @inline(__always) func add<F: Format>(_: F.Type, _ columns: Int, _ y: MutableFloats) {
    var c = 0
    while c &+ 8 &* lanes <= columns {
      addEight(F.self, c, y + c)
      c &+= 8 &* lanes
    }
    while c &+ lanes <= columns {
      var sum = isFirst ? zero : load(y + c)
      for i in 0..<count { sum = fused(F.loadExact(rows + i &* stride, c), splat(x[i]), sum) }
      store(sum, y + c)
      c &+= lanes
    }
    while c < columns {
      var sum = isFirst ? 0 : y[c]
      for i in 0..<count { sum = fused(F.loadOne(rows + i &* stride, c), x[i], sum) }
      y[c] = sum
      c &+= 1
    }
  }

  /// The columns of eight vectors.
  @inline(__always) private func addEight<F: Format>(_: F.Type, _ c: Int, _ y: MutableFloats) {
    var sums = isFirst ? EightSums() : EightSums(y)
    var row = rows
    var next = ahead + c &* F.byteCount
    for i in 0..<count {
      var line = 0
      while line < 8 &* lanes &* F.byteCount {
        platform_prefetch_second(next + line)
        line &+= 64
      }
      sums.add(F.self, row, c, splat(x[i]))
      row += stride
      next += stride
    }
    sums.put(y)
  }
}

/// The sums of eight neighbouring vectors of columns. Named, because an array's would go through memory.
private struct EightSums {
  var s0 = zero
  var s1 = zero
  var s2 = zero
  var s3 = zero
  var s4 = zero
  var s5 = zero
  var s6 = zero
  var s7 = zero

  @inline(__always) init() {}

  @inline(__always) init(_ y: MutableFloats) {
    s0 = load(y)
    s1 = load(y + lanes)
    s2 = load(y + 2 &* lanes)
    s3 = load(y + 3 &* lanes)
    s4 = load(y + 4 &* lanes)
    s5 = load(y + 5 &* lanes)
    s6 = load(y + 6 &* lanes)
    s7 = load(y + 7 &* lanes)
  }

  @inline(__always) mutating func add<F: Format>(_: F.Type, _ row: UnsafeRawPointer, _ c: Int, _ factor: FloatVector) {
    s0 = fused(F.loadExact(row, c), factor, s0)
    s1 = fused(F.loadExact(row, c &+ lanes), factor, s1)
    s2 = fused(F.loadExact(row, c &+ 2 &* lanes), factor, s2)
    s3 = fused(F.loadExact(row, c &+ 3 &* lanes), factor, s3)
    s4 = fused(F.loadExact(row, c &+ 4 &* lanes), factor, s4)
    s5 = fused(F.loadExact(row, c &+ 5 &* lanes), factor, s5)
    s6 = fused(F.loadExact(row, c &+ 6 &* lanes), factor, s6)
    s7 = fused(F.loadExact(row, c &+ 7 &* lanes), factor, s7)
  }

  @inline(__always) func put(_ y: MutableFloats) {
    store(s0, y)
    store(s1, y + lanes)
    store(s2, y + 2 &* lanes)
    store(s3, y + 3 &* lanes)
    store(s4, y + 4 &* lanes)
    store(s5, y + 5 &* lanes)
    store(s6, y + 6 &* lanes)
    store(s7, y + 7 &* lanes)
  }
}

/// Row by row, with the scales of each row's blocks.
@inline(__always) private func addScaledRows<F: Format>(
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
