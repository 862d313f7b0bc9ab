import DormouseCache
import DormouseMedia
import DormouseModel
import DormouseSupport

/// A session's place in the scheduler: what it wants of the next step, and what became of it. Everything but
/// `sessionState` is guarded by the scheduler's monitor, or belongs to whoever's turn it is.
final class StepRequest: @unchecked Sendable {
  enum Phase {
    /// Nothing is asked for.
    case idle
    /// The session waits in line to be let in.
    case waiting
    /// It takes the memory that it needs, and nobody comes before it.
    case preparing
    /// It waits for the next step.
    case pending
    /// The step is being computed.
    case running
  }

  /// The session's, for its wish to cancel.
  let sessionState: CallState
  /// Sleeps here until its phase is idle again.
  let condition: Monitor.Condition
  var phase = Phase.idle
  /// Larger goes first.
  var priority = 0
  /// When it came, in the order of all requests.
  var order: UInt64 = 0
  /// Seconds of `Clock` by which it wants to be done.
  var deadline = Double.infinity
  /// Seconds that the call was given.
  var timeLimit = Double.infinity
  /// Whether the session is past its prompt.
  var isGenerating = false

  /// What to compute; nil between two steps, so that the session is its tokens' and cache's only holder.
  var segment: Segment?
  /// Or what to go on encoding, a part a step.
  var encoding: (any EncodingRun)?
  /// Whether the step completed the encoding.
  var isEncoded = false
  /// How many of the segment's tokens the step took.
  var granted = 0
  var outcome = SegmentOutcome.done

  init(sessionState: CallState, monitor: Monitor) {
    self.sessionState = sessionState
    condition = monitor.makeCondition()
  }

  /// Why it should stop, if it should.
  var interruption: Failure? { sessionState.interruption(deadline: deadline, timeLimit: timeLimit) }

  /// Sleeps until it is woken, or past its deadline.
  func sleep() { condition.wait(until: deadline) }
}

/// What a call asks of the scheduler besides the work itself.
struct WorkTerms: Sendable, Equatable {
  /// Larger goes first.
  var priority = 0
  /// Seconds that the call may take; nil for no limit.
  var timeLimit: Double?
  /// Seconds of `Clock` from which they count; nil: from when the call enters.
  var start: Double?

  /// Seconds of `Clock` by which the call wants to be done.
  func deadline(from arrival: Double) -> Double { (start ?? arrival) + (timeLimit ?? .infinity) }

  static let priorityRange = -100...100
}
