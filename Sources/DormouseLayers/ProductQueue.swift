public import DormouseKernels
public import DormouseSupport

/// Matrix products that don't wait for each other, run over the pool as one batch.
///
/// Decoding is a chain of short batches, so what can run side by side goes into one. The queue keeps its memory: in the
/// steady state nothing is allocated.
public final class ProductQueue {
  /// y = W x + b for `count` rows of x.
  private struct Product {
    let weight: Weight
    let bias: FloatVector?
    let x: Activations
    let count: Int
    let y: UnsafeMutablePointer<Float>
    let firstTask: Int
  }

  public let kernels: Kernels
  public let pool: ThreadPool
  private var products: ContiguousArray<Product> = []
  private var blocks = TaskBlocks(rows: 0, rowCost: 1, threads: 1)

  public init(kernels: Kernels, pool: ThreadPool, capacity: Int) {
    self.kernels = kernels
    self.pool = pool
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

  /// Starts a batch.
  /// - Parameters:
  ///   - rows: rows of all its weights together.
  ///   - rowCost: multiplications that one of them takes, for all its inputs.
  public func begin(rows: Int, rowCost: Int) {
    products.removeAll(keepingCapacity: true)
    blocks = TaskBlocks(rows: rows, rowCost: rowCost, threads: pool.threadCount)
  }

  /// - Parameters:
  ///   - x: [count, weight.columns], from `prepare`.
  ///   - y: [count, weight.rows].
  public func add(_ linear: Linear, x: Activations, count: Int, y: UnsafeMutablePointer<Float>) {
    let first = blocks.add(linear.weight.rows)
    products.append(
      Product(weight: linear.weight, bias: linear.bias, x: x, count: count, y: y, firstTask: first))
  }

  /// A batch of one product.
  public func run(_ linear: Linear, x: Activations, count: Int, y: UnsafeMutablePointer<Float>) {
    begin(rows: linear.weight.rows, rowCost: linear.weight.columns * count)
    add(linear, x: x, count: count, y: y)
    run()
  }

  public func run() {
    let products = products
    let blocks = blocks
    pool.run(blocks.taskCount) { task, _ in
      var index = products.count - 1
      while index > 0, products[index].firstTask > task { index -= 1 }
      let product = products[index]
      let rows = blocks.rows(task - product.firstTask, of: product.weight.rows)
      multiply(product, rows)
    }
  }

  private func multiply(_ product: Product, _ rows: Range<Int>) {
    let y = product.y + rows.lowerBound
    let stride = product.weight.rows
    kernels.multiply(product.weight, rows: rows, x: product.x, count: product.count, into: y, yStride: stride)
    guard let bias = product.bias else { return }
    for token in 0..<product.count {
      kernels.addScaled(y + token * stride, 1, bias.pointer + rows.lowerBound, count: rows.count)
    }
  }
}

/// Cuts the rows of several matrices into tasks of about equal size: a few for each thread, so that a late thread costs
/// little, but none so small that handing it out costs more than doing it.
public struct TaskBlocks {
  /// Rows of a task.
  public let size: Int
  public private(set) var taskCount = 0

  private static let tasksPerThread = 4
  /// Multiplications that take a core a microsecond or two: what handing out a task costs, several times over.
  private static let leastCost = 1 << 14
  /// A whole number of every kernel's row group, and of the groups in which results are rounded for the next product.
  private static let rowMultiple = 32

  public init(rows: Int, rowCost: Int, threads: Int) {
    let even = CheckedSize.ceilingQuotient(rows, max(threads, 1) * TaskBlocks.tasksPerThread)
    let least = CheckedSize.ceilingQuotient(TaskBlocks.leastCost, max(rowCost, 1))
    size = max(CheckedSize.ceilingQuotient(max(even, least), TaskBlocks.rowMultiple), 1) * TaskBlocks.rowMultiple
  }

  /// Adds a matrix of `rows` rows; returns the number of its first task.
  public mutating func add(_ rows: Int) -> Int {
    let first = taskCount
    taskCount += CheckedSize.ceilingQuotient(rows, size)
    return first
  }

  /// The rows of a matrix's task number `block`.
  public func rows(_ block: Int, of rows: Int) -> Range<Int> { block * size..<min((block + 1) * size, rows) }
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
