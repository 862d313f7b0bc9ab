internal import CHost
internal import CPlatform
import Glibc

/// A thread of the library's own; all of them are made here.
///
/// It begins in the same state whatever the thread has set that makes it. It blocks all signals, which are for the host's
/// threads, but not those of its own faults, which a host's crash reporter wants to see; it computes in the
/// floating-point environment that processes start with; and its stack has `stackByteCount`.
public final class BackgroundThread: Sendable {
  let handle: pthread_t

  /// Bytes; taken from the system as far as they are used. Also for the host's functions that are called on it.
  static let stackByteCount = 2 << 20

  /// What a thread does to itself: blocked, it would end the process without the host's handler. The last two have their
  /// names from `abort` and seccomp.
  private static let faults = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS]

  /// What a new thread is handed.
  private final class Start {
    let name: String
    let body: @Sendable () -> Void

    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// - Parameter name: for debuggers; cut to 15 bytes.
  /// - Throws: `Failure(.outOfMemory)` or `Failure(.internalError)` when the system refuses.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(Failure) {
    let start = Unmanaged.passRetained(Start(name, body))
    var thread = pthread_t()
    let code = BackgroundThread.create(&thread, start.toOpaque())
    guard code == 0 else {
      start.release()
      let isShortage = code == EAGAIN || code == ENOMEM
      throw Failure(
        isShortage ? .outOfMemory : .internalError, "thread \(name) cannot be created: error number \(code)")
    }
    handle = thread
  }

  /// - Returns: 0, or an error number.
  private static func create(_ thread: inout pthread_t, _ start: UnsafeMutableRawPointer) -> Int32 {
    var attributes = pthread_attr_t()
    let code = pthread_attr_init(&attributes)
    guard code == 0 else { return code }
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, stackByteCount)
    var blocked = sigset_t()
    var before = sigset_t()
    sigfillset(&blocked)
    for fault in faults { sigdelset(&blocked, fault) }
    pthread_sigmask(SIG_SETMASK, &blocked, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return pthread_create(&thread, &attributes, { BackgroundThread.main($0) }, start)
  }

  /// Waits until the body has returned. Once, and not on the thread itself.
  public func join() {
    let worked = host_begin_wait()
    pthread_join(handle, nil)
    host_end_wait(worked)
  }

  private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    // A fork waits for all that the thread does, letting go of what it held among it.
    let worked = host_begin_work()
    defer { host_end_work(worked) }
    run(argument)
    return nil
  }

  @inline(never)
  private static func run(_ argument: UnsafeMutableRawPointer?) {
    guard let argument else { return }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    host_use_default_floats()
    platform_name_thread(start.name)
    start.body()
  }
}

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
