import DormouseEngine
import DormouseSupport
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

/// Threads of a test, each running a body once; what they throw is recorded.
final class Threads {
  private var threads: [BackgroundThread] = []

  func start(_ body: @escaping @Sendable () throws -> Void) throws {
    threads.append(
      try BackgroundThread(name: "test") {
        do { try body() } catch { Issue.record("a thread of the test: \(error)") }
      })
  }

  func join() {
    for thread in threads { thread.join() }
    threads.removeAll()
  }
}

/// Opens once, for all who wait.
final class Gate: Sendable {
  private let monitor = Monitor()
  private let condition: Monitor.Condition
  private let isOpen = Locked(false)

  init() { condition = monitor.makeCondition() }

  func open() {
    monitor.withLock {
      isOpen.withLock { $0 = true }
      condition.signal()
    }
  }

  func wait() {
    monitor.withLock {
      while !isOpen.withLock({ $0 }) { condition.wait() }
      // The next one in the row.
      condition.signal()
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
