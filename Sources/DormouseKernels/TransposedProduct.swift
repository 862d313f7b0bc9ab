internal import CPlatform
public import DormouseSupport

/// Products with the transposed matrix: the absorbed query.
extension Kernels {
  /// From this many rows of x on it pays to decode the weights first.
  private static let decodeCount = 4

  /// `y[i, c] = sum over r in rows of x[i, r - rows.lowerBound] * w[r, c]`; a row's result does not depend on the others.
  ///
  /// - Parameters:
  ///   - following: the first of the rows that the calling thread multiplies next; few x have them read ahead.
  ///   - x: [count, rows.count].
  ///   - y: [count, w.columns], `stride` floats between rows.
  ///   - scratch: `transposedScratchCount` floats.
  public func multiplyTransposed(
    _ w: WeightMatrix, rows: Range<Int>, following: Int? = nil, x: FloatMatrix, into y: UnsafeMutablePointer<Float>,
    stride: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let w = w.slice(rows: rows)
    let following = following.map { $0 - rows.lowerBound } ?? -1
    if x.rows < Kernels.decodeCount {
      for i in 0..<x.rows {
        multiplyTransposed(w, following, x: x.data + i * x.stride, into: y + i * stride, sums: scratch)
      }
    } else {
      multiplyDecoded(w, x: x, into: y, stride: stride, scratch: scratch)
    }
  }

  /// Floats of scratch memory that `multiplyTransposed` needs for `rows` rows of weights and `count` of x at most.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func transposedScratchCount(rows: Int, columns: Int, count: Int) throws(Failure) -> Int {
    let what = "the scratch memory of a transposed product"
    let weights = try CheckedSize.product(CheckedSize.sum(rows, 1, of: what), columns, of: what)
    return try CheckedSize.sum(weights, CheckedSize.product(rows, count, of: what), of: what)
  }

  /// Rows are added up in the blocks of `multiplyOuter`, for the same bits. sums: [w.columns].
  private func multiplyTransposed(
    _ w: WeightMatrix, _ following: Int, x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
    sums: UnsafeMutablePointer<Float>
  ) {
    let block = Int(PLATFORM_OUTER_DEPTH)
    var product = platform_transposed_product(w: w.platform, first: 0, last: 0, following: following, x: x, y: y)
    repeat {
      product.first = product.last
      product.last = min(product.first + block, w.rows)
      product.following = product.last < w.rows ? product.last : following
      product.x = x + product.first
      product.y = product.first == 0 ? y : sums
      table.multiply_transposed(&product)
      if product.first > 0 { addScaled(y, 1, sums, count: w.columns) }
    } while product.last < w.rows
  }

  /// Decodes the weights once for all x. As above their scales are multiplied into x, block of columns by block.
  private func multiplyDecoded(
    _ w: WeightMatrix, x: FloatMatrix, into y: UnsafeMutablePointer<Float>, stride: Int,
    scratch weights: UnsafeMutablePointer<Float>
  ) {
    let unscaled = w.withoutScales
    for row in 0..<w.rows { dequantize(unscaled, row: row, into: weights + row * w.columns) }
    guard let scales = w.scales else {
      let matrix = FloatMatrix(weights, rows: w.rows, columns: w.columns, stride: w.columns)
      multiplyOuter(x, matrix, into: y, stride: stride)
      return
    }
    let scaled = weights + w.rows * w.columns
    for column in Swift.stride(from: 0, to: w.columns, by: scales.columnBlock) {
      for row in 0..<w.rows {
        let scale = scales.value(row: row, column: column)
        for i in 0..<x.rows { scaled[i * w.rows + row] = x.data[i * x.stride + row] * scale }
      }
      let width = min(scales.columnBlock, w.columns - column)
      multiplyOuter(
        FloatMatrix(scaled, rows: x.rows, columns: w.rows, stride: w.rows),
        FloatMatrix(weights + column, rows: w.rows, columns: width, stride: w.columns), into: y + column,
        stride: stride)
    }
  }
}
