public import DormouseKernels
public import DormouseSupport

/// Matrix products that don't wait for each other, run over the pool as one batch.
///
/// Decoding is a chain of short batches, so what can run side by side goes into one. The queue keeps its memory: in the
/// steady state nothing is allocated.
public final class ProductQueue {
  /// y = W x + b for `count` rows of x.
  private struct Product {
    let linear: Linear
    let x: Activations
    let count: Int
    let y: UnsafeMutablePointer<Float>
  }

  public let kernels: Kernels
  public let pool: ThreadPool
  private var products: ContiguousArray<Product> = []
  private var rows: SharedRows

  public init(kernels: Kernels, pool: ThreadPool, capacity: Int) {
    self.kernels = kernels
    self.pool = pool
    rows = SharedRows(capacity: capacity)
    products.reserveCapacity(capacity)
  }

  /// The input of products: `count` rows [count, columns], rounded as well where the model has packed matrices.
  ///
  /// There is one place for rounded rows: the next call overwrites them.
  public func prepare(
    _ x: UnsafePointer<Float>, columns: Int, count: Int, in memory: UnsafeMutableRawPointer?
  ) -> Activations {
    guard let memory else { return Activations(floats: x, stride: columns) }
    let quantized = QuantizedRows(memory: memory, columns: columns, capacity: count)
    pool.forEachToken(count) { token in
      kernels.quantize(x + token * columns, xStride: columns, count: 1, columns: columns, into: quantized, row: token)
    }
    return Activations(floats: x, stride: columns, quantized: quantized)
  }

  /// Adds a product to the next batch.
  /// - Parameters:
  ///   - x: [count, weight.columns], from `prepare`.
  ///   - y: [count, weight.rows].
  public func add(_ linear: Linear, x: Activations, count: Int, y: UnsafeMutablePointer<Float>) {
    rows.add(rows: linear.weight.rows, rowCost: linear.weight.columns * count)
    products.append(Product(linear: linear, x: x, count: count, y: y))
  }

  /// A batch of one product.
  public func run(_ linear: Linear, x: Activations, count: Int, y: UnsafeMutablePointer<Float>) {
    add(linear, x: x, count: count, y: y)
    run()
  }

  /// Computes what was added since the last run.
  public func run() {
    rows.run(on: pool) { index, rows in
      let product = products[index]
      kernels.multiply(
        product.linear, rows: rows, x: product.x, count: product.count, into: product.y + rows.lowerBound,
        yStride: product.linear.weight.rows)
    }
    products.removeAll(keepingCapacity: true)
    rows.removeAll()
  }
}

extension ThreadPool {
  /// Runs `body` for every token, on several threads where there are enough of them.
  public func forEachToken(_ count: Int, _ body: (_ token: Int) -> Void) {
    let block = 8
    guard count > block, threadCount > 1 else {
      for token in 0..<count { body(token) }
      return
    }
    run(CheckedSize.ceilingQuotient(count, block)) { task, _ in
      for token in task * block..<min((task + 1) * block, count) { body(token) }
    }
  }
}
