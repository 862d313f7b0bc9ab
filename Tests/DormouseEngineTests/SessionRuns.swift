import DormouseEngine
import DormouseSupport
import Glibc
import Testing

/// What the tests of sessions do again and again.
enum Runs {
  static let model = "good-v3-group8"
  static let vocabularySize = 97

  static func engine(
    _ model: String = model, _ change: (inout EngineOptions) -> Void = { _ in }
  ) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 2
    change(&options)
    return try Engine(path: Fixtures.path("Fixtures/models/\(model)"), options: options)
  }

  static func session(_ engine: Engine, _ change: (inout SessionOptions) -> Void = { _ in }) throws -> Session {
    var options = SessionOptions()
    options.contextLength = 512
    change(&options)
    return try Session(engine: engine, options: options)
  }

  /// Tokens that depend on the seed.
  static func tokens(_ count: Int, seed: Int) -> [Int32] {
    (0..<count).map { Int32(truncatingIfNeeded: ($0 * 37 + seed * 53 + $0 * $0 * seed) % vocabularySize) }
  }

  /// The tokens of a greedy answer, and its events.
  static func generate(
    _ session: Session, _ prompt: [Int32], _ count: Int = 12, more: String = ""
  ) throws -> (tokens: [Int32], events: [GenerationEvent]) {
    var events: [GenerationEvent] = []
    let configuration = #"{"max_tokens": \#(count), "ignore_eos": true\#(more)}"#
    _ = try session.generate(prompt, configuration: configuration) {
      events.append($0)
      return 0
    }
    return (events.filter { $0.kind == .token }.map(\.token), events)
  }

  /// The greedy answer of a session that shares nothing, alone on its engine.
  static func alone(_ prompt: [Int32], _ count: Int = 12, model: String = model) throws -> [Int32] {
    try generate(try session(engine(model) { $0.sharesPrefixes = false }), prompt, count).tokens
  }

  static func status(_ body: () throws -> Void) -> Status? {
    do {
      try body()
      return nil
    } catch { return (error as? Failure)?.status }
  }

  /// Pages of the engine's float32 rows: used, shared, in the prefix tree.
  static func pages(_ engine: Engine) throws -> (used: Int, shared: Int, prefixes: Int) {
    let cache = try #require(try engine.statistics()["cache"]?["f32"])
    func count(_ name: String) -> Int { Int(cache[name]?.integerValue ?? -1) }
    return (count("used"), count("shared"), count("prefix_pages"))
  }
}

/// Looks again and again, for ten seconds at most.
func waitFor(_ condition: () throws -> Bool) throws {
  let limit = Clock.now() + 10
  while Clock.now() < limit {
    if (try? condition()) == true { return }
  }
  Issue.record("what was waited for did not come")
}

/// Threads of a test, each running a body once; what they throw is recorded, and so is one that does not end.
final class Threads {
  private var threads: [(thread: BackgroundThread, end: Gate)] = []

  func start(_ body: @escaping @Sendable () throws -> Void) throws {
    let end = Gate()
    let thread = try BackgroundThread(name: "test") {
      do { try body() } catch { Issue.record("a thread of the test: \(error)") }
      end.open()
    }
    threads.append((thread, end))
  }

  func join() {
    for (thread, end) in threads where end.wait() { thread.join() }
    threads.removeAll()
  }
}

/// Opens once, for all who wait. One that stays shut ends its test after a while, which else would hang.
final class Gate: Sendable {
  private let monitor = Monitor()
  private let condition: Monitor.Condition
  private let isOpen = Locked(false)
  /// Seconds; many more where the long runs under a sanitizer are asked for.
  private static let patience = getenv("DORMOUSE_STRESS_OPERATIONS") == nil ? 120.0 : 1800

  init() { condition = monitor.makeCondition() }

  func open() {
    monitor.withLock {
      isOpen.withLock { $0 = true }
      condition.signal()
    }
  }

  /// - Returns: false when nobody has opened it in time, which is recorded.
  @discardableResult
  func wait() -> Bool {
    let limit = Clock.now() + Gate.patience
    return monitor.withLock {
      while !isOpen.withLock({ $0 }) {
        guard Clock.now() < limit else {
          Issue.record("a gate of the test stayed shut")
          return false
        }
        condition.wait(until: limit)
      }
      // The next one in the row.
      condition.signal()
      return true
    }
  }
}

/// SplitMix64.
struct Random: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
