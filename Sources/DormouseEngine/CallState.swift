import DormouseSupport
import Synchronization

/// Whether a session or a transcriber is at work: lets one call in at a time and carries the wish to cancel it.
final class CallState: Sendable {
  private enum Phase {
    static let idle: UInt8 = 0
    static let busy: UInt8 = 1
    static let cancelling: UInt8 = 2
  }

  private let phase = Atomic<UInt8>(Phase.idle)
  /// The host's function that the call under way calls; one that never returns leaves the call where it was for ever.
  let callback = HostCallback()
  /// For sentences.
  private let owner: String

  /// - Parameter owner: what calls are made to, such as "the session".
  init(of owner: String) { self.owner = owner }

  /// Runs `body` as the owner's one call.
  /// - Throws: `Failure(.busy)` when another thread is inside, `Failure(.internalError)` when a callback was left.
  func exclusively<Result>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    guard phase.compareExchange(expected: Phase.idle, desired: Phase.busy, ordering: .acquiring).exchanged else {
      throw isLost ? lost : Failure(.busy, "\(owner) is at work on another thread")
    }
    defer { phase.store(Phase.idle, ordering: .releasing) }
    return try body()
  }

  /// Whether a call was left by a callback that did not return, so that it will never end.
  var isLost: Bool { callback.isLeft }

  private var lost: Failure {
    Failure(
      .internalError,
      "\(owner) is lost: a callback threw an exception, jumped or ended its thread instead of returning; free it")
  }

  /// Asks the call under way to stop; without one it does nothing.
  func cancel() {
    _ = phase.compareExchange(expected: Phase.busy, desired: Phase.cancelling, ordering: .relaxed)
  }

  var isCancelling: Bool { phase.load(ordering: .relaxed) == Phase.cancelling }

  /// Why the call under way should stop, if it should.
  /// - Parameters:
  ///   - deadline: seconds of `Clock` by which it wants to be done.
  ///   - timeLimit: seconds that it was given.
  func interruption(deadline: Double = .infinity, timeLimit: Double = .infinity) -> Failure? {
    if isCancelling { return Failure(.cancelled, "\(owner) was cancelled") }
    if deadline < .infinity, Clock.now() >= deadline {
      return Failure(.timedOut, "time_limit of \(timeLimit) s passed before the work was done")
    }
    return nil
  }

  /// The same, for work to ask.
  func watch(deadline: Double = .infinity, timeLimit: Double = .infinity) -> Interruption {
    Interruption { self.interruption(deadline: deadline, timeLimit: timeLimit) }
  }
}
