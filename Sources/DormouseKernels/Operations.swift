internal import CPlatform
public import DormouseSupport

extension Kernels {
  /// `y[i, r - rows.lowerBound] = sum over c of w[r, c] * x[i, c]` for r in `rows`, i in `0..<count`.
  ///
  /// - Parameters:
  ///   - rows: rows of `w`; those it does not have are left out.
  ///   - following: the first of the rows that the calling thread multiplies next; few x have them read ahead.
  ///   - x: [count, w.columns], `xStride` floats between rows.
  ///   - y: [count, rows.count], `yStride` floats between rows; NaN when there is no memory to work in.
  public func multiply(
    _ w: WeightMatrix, rows: Range<Int>, following: Int? = nil, x: UnsafePointer<Float>, xStride: Int, count: Int,
    into y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    let rows = rows.clamped(to: 0..<w.rows)
    guard count > 0, !rows.isEmpty else { return }
    let isMatrix = count >= matrixCount(columns: w.columns)
    let size = (isMatrix ? table.multiply_matrix_scratch : table.multiply_vectors_scratch)(w.columns, count)
    guard let scratch = scratch(size) else {
      for i in 0..<count { (y + i * yStride).update(repeating: .nan, count: rows.count) }
      return
    }
    var product = platform_product(
      w: w.platform, first: rows.lowerBound, last: rows.upperBound, following: following ?? -1, x: x,
      x_stride: xStride, count: count, y: y, y_stride: yStride, scratch: scratch)
    (isMatrix ? table.multiply_matrix : table.multiply_vectors)(&product)
  }

  /// From this many rows of x on it pays to decode blocks of weights first, and to pack x.
  public func matrixCount(columns: Int) -> Int { table.least_matrix_count(columns) }

  /// Bytes of a thread's scratch memory that `multiply` needs for `count` rows of x at most.
  public func scratchByteCount(columns: Int, count: Int) -> Int {
    let least = matrixCount(columns: columns)
    let vectors = table.multiply_vectors_scratch(columns, min(count, least - 1))
    let matrix = count < least ? 0 : table.multiply_matrix_scratch(columns, count)
    return max(vectors, matrix) * MemoryLayout<Float>.stride
  }

  /// Puts x into the order that `multiply(_:rows:packed:count:into:yStride:)` reads, once for all matrices it meets.
  ///
  /// - Parameters:
  ///   - x: [count, columns], `xStride` floats between rows.
  ///   - packed: `count * columns` floats.
  public func packActivations(
    _ x: UnsafePointer<Float>, xStride: Int, count: Int, columns: Int, into packed: UnsafeMutablePointer<Float>
  ) {
    var x = platform_floats(data: x, stride: xStride, rows: count, columns: columns)
    table.pack_activations(&x, packed)
  }

  /// `multiply` with an x that was packed before, worth it from `matrixCount(columns:)` rows on: the same bits, but the work of
  /// packing is not repeated by every task.
  public func multiply(
    _ w: WeightMatrix, rows: Range<Int>, packed: UnsafePointer<Float>, count: Int,
    into y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    let rows = rows.clamped(to: 0..<w.rows)
    guard count > 0, !rows.isEmpty else { return }
    guard let scratch = scratch(table.multiply_packed_scratch()) else {
      for i in 0..<count { (y + i * yStride).update(repeating: .nan, count: rows.count) }
      return
    }
    var product = platform_product(
      w: w.platform, first: rows.lowerBound, last: rows.upperBound, following: -1, x: packed, x_stride: w.columns,
      count: count, y: y, y_stride: yStride, scratch: scratch)
    table.multiply_packed(&product)
  }

  /// Memory of this thread for `count` floats, until its next use; nil when there is none.
  func scratch(_ count: Int) -> UnsafeMutablePointer<Float>? {
    platform_scratch(count * MemoryLayout<Float>.stride)?.bindMemory(to: Float.self, capacity: count)
  }

  /// Row `row` of `w` in float32, scales multiplied in. y: [w.columns].
  public func dequantize(_ w: WeightMatrix, row: Int, into y: UnsafeMutablePointer<Float>) {
    guard row >= 0, row < w.rows else { return }
    var matrix = w.platform
    table.dequantize(&matrix, row, y)
  }

  /// The sum of `a[i] * b[i]`.
  public func dot(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Float {
    table.dot(a, b, count)
  }

  /// `y[i] += factor * x[i]`.
  public func addScaled(
    _ y: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, count: Int
  ) {
    table.add_scaled(y, factor, x, count)
  }

  /// `y[i] = x[i] / sqrt(mean of x squared + epsilon) * weight[i]` (Zhang and Sennrich 2019). y may be x.
  public func rmsNorm(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, epsilon: Float, count: Int,
    into y: UnsafeMutablePointer<Float>
  ) {
    table.rms_norm(x, weight, epsilon, count, y)
  }

  /// `y[i] = (x[i] - mean) / sqrt(variance + epsilon) * weight[i] + bias[i]` (Ba et al. 2016). y may be x.
  public func layerNorm(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>, epsilon: Float, count: Int,
    into y: UnsafeMutablePointer<Float>
  ) {
    table.layer_norm(x, weight, bias, epsilon, count, y)
  }

  /// `x[i] = x[i] / 2 * (1 + erf(x[i] / sqrt 2))`, in place.
  public func gelu(_ x: UnsafeMutablePointer<Float>, count: Int) { table.gelu(x, count) }

  /// `x[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 * x[i]^3)))`, in place.
  public func geluTanh(_ x: UnsafeMutablePointer<Float>, count: Int) { table.gelu_tanh(x, count) }

  /// `gate[i] = silu(gate[i]) * up[i]`, with `silu(g) = g / (1 + exp(-g))`.
  public func siluMultiply(gate: UnsafeMutablePointer<Float>, up: UnsafePointer<Float>, count: Int) {
    table.silu_multiply(gate, up, count)
  }

  /// `x[i] = exp(x[i] - max) / sum`, in place. An entry of -infinity becomes 0; all of them, or a NaN, give NaN.
  public func softmax(_ x: UnsafeMutablePointer<Float>, count: Int) {
    table.softmax(x, count)
  }

  /// `y[i, r] = sum over c of w[r, c] * x[i, c]` for the whole matrix, blocks of rows shared out over `pool`.
  ///
  /// - Parameters:
  ///   - x: [count, w.columns].
  ///   - y: [count, w.rows].
  public func multiply(
    _ w: WeightMatrix, x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>, pool: ThreadPool
  ) {
    let block = Kernels.rowsPerTask(w, count: count, threadCount: pool.threadCount)
    pool.run(CheckedSize.ceilingQuotient(w.rows, block)) { task, _ in
      let first = task * block
      multiply(
        w, rows: first..<min(w.rows, first + block), x: x, xStride: w.columns, count: count, into: y + first,
        yStride: w.rows)
    }
  }

  /// A whole number of 16-row tiles: enough tasks to balance the threads, none so small that claiming it shows.
  static func rowsPerTask(_ w: WeightMatrix, count: Int, threadCount: Int) -> Int {
    guard threadCount > 1 else { return max(1, w.rows) }
    let balanced = CheckedSize.ceilingQuotient(w.rows, threadCount * 8)
    let worthwhile = CheckedSize.ceilingQuotient(1 << 17, max(1, w.columns * max(1, count)))
    return CheckedSize.ceilingQuotient(max(balanced, worthwhile, 1), 16) * 16
  }
}
