internal import DormouseSupport
internal import Glibc
internal import Synchronization

/// What the threads of one load share.
final class LoadingState: @unchecked Sendable {
  static let cancelled = Failure(.cancelled, "loading the weights was cancelled")

  private let total: Int
  private let progress: Progress?
  private let caller = pthread_self()
  private let done = Atomic<Int>(0)
  private let stopped = Atomic<Bool>(false)
  private let failure = Locked<Failure?>(nil)
  /// Bytes at the last call of `progress`; only the calling thread uses it.
  private var reported = 0

  init(total: Int, progress: Progress?) {
    self.total = total
    self.progress = progress
  }

  var isStopped: Bool { stopped.load(ordering: .relaxed) }

  func reportStart() -> Bool { progress?(0, UInt64(total)) ?? true }

  func add(_ count: Int) {
    let now = done.wrappingAdd(count, ordering: .relaxed).newValue
    guard pthread_equal(caller, pthread_self()) != 0, now - reported >= TensorReader.pieceByteCount else { return }
    report(now)
  }

  func fail(_ error: Failure) {
    failure.withLock { $0 = $0 ?? error }
    stopped.store(true, ordering: .relaxed)
  }

  /// Called when all threads are done.
  func finish() throws(Failure) {
    if let failure = failure.withLock({ $0 }) { throw failure }
    if reported < total { report(total) }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  private func report(_ now: Int) {
    reported = now
    if let progress, !progress(UInt64(now), UInt64(total)) { fail(LoadingState.cancelled) }
  }
}
