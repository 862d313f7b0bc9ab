internal import CHost
import Glibc

/// A lock with condition variables (Hoare 1974; as in Mesa, a thread that was woken checks its condition again).
///
/// It stands in for `Synchronization.Mutex` because ThreadSanitizer follows pthread's locks, but not the contended path
/// of that one.
public final class Monitor: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  public init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  public func withLock<Result, Problem: Error>(_ body: () throws(Problem) -> Result) throws(Problem) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// A condition of this monitor.
  public func makeCondition() -> Condition { Condition(self) }

  /// Something that threads wait for; used while the monitor's lock is held.
  public final class Condition: @unchecked Sendable {
    private let monitor: Monitor
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    fileprivate init(_ monitor: Monitor) {
      self.monitor = monitor
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      condition.initialize(to: pthread_cond_t())
      pthread_cond_init(condition, &attributes)
      pthread_condattr_destroy(&attributes)
    }

    deinit {
      pthread_cond_destroy(condition)
      condition.deallocate()
    }

    /// Lets the lock go and sleeps, until a signal or for no reason.
    public func wait() {
      let worked = host_begin_wait()
      pthread_cond_wait(condition, monitor.mutex)
      host_end_wait(worked)
    }

    /// The same, at most until `deadline`, in seconds of `Clock`.
    public func wait(until deadline: Double) {
      guard deadline < Condition.farAway else { return wait() }
      let whole = max(0, deadline).rounded(.down)
      var time = timespec(tv_sec: Int(whole), tv_nsec: Int((max(0, deadline) - whole) * 1e9))
      let worked = host_begin_wait()
      pthread_cond_timedwait(condition, monitor.mutex, &time)
      host_end_wait(worked)
    }

    /// Wakes one sleeper.
    public func signal() { pthread_cond_signal(condition) }

    /// Seconds that no clock reaches, and that still are a whole number of 64 bits.
    private static let farAway = 1e15
  }
}

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

/// Seconds of the system's monotonic clock.
public enum Clock {
  public static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
