import DormouseSupport
import Synchronization

/// Whether a session is at work: lets one call in at a time and carries the wish to cancel it.
final class SessionState: Sendable {
  private enum Phase {
    static let idle: UInt8 = 0
    static let busy: UInt8 = 1
    static let cancelling: UInt8 = 2
  }

  private let phase = Atomic<UInt8>(Phase.idle)

  /// Runs `body` as the session's one call.
  /// - Throws: `Failure(.busy)` when another thread is inside.
  func exclusively<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    guard phase.compareExchange(expected: Phase.idle, desired: Phase.busy, ordering: .acquiring).exchanged else {
      throw Failure(.busy, "the session is at work on another thread")
    }
    defer { phase.store(Phase.idle, ordering: .releasing) }
    return try body()
  }

  /// Asks the call under way to stop; without one it does nothing.
  func cancel() {
    _ = phase.compareExchange(expected: Phase.busy, desired: Phase.cancelling, ordering: .relaxed)
  }

  var isCancelling: Bool { phase.load(ordering: .relaxed) == Phase.cancelling }

  func throwIfCancelling() throws(Failure) {
    if isCancelling { throw Failure(.cancelled, "the session was cancelled") }
  }
}
