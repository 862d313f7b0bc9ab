import Glibc

/// One job on a thread of its own, which the system runs when nobody else wants the processor. Thread: any.
public final class BackgroundJob: Sendable {
  private let thread: Locked<BackgroundThread?>

  /// Starts `body`.
  /// - Parameter name: of the thread, as debuggers show it: up to 15 bytes.
  /// - Throws: `Failure(.outOfMemory)` or `Failure(.internalError)` when the system refuses a thread; `body` was not
  ///   called then.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(Failure) {
    thread = Locked(
      try BackgroundThread(name: name) {
        // Of this thread alone: Linux keeps the value for each. A refusal costs others some time, and no more.
        setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
        body()
      })
  }

  /// Returns when the job is done.
  public func wait() {
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  /// A job is never left behind.
  deinit { wait() }
}
