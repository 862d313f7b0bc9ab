public import DormouseSupport

/// The rows of several matrices, one matrix behind the other, shared out over a pool's threads in tasks of about equal
/// cost: a few for each thread, so that a late thread costs little, but none so small that handing it out costs more than
/// doing it. A task may end within one matrix and begin within another: whole matrices, nine experts for two threads say,
/// would leave threads waiting at the end. Where there are many matrices and much to do with each, as in a prompt, there
/// are as many tasks as matrices, and only the large ones are cut.
public struct SharedRows {
  /// One matrix.
  private struct Part {
    /// What the rows of the matrices before it cost.
    let start: Int
    let rows: Int
    let rowCost: Int

    /// The row that the cost of all rows before it comes nearest to `cost`.
    /// - Parameter least: a matrix that costs less is not cut.
    func row(at cost: Int, least: Int) -> Int {
      let row = max(cost - start, 0) / rowCost
      let multiple = rows * rowCost < least ? rows : SharedRows.rowMultiple
      return row < rows ? min((row + multiple / 2) / multiple * multiple, rows) : rows
    }
  }

  private var parts: ContiguousArray<Part> = []
  private var cost = 0
  private var rows = 0

  private static let tasksPerThread = 4
  /// Multiplications that take a core a microsecond or two: what handing out a task costs, several times over.
  private static let leastCost = 1 << 14
  /// Multiplications that take a core a tenth of a millisecond or more.
  private static let longCost = 1 << 24
  /// A whole number of every kernel's row group, and of the groups in which results are rounded for the next product.
  private static let rowMultiple = 32

  /// - Parameter capacity: matrices for which memory is kept.
  public init(capacity: Int) { parts.reserveCapacity(capacity) }

  public mutating func removeAll() {
    parts.removeAll(keepingCapacity: true)
    (cost, rows) = (0, 0)
  }

  /// Adds a matrix.
  /// - Parameter rowCost: multiplications that one of its rows takes, for all its inputs.
  public mutating func add(rows: Int, rowCost: Int) {
    let rowCost = max(rowCost, 1)
    parts.append(Part(start: cost, rows: rows, rowCost: rowCost))
    cost += rows * rowCost
    self.rows += rows
  }

  /// Runs `body(number of the matrix, some of its rows)` until each row has had its turn once.
  public func run(on pool: ThreadPool, _ body: (_ part: Int, _ rows: Range<Int>) -> Void) {
    let count = taskCount(threads: pool.threadCount)
    let size = cost / count
    // A part of a matrix costs preparing its inputs: where tasks are many, small matrices stay whole.
    let least = count > fewTasks(threads: pool.threadCount) ? size : 0
    pool.run(count) { task, _ in
      // What division leaves over is the last task's.
      let (from, to) = (task * size, task + 1 < count ? (task + 1) * size : cost)
      for (index, part) in parts.enumerated() where part.start < to {
        let rows = part.row(at: from, least: least)..<part.row(at: to, least: least)
        if !rows.isEmpty { body(index, rows) }
      }
    }
  }

  private func fewTasks(threads: Int) -> Int { max(threads, 1) * SharedRows.tasksPerThread }

  private func taskCount(threads: Int) -> Int {
    let wanted = max(fewTasks(threads: threads), min(parts.count, cost / SharedRows.longCost))
    return max(1, min(wanted, cost / SharedRows.leastCost, CheckedSize.ceilingQuotient(rows, SharedRows.rowMultiple)))
  }
}
