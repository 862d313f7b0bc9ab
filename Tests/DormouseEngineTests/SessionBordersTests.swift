import DormouseKernels
import DormouseSupport
import Glibc
import Testing

@testable import DormouseEngine

/// Sessions at their limits: just as many pages, positions and bytes as there are, and what is told where nothing is left
/// to do.
@Suite struct SessionBordersTests {
  private static let messages = #"[{"role": "user", "content": "What is 2 and 3?"}]"#

  /// A call takes pages for its prompt and for as many tokens as it may choose, and not for one more.
  @Test func pagesAreThoseOfTheTokensAsked() throws {
    let limit = try Runs.engine().plan(for: options(128)).cacheBytes
    let engine = try Runs.engine {
      $0.cacheLimit = limit
      $0.sharesPrefixes = false
    }
    let other = try Session(engine: engine, options: options(128))
    try other.prefill(Runs.tokens(64, seed: 1))
    let session = try Session(engine: engine, options: options(128))
    #expect(Runs.status { _ = try Runs.generate(session, Runs.tokens(60, seed: 2), 5) } == .outOfMemory)
    #expect(try session.length() == 0)
    #expect(try Runs.generate(session, Runs.tokens(60, seed: 2), 4).tokens.count == 4)
    #expect(try Runs.pages(engine).used == 2)
    withExtendedLifetime(other) {}
  }

  private func options(_ contextLength: Int, _ type: CacheRowType? = nil) -> SessionOptions {
    var options = SessionOptions()
    options.contextLength = contextLength
    options.cacheType = type
    return options
  }

  /// Rows of all types together keep to `cache_limit`.
  @Test func typesShareTheCacheLimit() throws {
    let limit = try Runs.engine().plan(for: options(128)).cacheBytes
    let engine = try Runs.engine {
      $0.cacheLimit = limit
      $0.sharesPrefixes = false
    }
    var wide: Session? = try Session(engine: engine, options: options(128))
    try wide?.prefill(Runs.tokens(128, seed: 1))
    let narrow = try Session(engine: engine, options: options(128, .bfloat16))
    #expect(Runs.status { try narrow.prefill([1, 2, 3]) } == .outOfMemory)
    wide = nil
    try narrow.prefill([1, 2, 3])
    #expect(try narrow.length() == 3)
  }

  /// What a session takes as it opens is what the plan says, and comes back when it goes.
  @Test func openingTakesWhatThePlanSays() throws {
    let engine = try Runs.engine()
    let options = options(300)
    let plan = try engine.plan(for: options)
    let before = engine.memoryBudget.usedByteCount
    var session: Session? = try Session(engine: engine, options: options)
    #expect(engine.memoryBudget.usedByteCount == before + plan.sessionWorkingBytes)
    // Tokens and logits of four bytes, and five pages' addresses.
    #expect(plan.sessionWorkingBytes == UInt64(300 * 4 + Runs.vocabularySize * 4 + 5 * 8))
    let fork = try session?.fork()
    #expect(engine.memoryBudget.usedByteCount == before + 2 * plan.sessionWorkingBytes)
    session = nil
    withExtendedLifetime(fork) {}
    #expect(engine.memoryBudget.usedByteCount == before + plan.sessionWorkingBytes)
  }

  /// A chat may fill its session to the last position; then no token follows.
  @Test func aChatMayFillItsContext() throws {
    var engineOptions = EngineOptions()
    engineOptions.threadCount = 2
    let engine = try Engine(path: Fixtures.shippedModel, options: engineOptions)
    let count = try engine.tokenize(messages: Self.messages).count
    for room in -1...2 {
      let session = try Session(engine: engine, options: options(count + room))
      var events: [GenerationEvent] = []
      let status = Runs.status {
        _ = try session.chat(messages: Self.messages, configuration: #"{"ignore_eos": true}"#) { event in
          events.append(event)
          return 0
        }
      }
      #expect(status == (room < 0 ? .contextFull : nil), "room for \(room)")
      guard room >= 0 else { continue }
      let last = try #require(events.last)
      #expect(last.kind == .end && last.finishReason == .context && last.counts.generatedTokens == room)
      #expect(last.counts.promptTokens == count && last.counts.promptDone == count)
      #expect(try session.length() == count + room)
    }
  }

  /// Where nothing of a prompt is left to evaluate, all of it is done from the first event on.
  @Test func whatIsHeldIsDone() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let ids = try engine.tokenize(messages: Self.messages)
    let session = try Session(engine: engine, options: options(256))
    try session.prefill(ids)
    var events: [GenerationEvent] = []
    _ = try session.chat(messages: Self.messages, configuration: #"{"max_tokens": 2, "ignore_eos": true}"#) { event in
      events.append(event)
      return 0
    }
    #expect(events.map(\.kind) == [.token, .token, .end])
    for counts in events.map(\.counts) {
      #expect([counts.promptTokens, counts.promptReused, counts.promptDone] == [ids.count, ids.count, ids.count])
    }
  }

  /// The seconds that a call waits for its place are told with all its events.
  @Test func waitingIsTold() throws {
    let engine = try Runs.engine { $0.batchLimit = 1 }
    let (threads, begun, gate) = (Threads(), Gate(), Gate())
    let (first, second) = (try Runs.session(engine), try Runs.session(engine))
    try threads.start {
      _ = try first.generate([1, 2], configuration: #"{"max_tokens": 1, "ignore_eos": true}"#) { event in
        if event.kind == .token {
          begun.open()
          gate.wait()
        }
        return 0
      }
    }
    begun.wait()
    let (called, told) = (Clock.now(), Locked<[GenerationEvent.Counts]>([]))
    try threads.start {
      let events = try Runs.generate(second, [3, 4], 2).events
      told.withLock { $0 = events.map(\.counts) }
    }
    try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == 1 }
    let seen = Clock.now()
    usleep(20_000)
    let least = Clock.now() - seen
    gate.open()
    threads.join()
    let most = Clock.now() - called
    let counts = told.withLock { $0 }
    #expect(counts.count == 4)
    #expect(counts.allSatisfy { $0.waitingSeconds >= least && $0.waitingSeconds + $0.promptSeconds <= most })
    #expect(Set(counts.map(\.waitingSeconds)).count == 1)
    let waited = try #require(try engine.statistics()["seconds"]?["waiting"]?.doubleValue)
    #expect(waited >= least && waited <= most)
  }

  /// After a failure that is no interruption a session is as it was, the token that nothing has followed yet included.
  @Test(arguments: [[], [5], [5, 6, 7]] as [[Int32]]) func failuresLeaveTheSessionAsItWas(_ more: [Int32]) throws {
    let engine = try Runs.engine { $0.sharesPrefixes = false }
    let (session, twin) = (try Runs.session(engine), try Runs.session(engine))
    for session in [session, twin] { _ = try Runs.generate(session, Runs.tokens(70, seed: 3), 4) }
    let failure = #expect(throws: Failure.self) {
      try session.state.exclusively { () throws(Failure) in
        try session.atWork(appending: more) { () throws(Failure) in
          try session.evaluate { _ throws(Failure) in throw Failure(.numerical, "the logits are not finite") }
        }
      }
    }
    #expect(failure?.status == .numerical)
    #expect(try session.length() == 74)
    #expect(try Runs.generate(session, [9], 6).tokens == (try Runs.generate(twin, [9], 6).tokens))
  }
}
