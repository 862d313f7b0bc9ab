import DormouseKernels
import DormouseSupport

/// Matrix products that don't wait for each other, run over the pool as one batch.
///
/// Decoding is a chain of short batches, so what can run side by side goes into one. The queue keeps its memory: in the
/// steady state nothing is allocated.
final class ProductQueue {
  /// y = W x + b for `count` rows of x.
  private struct Product {
    let weight: WeightMatrix
    let bias: FloatVector?
    let x: UnsafePointer<Float>
    let xStride: Int
    let count: Int
    let y: UnsafeMutablePointer<Float>
    let yStride: Int
    let firstTask: Int
  }

  let kernels: Kernels
  let pool: ThreadPool
  private var products: ContiguousArray<Product> = []
  private var blocks = TaskBlocks(rows: 0, rowCost: 1, threads: 1)

  init(kernels: Kernels, pool: ThreadPool, capacity: Int) {
    self.kernels = kernels
    self.pool = pool
    products.reserveCapacity(capacity)
  }

  /// Starts a batch.
  /// - Parameters:
  ///   - rows: rows of all its weights together.
  ///   - rowCost: multiplications that one of them takes, for all its inputs.
  func begin(rows: Int, rowCost: Int) {
    products.removeAll(keepingCapacity: true)
    blocks = TaskBlocks(rows: rows, rowCost: rowCost, threads: pool.threadCount)
  }

  /// - Parameters:
  ///   - x: [count, weight.columns], rows `xStride` floats apart.
  ///   - y: [count, weight.rows], rows `yStride` floats apart.
  func add(
    _ weight: WeightMatrix, bias: FloatVector? = nil, x: UnsafePointer<Float>, xStride: Int, count: Int,
    y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    let first = blocks.add(weight.rows)
    products.append(
      Product(
        weight: weight, bias: bias, x: x, xStride: xStride, count: count, y: y, yStride: yStride, firstTask: first))
  }

  /// The product of one `Linear` with contiguous rows.
  func add(_ linear: Linear, x: UnsafePointer<Float>, count: Int, y: UnsafeMutablePointer<Float>) {
    add(
      linear.weight, bias: linear.bias, x: x, xStride: linear.weight.columns, count: count, y: y,
      yStride: linear.weight.rows)
  }

  /// A batch of one product with contiguous rows.
  func run(_ linear: Linear, x: UnsafePointer<Float>, count: Int, y: UnsafeMutablePointer<Float>) {
    begin(rows: linear.weight.rows, rowCost: linear.weight.columns * count)
    add(linear, x: x, count: count, y: y)
    run()
  }

  func run() {
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
    kernels.multiply(
      product.weight, rows: rows, x: product.x, xStride: product.xStride, count: product.count, into: y,
      yStride: product.yStride)
    guard let bias = product.bias else { return }
    for token in 0..<product.count {
      kernels.addScaled(y + token * product.yStride, 1, bias.pointer + rows.lowerBound, count: rows.count)
    }
  }
}

/// Cuts the rows of several matrices into tasks of about equal size: a few for each thread, so that a late thread costs
/// little, but none so small that handing it out costs more than doing it.
struct TaskBlocks {
  /// Rows of a task.
  let size: Int
  private(set) var taskCount = 0

  private static let tasksPerThread = 4
  /// Multiplications that take a core a microsecond or two: what handing out a task costs, several times over.
  private static let leastCost = 1 << 14
  /// A whole number of every kernel's row group.
  private static let rowMultiple = 16

  init(rows: Int, rowCost: Int, threads: Int) {
    let even = CheckedSize.ceilingQuotient(rows, max(threads, 1) * TaskBlocks.tasksPerThread)
    let least = CheckedSize.ceilingQuotient(TaskBlocks.leastCost, max(rowCost, 1))
    size = max(CheckedSize.ceilingQuotient(max(even, least), TaskBlocks.rowMultiple), 1) * TaskBlocks.rowMultiple
  }

  /// Adds a matrix of `rows` rows; returns the number of its first task.
  mutating func add(_ rows: Int) -> Int {
    let first = taskCount
    taskCount += CheckedSize.ceilingQuotient(rows, size)
    return first
  }

  /// The rows of a matrix's task number `block`.
  func rows(_ block: Int, of rows: Int) -> Range<Int> { block * size..<min((block + 1) * size, rows) }
}

extension ThreadPool {
  /// Runs `body` for every token, on several threads where there are enough of them.
  func forEachToken(_ count: Int, _ body: (_ token: Int) -> Void) {
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
