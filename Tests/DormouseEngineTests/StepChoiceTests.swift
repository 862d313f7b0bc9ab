import DormouseCache
import DormouseKernels
import DormouseMedia
import DormouseModel
import DormouseSupport
import Glibc
import Testing

@testable import DormouseEngine

/// Whose tokens a step takes, and how many: by priority, then in the order in which sessions have asked, while there is
/// room.
@Suite struct StepChoiceTests {
  /// What a session asks of its next step.
  private struct Asked {
    var count: Int
    var priority = 0
    var isGenerating = false
  }

  /// What may go to another thread, since nobody else touches it meanwhile.
  private struct Moved<Value>: @unchecked Sendable {
    let value: Value
  }

  /// While somebody generates, all prompts of a step together have `prompt_tokens_per_step`.
  @Test func promptsShareTheirRoom() throws {
    #expect(try granted([Asked(count: 5), Asked(count: 8)], besides: true) == [5, 3])
    #expect(try granted([Asked(count: 8), Asked(count: 8)], besides: true) == [8, 8])
    #expect(try granted([Asked(count: 5), Asked(count: 2), Asked(count: 4)], besides: true) == [5, 2, 1])
    #expect(try granted([Asked(count: 9), Asked(count: 20)], besides: false) == [9, 20])
    #expect(try granted([Asked(count: 20), Asked(count: 20)], besides: false) == [20, 12])
  }

  @Test func largerPrioritiesAreServedFirst() throws {
    let three = [Asked(count: 6, priority: -1), Asked(count: 6, priority: 2), Asked(count: 6, priority: 1)]
    #expect(try granted([Asked(count: 5), Asked(count: 8, priority: 1)], besides: true) == [5, 8])
    #expect(try granted(three, besides: true) == [6, 6, 2])
    let larger = three.map { Asked(count: 3 * $0.count, priority: $0.priority) }
    #expect(try granted(larger, besides: false) == [18, 18, 14])
  }

  /// A generating session waits for no prompt, and makes the room of prompts small.
  @Test func whoGeneratesComesFirst() throws {
    let generating = Asked(count: 1, priority: -9, isGenerating: true)
    #expect(try granted([Asked(count: 40, priority: 9), generating], besides: false) == [8, 1])
    #expect(try granted([Asked(count: 40), generating, generating], besides: false, own: 40) == [30, 1, 1])
  }

  /// Any number of sessions of any kind, against the rule in plain words: who generates, then prompts, each by priority
  /// and arrival, while there is room.
  @Test func anyMixtureIsServedInOrder() throws {
    var random = Random(state: 11)
    let model = try Self.open()
    for _ in 0..<25 {
      let asked = (0..<Int.random(in: 2...7, using: &random)).map { _ in
        Asked(
          count: Int.random(in: 1...14, using: &random), priority: Int.random(in: -1...1, using: &random),
          isGenerating: random.next() % 3 == 0)
      }
      let isAnyGenerating = random.next() % 2 == 0
      let own = Int.random(in: 1...40, using: &random)
      var room = 32
      var expected = [Int](repeating: 0, count: asked.count)
      let order = asked.indices.sorted { (asked[$1].priority, $0) < (asked[$0].priority, $1) }
      for index in order where asked[index].isGenerating {
        expected[index] = min(asked[index].count, room)
        room -= expected[index]
      }
      if isAnyGenerating || asked.contains(where: \.isGenerating) { room = min(room, own) }
      for index in order where !asked[index].isGenerating {
        expected[index] = min(asked[index].count, room)
        room -= expected[index]
      }
      let found = try granted(asked, besides: isAnyGenerating, own: own, model)
      // Whoever got nothing of the first step is served by a later one.
      for index in asked.indices where expected[index] > 0 {
        #expect(found[index] == expected[index], "\(asked), \(isAnyGenerating), \(own): session \(index)")
      }
      #expect(found.allSatisfy { $0 > 0 })
    }
  }

  /// A session that has generated in an earlier call makes no prompt small before it generates again.
  @Test func everyCallBeginsAsAPrompt() throws {
    let steps = try Steps(Self.open())
    let (first, second) = (try steps.enter(), try steps.enter())
    let threads = Threads()
    try steps.ask(first, Asked(count: 1, isGenerating: true), on: threads) { _ in }
    try steps.ask(second, Asked(count: 1), on: threads) { _ in }
    let count = Locked(0)
    try steps.run {
      threads.join()
      steps.scheduler.leave(first)
      try steps.scheduler.enter(first, WorkTerms()) {}
      try steps.ask(second, Asked(count: 20), on: threads) { found in count.withLock { $0 = found } }
      threads.join()
    }
    #expect(count.withLock { $0 } == 20)
  }

  /// What was cancelled before a step has begun is in none: no step is computed for nobody.
  @Test func whatIsCancelledIsInNoStep() throws {
    let steps = try Steps(Self.open())
    let state = CallState(of: "the session")
    let (first, second) = (try steps.enter(of: state), try steps.enter())
    let (threads, status) = (Threads(), Locked<Status?>(nil))
    let segment = try steps.segment(Asked(count: 3))
    try threads.start {
      let found = Runs.status {
        try state.exclusively { () throws(Failure) in
          _ = try steps.scheduler.step(first, segment.value, isGenerating: false)
        }
      }
      status.withLock { $0 = found }
    }
    try waitFor { steps.scheduler.monitor.withLock { first.phase == .pending } }
    state.cancel()
    steps.scheduler.poke(first)
    threads.join()
    #expect(status.withLock { $0 } == .cancelled)
    steps.scheduler.leave(first)
    try steps.ask(second, Asked(count: 5), on: threads) { _ in }
    try steps.run { threads.join() }
    let counted = steps.scheduler.statistics
    #expect((counted.steps, counted.sessionSteps, counted.promptTokens) == (1, 1, 5))
  }

  /// Encodings of several sessions take turns, part by part.
  @Test func encodingsTakeTurns() throws {
    struct Parts: EncodingRun {
      let name: Int
      let done: Locked<[Int]>
      var left = 4

      mutating func prepareNext() throws(Failure) -> Bool { left > 0 }

      mutating func advance() throws(Failure) -> Bool {
        done.withLock { $0.append(name) }
        left -= 1
        return left == 0
      }
    }
    let steps = try Steps(Self.open())
    let (threads, done) = (Threads(), Locked<[Int]>([]))
    for name in 0..<3 {
      let request = try steps.enter()
      try threads.start {
        try steps.scheduler.encode(request, Parts(name: name, done: done)) {}
        steps.scheduler.leave(request)
      }
      try waitFor { steps.scheduler.monitor.withLock { request.phase == .pending } }
    }
    try steps.run { threads.join() }
    // All had asked before the first step; later their threads may be slower than a step.
    let order = done.withLock { $0 }
    #expect(order.prefix(3) == [0, 1, 2] && order.count == 12)
    let counted = steps.scheduler.statistics
    #expect((counted.steps, counted.sessionSteps, counted.largestBatch) == (12, 12, 1))
  }

  /// A step waits a moment for a session that was in the last one and is about to ask again: a tenth of that step.
  @Test func stepsWaitForWhoSamples() throws {
    /// One part, long beside what it takes to ask for a step.
    struct Slow: EncodingRun {
      var isDone = false

      mutating func prepareNext() throws(Failure) -> Bool { !isDone }

      mutating func advance() throws(Failure) -> Bool {
        usleep(150_000)
        isDone = true
        return true
      }
    }
    let model = try Self.open()
    var togetherCount = 0
    // On a busy machine somebody may be late: it is tried again then.
    for _ in 0..<30 where togetherCount < 3 {
      let steps = try Steps(model)
      let (first, second) = (try steps.enter(), try steps.enter())
      let (threads, segment) = (Threads(), try steps.segment(Asked(count: 2)))
      try threads.start {
        try steps.scheduler.encode(first, Slow()) {}
        _ = try steps.scheduler.step(first, segment.value, isGenerating: false)
        steps.scheduler.leave(first)
      }
      try steps.run {
        // While the first one's part is worked on, the second one asks.
        try waitFor { steps.scheduler.monitor.withLock { first.phase == .running } }
        try steps.ask(second, Asked(count: 3), on: threads) { _ in steps.scheduler.leave(second) }
        threads.join()
      }
      if steps.scheduler.statistics.largestBatch == 2 { togetherCount += 1 }
    }
    #expect(togetherCount == 3)
  }

  /// Time that runs out ends the wait for a step, and what is late is in none.
  @Test func timeEndsTheWaitForAStep() throws {
    let steps = try Steps(Self.open())
    let (late, other) = (steps.scheduler.makeRequest(CallState(of: "the session")), try steps.enter())
    let called = Clock.now()
    try steps.scheduler.enter(late, WorkTerms(timeLimit: 0.05)) {}
    let (threads, found) = (Threads(), Locked<(status: Status?, end: Double)>((nil, 0)))
    let segment = try steps.segment(Asked(count: 3))
    try threads.start {
      let status = Runs.status { _ = try steps.scheduler.step(late, segment.value, isGenerating: false) }
      found.withLock { $0 = (status, Clock.now()) }
    }
    // Nobody computes steps yet, and nobody wakes it.
    try waitFor { found.withLock { $0.end } > 0 }
    #expect(found.withLock { $0.status } == .timedOut && found.withLock { $0.end } >= called + 0.05)
    steps.scheduler.leave(late)
    try steps.ask(other, Asked(count: 5), on: threads) { _ in }
    try steps.run { threads.join() }
    let counted = steps.scheduler.statistics
    #expect((counted.steps, counted.sessionSteps, counted.promptTokens) == (1, 1, 5))
  }

  /// However long the last step was, a step waits 20 ms for a session that does not come.
  @Test func stepsWaitNoLonger() throws {
    struct Long: EncodingRun {
      let end: Locked<Double>
      var isDone = false

      mutating func prepareNext() throws(Failure) -> Bool { !isDone }

      mutating func advance() throws(Failure) -> Bool {
        usleep(600_000)
        isDone = true
        end.withLock { $0 = Clock.now() }
        return true
      }
    }
    let model = try Self.open()
    var shortest = Double.infinity
    // On a busy machine somebody may be late: it is tried again then.
    for _ in 0..<5 where shortest > 0.045 {
      let steps = try Steps(model)
      let (first, second) = (try steps.enter(), try steps.enter())
      let (threads, end, waited) = (Threads(), Locked(0.0), Locked(0.0))
      try threads.start { try steps.scheduler.encode(first, Long(end: end)) {} }
      try steps.run {
        try waitFor { steps.scheduler.monitor.withLock { first.phase == .running } }
        try steps.ask(second, Asked(count: 1), on: threads) { _ in
          waited.withLock { $0 = Clock.now() - end.withLock { $0 } }
        }
        threads.join()
      }
      shortest = min(shortest, waited.withLock { $0 })
    }
    #expect(shortest >= 0.0199 && shortest <= 0.045, "\(shortest) s")
  }

  /// Of those that encode, the larger priority goes first, whoever has asked first.
  @Test func encodingsGoByPriority() throws {
    struct Part: EncodingRun {
      let name: Int
      let done: Locked<[Int]>
      var isDone = false

      mutating func prepareNext() throws(Failure) -> Bool { !isDone }

      mutating func advance() throws(Failure) -> Bool {
        done.withLock { $0.append(name) }
        isDone = true
        return true
      }
    }
    let steps = try Steps(Self.open())
    let (threads, done) = (Threads(), Locked<[Int]>([]))
    for (name, priority) in [0, -3, 5, 5, 1].enumerated() {
      let request = try steps.enter(priority)
      try threads.start {
        try steps.scheduler.encode(request, Part(name: name, done: done)) {}
        steps.scheduler.leave(request)
      }
      try waitFor { steps.scheduler.monitor.withLock { request.phase == .pending } }
    }
    try steps.run { threads.join() }
    #expect(done.withLock { $0 } == [2, 3, 4, 0, 1])
  }

  private static func open() throws -> Model {
    try Model(
      ModelFolder(Fixtures.path("Fixtures/models/\(Runs.model)")), pool: try ThreadPool(threadCount: 2),
      kernels: Kernels.selected())
  }

  /// A scheduler whose thread runs when the test wants it to; its steps take 32 tokens at most.
  private struct Steps: @unchecked Sendable {
    let scheduler: Scheduler
    private let model: Model
    private let pages: PagePool

    init(_ model: Model, own: Int = 8) throws {
      self.model = model
      scheduler = Scheduler(Scheduler.Limits(promptTokensPerStep: own))
      pages = PagePool(
        layout: try model.configuration.pageLayout(.float32), kernels: model.kernels,
        budget: MemoryBudget(limit: nil, name: "the test's budget"))
    }

    func enter(of state: CallState = CallState(of: "the session"), _ priority: Int = 0) throws -> StepRequest {
      let request = scheduler.makeRequest(state)
      try scheduler.enter(request, WorkTerms(priority: priority)) {}
      return request
    }

    func segment(_ asked: Asked, seed: Int = 0) throws -> Moved<Segment> {
      let cache = try LatentCache(pool: pages, capacity: 64)
      try cache.reserve(asked.count)
      return Moved(value: Segment(cache: cache, tokens: Runs.tokens(asked.count, seed: seed)[...], logits: .none))
    }

    /// Asks for a step on a thread of its own, and returns when it waits.
    /// - Parameter body: gets the tokens that were computed.
    func ask(
      _ request: StepRequest, _ asked: Asked, seed: Int = 0, on threads: Threads,
      then body: @escaping @Sendable (Int) -> Void
    ) throws {
      let segment = try segment(asked, seed: seed)
      let before = scheduler.monitor.withLock { request.order }
      try threads.start {
        body(try scheduler.step(request, segment.value, isGenerating: asked.isGenerating))
      }
      try waitFor { scheduler.monitor.withLock { request.order != before } }
    }

    /// Computes steps while `body` runs.
    func run(_ body: () throws -> Void) throws {
      let thread = try BackgroundThread(name: "steps") {
        scheduler.run { () throws(Failure) in
          try Decoder(model: model, options: DecoderOptions(contextLength: 64, chunk: 32, batch: 16))
        }
      }
      defer {
        scheduler.stop()
        thread.join()
      }
      try body()
    }
  }

  /// Tokens that each gets in the first step that takes any of its own, where all have asked, one after the other, before
  /// the first step begins.
  /// - Parameters:
  ///   - isAnyGenerating: whether one more session is past its prompt, and samples.
  ///   - own: prompt_tokens_per_step.
  private func granted(
    _ asked: [Asked], besides isAnyGenerating: Bool, own: Int = 8, _ model: Model? = nil
  ) throws -> [Int] {
    let steps = try Steps(try model ?? Self.open(), own: own)
    if isAnyGenerating { try steps.enter().isGenerating = true }
    let counts = Locked([Int](repeating: 0, count: asked.count))
    let threads = Threads()
    for (index, one) in asked.enumerated() {
      let request = try steps.enter(one.priority)
      try steps.ask(request, one, seed: index, on: threads) { count in
        counts.withLock { $0[index] = count }
        steps.scheduler.leave(request)
      }
    }
    try steps.run { threads.join() }
    return counts.withLock { $0 }
  }
}
