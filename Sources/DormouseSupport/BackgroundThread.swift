internal import CPlatform
import Glibc

/// A thread of the library's own. Signals stay with the host's threads: this one blocks all of them.
public final class BackgroundThread: Sendable {
  let handle: pthread_t

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
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, { BackgroundThread.main($0) }, start.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard code == 0 else {
      start.release()
      let isShortage = code == EAGAIN || code == ENOMEM
      throw Failure(
        isShortage ? .outOfMemory : .internalError, "thread \(name) cannot be created: error number \(code)")
    }
    handle = thread
  }

  /// Waits until the body has returned. Once, and not on the thread itself.
  public func join() { pthread_join(handle, nil) }

  private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    platform_name_thread(start.name)
    start.body()
    return nil
  }
}
