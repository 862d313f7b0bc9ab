internal import CPlatform
import Glibc
import Synchronization

/// One job on a thread of its own, which the system runs when nobody else wants the processor.
///
/// The thread blocks every signal. Thread: any.
public final class BackgroundJob: Sendable {
  private let thread: Mutex<pthread_t?>

  /// Starts `body`.
  /// - Parameter name: of the thread, as debuggers show it: up to 15 bytes.
  /// - Throws: `Failure(.outOfMemory)` or `Failure(.internalError)` when the system refuses a thread; `body` was not
  ///   called then.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(Failure) {
    let created = try SilentThread.create(Start(name, body)) { BackgroundJob.main($0) }
    thread = Mutex(created)
  }

  /// Returns when the job is done.
  public func wait() {
    thread.withLock { thread in
      if let running = thread { pthread_join(running, nil) }
      thread = nil
    }
  }

  /// A job is never left behind.
  deinit { wait() }

  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(_ name: String, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    platform_name_thread(start.name)
    // Of this thread alone: Linux keeps the value for each. A refusal costs others some time, and no more.
    setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
    start.body()
    return nil
  }
}

/// Threads that leave signals to the host's own.
enum SilentThread {
  /// Starts `main` with a reference to `start`, which it must take.
  /// - Throws: `Failure(.outOfMemory)` or `Failure(.internalError)` when the system refuses a thread.
  static func create(
    _ start: some AnyObject, _ main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
  ) throws(Failure) -> pthread_t {
    let reference = Unmanaged.passRetained(start)
    // A new thread inherits the mask.
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, main, reference.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard code == 0 else {
      reference.release()
      let isShortage = code == EAGAIN || code == ENOMEM
      throw Failure(isShortage ? .outOfMemory : .internalError, "a thread cannot be created: error number \(code)")
    }
    return thread
  }
}
