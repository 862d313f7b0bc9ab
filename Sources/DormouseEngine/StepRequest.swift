import DormouseMedia
import DormouseModel
import DormouseSupport

/// What a session asks of a step.
enum StepWork {
  /// The next of these tokens, as many as the step takes.
  case tokens(Segment)
  /// The next part of this.
  case encoding(Encoding)
}

/// An image, video or audio that is being encoded: its session prepares a portion, which steps then encode part by
/// part.
final class Encoding {
  private var run: any EncodingRun
  private(set) var isPortionDone = false

  init(_ run: any EncodingRun) { self.run = run }

  /// - Returns: false when all portions are done.
  func prepareNext() throws(Failure) -> Bool {
    isPortionDone = false
    return try run.prepareNext()
  }

  func advance() throws(Failure) { isPortionDone = try run.advance() }
}

/// A session's place in the scheduler: what it wants of the next step, and what became of it. The scheduler's monitor
/// guards everything but `sessionState`; while a step runs, `work` and `outcome` are its thread's.
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

  /// Nil between two steps, so that the session is its tokens' and cache's only holder.
  var work: StepWork?
  /// Of the last step: the number of tokens that it computed.
  var outcome = Result<Int, Failure>.success(0)

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

  private static let priorityRange = -100...100
}

extension WorkTerms {
  /// The members `priority` and `time_limit` of a config.
  init(_ fields: JSONFields) throws(Failure) {
    priority = try fields.optionalInteger("priority", Self.priorityRange) ?? 0
    timeLimit = try fields.optionalNumber("time_limit", 0...1e9, except: 0)
  }
}
