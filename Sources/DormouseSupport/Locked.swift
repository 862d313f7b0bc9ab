/// A value behind a lock.
public final class Locked<Value: ~Copyable>: @unchecked Sendable {
  private let monitor = Monitor()
  private var value: Value

  public init(_ value: consuming Value) { self.value = value }

  public func withLock<Result, Problem: Error>(
    _ body: (inout Value) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try monitor.withLock { () throws(Problem) in try body(&value) }
  }
}
