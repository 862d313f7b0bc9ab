import DormouseClient
import Glibc
import Synchronization

/// Turns SIGINT into an orderly end: a thread of its own waits for the signal and asks the work under way to stop, so
/// nothing runs in a signal handler. Where there is nothing to stop, or the user insists, the process ends at once.
final class Interrupt: Sendable {
  static let shared = Interrupt()

  private struct State {
    var isInterrupted = false
    var stop: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  /// Whether the user has asked to stop since the last `reset`.
  var isRequested: Bool { state.withLock { $0.isInterrupted } }

  /// Blocks SIGINT in this thread and all it starts, and begins to wait for it. A SIGINT that the parent ignores
  /// (a background job of a script) stays ignored.
  func start() {
    var action = sigaction()
    sigaction(SIGINT, nil, &action)
    if unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
      return
    }
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    guard pthread_sigmask(SIG_BLOCK, &signals, nil) == 0 else { return }
    var thread = pthread_t()
    pthread_create(&thread, nil, { _ in Interrupt.shared.wait() }, nil)
  }

  private func wait() -> UnsafeMutableRawPointer? {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    var pause = timespec(tv_sec: 0, tv_nsec: 50_000_000)
    while true {
      let signal = isRequested ? sigtimedwait(&signals, nil, &pause) : sigwaitinfo(&signals, nil)
      if signal == SIGINT {
        interrupt()
      } else if isRequested {
        // The request may have come between two calls into the library, where there was nothing to cancel.
        state.withLock { $0.stop?() }
      }
    }
  }

  private func interrupt() {
    state.withLock { state in
      guard let stop = state.stop, !state.isInterrupted else { leave() }
      state.isInterrupted = true
      stop()
    }
  }

  private func leave() -> Never {
    ProgressBar.clear()
    LineEditor.restoreTerminal()
    if Console.isErrorATerminal { Console.writeToError("\n") }
    _exit(ExitStatus.interrupted)
  }

  /// Runs `body`; an interrupt meanwhile calls `stop`, which must make `body` end soon.
  func whileStopping<Value>(
    with stop: @escaping @Sendable () -> Void, _ body: () throws -> Value
  ) rethrows -> Value {
    state.withLock { $0.stop = stop }
    defer { state.withLock { $0.stop = nil } }
    return try body()
  }

  /// Runs `body`; an interrupt meanwhile cancels the sessions' calls, and `interrupted` is thrown.
  func whileCancelling<Value>(_ sessions: [OpenSession], _ body: () throws -> Value) throws -> Value {
    try whileStopping(with: { for session in sessions { session.cancel() } }) {
      let value = try body()
      if isRequested { throw CommandFailure.interrupted }
      return value
    }
  }

  /// Forgets an interrupt: a chat goes on after an answer was stopped.
  func reset() {
    state.withLock { $0.isInterrupted = false }
  }
}
