import DormouseEngine
import DormouseSupport
import Glibc
import Testing

/// Random operations on sessions from many threads: no page is lost, and every session's text is that of the same
/// session alone. `DORMOUSE_STRESS_OPERATIONS` sets how many there are (10,000 in the run with sanitizers).
@Suite struct StressTests {
  private static let threadCount = 8

  private static var operationCount: Int {
    getenv("DORMOUSE_STRESS_OPERATIONS").flatMap { Int(String(cString: $0)) } ?? 1000
  }

  @Test func randomOperationsFromManyThreads() throws {
    let engine = try Runs.engine {
      $0.batchLimit = 5
      $0.promptTokensPerStep = 16
      $0.prefixCacheLimit = 200_000
    }
    let folder = try TemporaryFolder()
    let path = folder.path
    let histories = Locked<[[Int32]: [Int32]]>([:])
    let cancelled = Locked(0)
    let threads = Threads()
    for thread in 0..<Self.threadCount {
      try threads.start {
        var worker = Worker(engine: engine, path: "\(path)/\(thread)", seed: UInt64(thread))
        for _ in 0..<Self.operationCount / Self.threadCount { try worker.operate() }
        histories.withLock { $0.merge(worker.answers) { first, _ in first } }
        cancelled.withLock { $0 += worker.cancelledCount }
      }
    }
    threads.join()
    let statistics = try engine.statistics()
    #expect(statistics["sessions"]?["working"]?.integerValue == 0)
    #expect(statistics["sessions"]?["waiting"]?.integerValue == 0)
    // All sessions are gone: what is used, the tree keeps.
    let pages = try Runs.pages(engine)
    #expect(pages.used == pages.prefixes)
    #expect(pages.shared == 0)
    // One call in eleven is to be cancelled, most of them before they are done.
    #expect(cancelled.withLock { $0 } > 0)
    #expect(statistics["sessions"]?["failed"]?.integerValue == 0)
    try expectAsAlone(histories.withLock { $0 })
  }

  /// Every answer once more, with a session of its own each.
  private func expectAsAlone(_ answers: [[Int32]: [Int32]]) throws {
    #expect(!answers.isEmpty)
    let engine = try Runs.engine { $0.sharesPrefixes = false }
    for (prompt, answer) in answers {
      let alone = try Runs.generate(Runs.session(engine) { $0.contextLength = 256 }, prompt, answer.count).tokens
      #expect(alone == answer, "after \(prompt.count) tokens")
    }
  }
}

/// One thread's sessions, and what they hold.
private struct Worker {
  private struct Entry {
    let session: Session
    var tokens: [Int32]
  }

  private let engine: Engine
  private let path: String
  private var random: Random
  private var entries: [Entry] = []
  private var saved: [Int32]?
  /// What each timeline was answered.
  private(set) var answers: [[Int32]: [Int32]] = [:]
  /// Calls that ended by being cancelled.
  private(set) var cancelledCount = 0

  private static let mostSessions = 3
  private static let context = 256

  init(engine: Engine, path: String, seed: UInt64) {
    self.engine = engine
    self.path = path
    random = Random(state: seed)
  }

  mutating func operate() throws {
    guard let index = entries.indices.randomElement(using: &random) else { return try open() }
    switch random.next() % 11 {
    case 0: try open()
    case 1: entries.remove(at: index)
    case 2, 3: try prefill(index)
    case 4, 5: try generate(index)
    case 6: try fork(index)
    case 7: try truncate(index)
    case 8: try save(index)
    case 9: try restore(index)
    default: try cancel(index)
    }
  }

  private mutating func open() throws {
    guard entries.count < Self.mostSessions else { return }
    let isPrivate = random.next() % 4 == 0
    let session = try Runs.session(engine) {
      $0.contextLength = Self.context
      $0.isPrivate = isPrivate
    }
    entries.append(Entry(session: session, tokens: []))
  }

  /// Few different prompts, so that prefixes meet.
  private mutating func someTokens() -> [Int32] {
    Runs.tokens(Int(random.next() % 70) + 1, seed: Int(random.next() % 3))
  }

  private mutating func prefill(_ index: Int) throws {
    let tokens = someTokens()
    let fits = entries[index].tokens.count + tokens.count <= Self.context
    let status = Runs.status { try entries[index].session.prefill(tokens) }
    #expect(status == (fits ? nil : .contextFull))
    if fits { entries[index].tokens += tokens }
    #expect(try entries[index].session.length() == entries[index].tokens.count)
  }

  private mutating func generate(_ index: Int) throws {
    let prompt = entries[index].tokens
    guard !prompt.isEmpty, prompt.count + 8 <= Self.context else { return }
    let answer = try Runs.generate(entries[index].session, [], 8).tokens
    if let before = answers[prompt] { #expect(before == answer) }
    answers[prompt] = answer
    entries[index].tokens += answer
  }

  private mutating func fork(_ index: Int) throws {
    guard entries.count < Self.mostSessions else { return }
    entries.append(Entry(session: try entries[index].session.fork(), tokens: entries[index].tokens))
  }

  private mutating func truncate(_ index: Int) throws {
    let length = Int(random.next() % UInt64(entries[index].tokens.count + 1))
    try entries[index].session.truncate(to: length)
    entries[index].tokens.removeLast(entries[index].tokens.count - length)
  }

  private mutating func save(_ index: Int) throws {
    try entries[index].session.save(to: path)
    saved = entries[index].tokens
  }

  private mutating func restore(_ index: Int) throws {
    guard let saved else { return }
    try entries[index].session.restore(from: path)
    entries[index].tokens = saved
  }

  /// A thread of its own cancels somewhere in the middle; what was completed stays.
  private mutating func cancel(_ index: Int) throws {
    let (session, tokens) = (entries[index].session, someTokens())
    let held = entries[index].tokens
    guard held.count + tokens.count <= Self.context else { return }
    let canceller = Threads()
    let pause = UInt32(random.next() % 2000)
    try canceller.start {
      usleep(pause)
      session.cancel()
    }
    let status = Runs.status { try session.prefill(tokens) }
    canceller.join()
    #expect(status == nil || status == .cancelled)
    cancelledCount += status == .cancelled ? 1 : 0
    let length = try session.length()
    #expect(length <= held.count + tokens.count)
    entries[index].tokens = Array((held + tokens).prefix(length))
  }
}
