import DormouseClient
import Glibc

/// Sessions of one engine that generate at the same time, from a thread each.
struct ConcurrentSessions {
  let sessions: [OpenSession]

  init(_ engine: OpenEngine, _ settings: OpenSession.Options, count: Int) throws {
    var sessions: [OpenSession] = []
    for _ in 0..<count { sessions.append(try OpenSession(engine, settings)) }
    self.sessions = sessions
  }

  /// Seconds from the first token of all to the last of all, and those of each session.
  struct Measurement {
    var all: Double
    var each: [Double]
  }

  /// Lets all sessions generate `count` tokens after the first `depth` that they hold, and one before them.
  func decode(_ count: Int, depth: Int) throws -> Measurement {
    for session in sessions { try session.truncate(depth) }
    let works = sessions.map { SessionThread($0, count) }
    var started: [SessionThread] = []
    // Also when one of them can't start, those that did have to end.
    let isComplete = works.allSatisfy { work in
      let isStarted = work.start()
      if isStarted { started.append(work) }
      return isStarted
    }
    for work in started { work.join() }
    guard isComplete else { throw CommandFailure(message: "there are no threads for \(sessions.count) sessions") }
    var spans: [(first: Double, last: Double)] = []
    for work in works { spans.append(try work.outcome.get()) }
    let first = spans.map(\.first).min() ?? 0
    let last = spans.map(\.last).max() ?? 0
    return Measurement(all: last - first, each: spans.map { $0.last - $0.first })
  }
}

/// One session's generation on a thread of its own; what it leaves is read after `join`.
private final class SessionThread: @unchecked Sendable {
  private let session: OpenSession
  private let count: Int
  private var thread = pthread_t()
  private(set) var outcome = Result<(first: Double, last: Double), any Error>.failure(CommandFailure.interrupted)

  init(_ session: OpenSession, _ count: Int) {
    self.session = session
    self.count = count
  }

  /// - Returns: whether there was a thread.
  func start() -> Bool {
    let pointer = Unmanaged.passUnretained(self).toOpaque()
    return pthread_create(
      &thread, nil,
      { pointer in
        if let pointer { Unmanaged<SessionThread>.fromOpaque(pointer).takeUnretainedValue().run() }
        return nil
      }, pointer) == 0
  }

  func join() { pthread_join(thread, nil) }

  private func run() {
    outcome = Result { try session.decode(count, after: []) }
  }
}
