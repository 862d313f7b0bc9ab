import DormouseCache
import DormouseKernels
import DormouseModel
import DormouseSupport
import Glibc
import Testing

@testable import DormouseEngine

/// Many sessions at once: nobody's answer depends on the others, and everybody has a turn.
@Suite struct SchedulerTests {
  /// Holds a session in its callback, and so at work, until the gate opens.
  private func occupy(_ session: Session, _ threads: Threads, until gate: Gate) throws {
    let begun = Gate()
    try threads.start {
      _ = try session.generate([1, 2, 3], configuration: #"{"max_tokens": 1, "ignore_eos": true}"#) { event in
        if event.kind == .token {
          begun.open()
          gate.wait()
        }
        return 0
      }
    }
    begun.wait()
  }

  @Test(arguments: [1, 3, 16])
  func answersAreThoseOfASessionAlone(_ batchLimit: Int) throws {
    let engine = try Runs.engine {
      $0.batchLimit = batchLimit
      $0.promptTokensPerStep = 13
    }
    let threads = Threads()
    let lengths = [1, 2, 63, 64, 65, 130, 7, 200]
    let answers = Locked<[Int: [Int32]]>([:])
    for (index, length) in lengths.enumerated() {
      try threads.start {
        let answer = try Runs.generate(Runs.session(engine), Runs.tokens(length, seed: index), 40).tokens
        answers.withLock { $0[index] = answer }
      }
    }
    threads.join()
    for (index, length) in lengths.enumerated() {
      let expected = try Runs.alone(Runs.tokens(length, seed: index), 40)
      #expect(answers.withLock { $0[index] } == expected, "session \(index)")
    }
    let statistics = try engine.statistics()
    #expect(statistics["sessions"]?["left"]?.integerValue == Int64(lengths.count))
    #expect(statistics["sessions"]?["working"]?.integerValue == 0)
    let largest = statistics["steps"]?["largest_batch"]?.integerValue ?? 0
    #expect(largest <= Int64(batchLimit) && (largest > 1) == (batchLimit > 1))
    #expect(statistics["tokens"]?["generated"]?.integerValue == Int64(lengths.count * 39))
  }

  @Test func cancellingOneLeavesTheOthersAlone() throws {
    let engine = try Runs.engine()
    let threads = Threads()
    let answer = Locked<[Int32]>([])
    let victim = try Runs.session(engine)
    try threads.start {
      let status = Runs.status {
        _ = try victim.generate(Runs.tokens(100, seed: 1), configuration: #"{"ignore_eos": true}"#) { event in
          if event.counts.generatedTokens == 20 { victim.cancel() }
          return 0
        }
      }
      #expect(status == .cancelled)
    }
    try threads.start {
      let tokens = try Runs.generate(Runs.session(engine), Runs.tokens(90, seed: 2), 60).tokens
      answer.withLock { $0 = tokens }
    }
    threads.join()
    #expect(answer.withLock { $0 } == (try Runs.alone(Runs.tokens(90, seed: 2), 60)))
    #expect(try victim.length() == 119)
  }

  @Test func whoeverIsTooManyIsTurnedAway() throws {
    let engine = try Runs.engine {
      $0.batchLimit = 1
      $0.queueLimit = 1
    }
    let (threads, gate) = (Threads(), Gate())
    try occupy(try Runs.session(engine), threads, until: gate)
    let second = try Runs.session(engine)
    try threads.start { try second.prefill([4, 5]) }
    try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == 1 }
    let third = try Runs.session(engine)
    #expect(Runs.status { try third.prefill([4, 5]) } == .overloaded)
    #expect(try third.length() == 0)
    gate.open()
    threads.join()
    #expect(try second.length() == 2)
    try third.prefill([4, 5])
    #expect(try engine.statistics()["sessions"]?["refused"]?.integerValue == 1)
  }

  /// Nobody may wait, but whoever finds a place need not.
  @Test func aQueueOfNoneTakesWhoeverFindsAPlace() throws {
    let engine = try Runs.engine {
      $0.batchLimit = 1
      $0.queueLimit = 0
    }
    let other = try Runs.session(engine)
    try other.prefill([4, 5])
    let (threads, gate) = (Threads(), Gate())
    try occupy(try Runs.session(engine), threads, until: gate)
    #expect(Runs.status { try other.prefill([6]) } == .overloaded)
    gate.open()
    threads.join()
    try other.prefill([6])
    #expect(try other.length() == 3)
  }

  @Test func waitingCanBeCancelledAndTimesOut() throws {
    let engine = try Runs.engine { $0.batchLimit = 1 }
    let (threads, gate) = (Threads(), Gate())
    try occupy(try Runs.session(engine), threads, until: gate)
    let second = try Runs.session(engine)
    let done = Gate()
    try threads.start {
      #expect(Runs.status { try second.prefill([4, 5]) } == .cancelled)
      done.open()
    }
    try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == 1 }
    second.cancel()
    done.wait()
    #expect(try second.length() == 0)
    let status = Runs.status { _ = try Runs.generate(second, [4, 5], more: #", "time_limit": 0.05"#) }
    #expect(status == .timedOut)
    #expect(try second.length() == 0)
    let sessions = try engine.statistics()["sessions"]
    #expect(sessions?["cancelled"]?.integerValue == 1 && sessions?["failed"]?.integerValue == 1)
    gate.open()
    threads.join()
    #expect(try Runs.generate(second, [4, 5], 3).tokens.count == 3)
  }

  @Test func timeEndsAnAnswer() throws {
    let session = try Runs.session(try Runs.engine())
    var last: GenerationEvent?
    let result = try session.generate([1, 2], configuration: #"{"ignore_eos": true, "time_limit": 0.2}"#) { event in
      last = event
      // Longer than the limit.
      if event.counts.generatedTokens == 3, event.kind == .token { usleep(300_000) }
      return 0
    }
    #expect(result == 0)
    #expect(last?.kind == .end)
    #expect(last?.finishReason == .time)
    #expect(last?.counts.generatedTokens == 3)
  }

  @Test func largerPrioritiesGoFirst() throws {
    let engine = try Runs.engine { $0.batchLimit = 1 }
    let (threads, gate) = (Threads(), Gate())
    try occupy(try Runs.session(engine), threads, until: gate)
    let order = Locked<[Int]>([])
    for (place, priority) in [0, -3, 5, 0, 5].enumerated() {
      try threads.start {
        let configuration = #"{"max_tokens": 1, "ignore_eos": true, "priority": \#(priority)}"#
        _ = try Runs.session(engine).generate([1], configuration: configuration) { event in
          if event.kind == .token { order.withLock { $0.append(place) } }
          return 0
        }
      }
      try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == Int64(place + 1) }
    }
    gate.open()
    threads.join()
    #expect(order.withLock { $0 } == [2, 4, 0, 3, 1])
  }

  /// Two pages in all. A session waits for another's call to end while that may free some, and no longer.
  @Test func pagesAreWaitedForWhereThatHelps() throws {
    var small = SessionOptions()
    small.contextLength = 128
    let plan = try Runs.engine().plan(for: small)
    let engine = try Runs.engine {
      $0.cacheLimit = plan.cacheBytes
      $0.sharesPrefixes = false
    }
    let (threads, gate) = (Threads(), Gate())
    var first: Session? = try Session(engine: engine, options: small)
    if let first { try occupy(first, threads, until: gate) }
    let second = try Session(engine: engine, options: small)
    try second.prefill(Runs.tokens(60, seed: 1))
    try threads.start {
      // The first session keeps its page when its call has ended.
      #expect(Runs.status { try second.prefill(Runs.tokens(68, seed: 1)) } == .outOfMemory)
    }
    gate.open()
    threads.join()
    first = nil
    try second.prefill(Runs.tokens(68, seed: 1))
    #expect(try second.length() == 128)
  }

  /// Whoever waits for pages can be cancelled, and its time runs out.
  @Test func waitingForPagesEnds() throws {
    var small = SessionOptions()
    small.contextLength = 128
    let plan = try Runs.engine().plan(for: small)
    let engine = try Runs.engine {
      $0.cacheLimit = plan.cacheBytes
      $0.sharesPrefixes = false
    }
    let (threads, gate, begun) = (Threads(), Gate(), Gate())
    let first = try Session(engine: engine, options: small)
    try threads.start {
      // Both pages, for as many tokens as there might be.
      let stop = try first.generate([1, 2, 3], configuration: #"{"ignore_eos": true}"#) { event in
        guard event.kind == .token else { return 0 }
        begun.open()
        gate.wait()
        return 7
      }
      #expect(stop == 7)
    }
    begun.wait()
    let second = try Session(engine: engine, options: small)
    let ended = Locked<[Status?]>([])
    try threads.start {
      let late = Runs.status { _ = try Runs.generate(second, [4, 5], 1, more: #", "time_limit": 0.05"#) }
      ended.withLock { $0.append(late) }
      let stopped = Runs.status { try second.prefill([4, 5]) }
      ended.withLock { $0.append(stopped) }
    }
    try waitFor { ended.withLock { $0.count } == 1 }
    try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == 1 }
    usleep(20_000)
    second.cancel()
    try waitFor { ended.withLock { $0.count } == 2 }
    gate.open()
    threads.join()
    #expect(ended.withLock { $0 } == [.timedOut, .cancelled])
    #expect(try second.length() == 0)
  }

  /// What was taken over before a wait for pages counts as shared.
  @Test func sharedTokensAreCountedOverAWait() throws {
    func options(_ contextLength: Int, isPrivate: Bool = false) -> SessionOptions {
      var options = SessionOptions()
      options.contextLength = contextLength
      options.isPrivate = isPrivate
      return options
    }
    // Three pages: that of the common beginning, and two for the session that is in.
    let plan = try Runs.engine().plan(for: options(192))
    let engine = try Runs.engine { $0.cacheLimit = plan.cacheBytes }
    let prompt = Runs.tokens(70, seed: 5)
    try Session(engine: engine, options: options(128)).prefill(Array(prompt.prefix(64)))
    let (threads, gate, begun) = (Threads(), Gate(), Gate())
    let first = try Session(engine: engine, options: options(128, isPrivate: true))
    try threads.start {
      _ = try first.generate([1, 2, 3], configuration: #"{"ignore_eos": true}"#) { event in
        guard event.kind == .token else { return 0 }
        begun.open()
        gate.wait()
        return 7
      }
    }
    begun.wait()
    let second = try Session(engine: engine, options: options(128))
    let shared = Locked(-1)
    try threads.start {
      let events = try Runs.generate(second, prompt, 1).events
      shared.withLock { $0 = events.last?.counts.promptShared ?? -1 }
    }
    try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == 1 }
    usleep(20_000)
    gate.open()
    threads.join()
    #expect(shared.withLock { $0 } == 64)
  }

  /// A session that ends gives its pages back before it leaves: whoever waits for them does not look too early.
  @Test func pagesAreThereWhenTheirSessionLeaves() throws {
    var small = SessionOptions()
    small.contextLength = 128
    let plan = try Runs.engine().plan(for: small)
    for _ in 0..<20 {
      let engine = try Runs.engine {
        $0.cacheLimit = plan.cacheBytes
        $0.sharesPrefixes = false
      }
      let (threads, gate, begun) = (Threads(), Gate(), Gate())
      let first = try Session(engine: engine, options: small)
      try threads.start {
        // Both pages, for as many tokens as there might be; one of them in the end.
        let stop = try first.generate([1, 2, 3], configuration: #"{"ignore_eos": true}"#) { event in
          guard event.kind == .token else { return 0 }
          begun.open()
          gate.wait()
          return 7
        }
        #expect(stop == 7)
      }
      begun.wait()
      let second = try Session(engine: engine, options: small)
      try threads.start { try second.prefill([4, 5]) }
      try waitFor { try engine.statistics()["sessions"]?["waiting"]?.integerValue == 1 }
      gate.open()
      threads.join()
      #expect(try second.length() == 2)
    }
  }

  /// Not even a larger priority passes a session that takes its memory, or one place too many would be given away.
  @Test func nobodyPassesWhoPrepares() throws {
    let scheduler = Scheduler(Scheduler.Limits(batch: 1))
    func request() -> StepRequest { scheduler.makeRequest(CallState(of: "the session")) }
    let (threads, preparing, gate) = (Threads(), Gate(), Gate())
    let (first, second) = (request(), request())
    let order = Locked<[Int]>([])
    try threads.start {
      try scheduler.enter(first, WorkTerms()) { () throws(Failure) in
        preparing.open()
        gate.wait()
      }
      order.withLock { $0.append(1) }
      scheduler.leave(first)
    }
    preparing.wait()
    try threads.start {
      try scheduler.enter(second, WorkTerms(priority: 9)) { () throws(Failure) in order.withLock { $0.append(2) } }
      scheduler.leave(second)
    }
    try waitFor { scheduler.statistics.waiting == 2 }
    usleep(20_000)
    #expect(order.withLock { $0 } == [])
    gate.open()
    threads.join()
    #expect(order.withLock { $0 } == [1, 2])
  }

  @Test func anyLimitCanBePlannedWith() throws {
    let engine = try Runs.engine { $0.prefixCacheLimit = .max }
    let plan = try engine.plan(for: SessionOptions())
    #expect(plan.prefixBytes == .max && plan.totalBytes == .max)
    #expect(try engine.plan(for: SessionOptions()).json["total"]?.integerValue == .max)
    try Runs.session(engine).prefill([1, 2, 3])
  }

  @Test func limitsOutOfRangeAreRefused() {
    #expect(Runs.status { _ = try Runs.engine { $0.batchLimit = 1025 } } == .invalidArgument)
    #expect(Runs.status { _ = try Runs.engine { $0.queueLimit = 1 << 21 } } == .invalidArgument)
    #expect(Runs.status { _ = try Runs.engine { $0.promptTokensPerStep = 1 << 15 } } == .invalidArgument)
  }

  /// Up to each limit, and no further.
  @Test func limitsAreMetExactly() {
    for (fitting, member) in [
      ([1, 1024], \EngineOptions.batchLimit), ([0, 1 << 20], \.queueLimit), ([1, 1 << 14], \.promptTokensPerStep),
    ] as [([Int], WritableKeyPath<EngineOptions, Int?>)] {
      for (value, status) in [
        (fitting[0], nil), (fitting[1], nil), (fitting[0] - 1, Status.invalidArgument),
        (fitting[1] + 1, .invalidArgument),
      ] {
        var options = EngineOptions()
        options[keyPath: member] = value
        #expect(Runs.status { _ = try options.limits() } == status, "\(member): \(value)")
      }
    }
  }

  /// While somebody generates, a prompt is read in pieces of `prompt_tokens_per_step`.
  @Test func promptsAreCutWhileOthersGenerate() throws {
    let engine = try Runs.engine { $0.promptTokensPerStep = 13 }
    let (threads, gate, begun) = (Threads(), Gate(), Gate())
    let busy = try Runs.session(engine)
    try threads.start {
      _ = try busy.generate([1, 2, 3], configuration: #"{"max_tokens": 3, "ignore_eos": true}"#) { event in
        if event.kind == .token, event.counts.generatedTokens == 2 {
          begun.open()
          gate.wait()
        }
        return 0
      }
    }
    begun.wait()
    let events = try Runs.generate(Runs.session(engine), Runs.tokens(100, seed: 4), 1).events
    let second = try Runs.session(engine)
    try second.prefill(Runs.tokens(90, seed: 6))
    let more = try Runs.generate(second, Runs.tokens(50, seed: 7), 1).events
    gate.open()
    threads.join()
    let done = events.filter { $0.kind == .prompt }.map(\.counts.promptDone)
    #expect(zip([0] + done, done).allSatisfy { $1 - $0 <= 13 } && done.last == 100)
    // What a session held before is no part of its prompt's progress.
    #expect(more.filter { $0.kind == .prompt }.map(\.counts.promptDone) == [13, 26, 39, 50])
    // Alone it is read at once.
    let alone = try Runs.generate(Runs.session(engine), Runs.tokens(100, seed: 5), 1).events
    #expect(alone.filter { $0.kind == .prompt }.map(\.counts.promptDone) == [100])
  }

  /// Prompts that are read side by side take turns: neither waits for the end of the other.
  @Test func promptsTakeTurns() throws {
    let engine = try Runs.engine {
      $0.promptTokensPerStep = 13
      $0.sharesPrefixes = false
    }
    let (threads, gate, begun) = (Threads(), Gate(), Gate())
    let busy = try Runs.session(engine)
    try threads.start {
      _ = try busy.generate([1, 2, 3], configuration: #"{"max_tokens": 3, "ignore_eos": true}"#) { event in
        if event.kind == .token, event.counts.generatedTokens == 2 {
          begun.open()
          gate.wait()
        }
        return 0
      }
    }
    begun.wait()
    let (readers, started) = (Threads(), [Gate(), Gate()])
    let done = Locked([0, 0])
    // What the other one had read when one was done.
    let others = Locked<[Int]>([])
    for index in 0..<2 {
      let session = try Runs.session(engine)
      try readers.start {
        _ = try session.generate(
          Runs.tokens(400, seed: index + 1), configuration: #"{"max_tokens": 1, "ignore_eos": true}"#
        ) { event in
          guard event.kind == .prompt else { return 0 }
          started[index].open()
          started[1 - index].wait()
          let other = done.withLock {
            $0[index] = event.counts.promptDone
            return $0[1 - index]
          }
          if event.counts.promptDone == 400 { others.withLock { $0.append(other) } }
          return 0
        }
      }
    }
    readers.join()
    gate.open()
    threads.join()
    #expect(others.withLock { $0.first ?? 0 } >= 150)
  }

  /// A part of an encoding beside the tokens of an answer is work of both kinds.
  @Test func encodingsBesideAnswersAreMixed() throws {
    let request = Scheduler(Scheduler.Limits()).makeRequest(CallState(of: "the session"))
    let folder = try ModelFolder(Fixtures.path("Fixtures/models/\(Runs.model)"))
    let pages = PagePool(
      layout: try folder.configuration.pageLayout(.float32), kernels: try Kernels.selected(),
      budget: MemoryBudget(limit: nil, name: "the test's budget"))
    let segment = Segment(cache: try LatentCache(pool: pages, capacity: 64), tokens: [1], logits: .none)
    var found = SchedulerStatistics()
    for (isGenerating, isEncoding, seconds) in [
      (true, true, 1.0), (true, false, 2), (false, true, 4), (false, false, 8),
    ] {
      request.isGenerating = isGenerating
      found.count([request], [segment], isEncoding: isEncoding, seconds: seconds)
    }
    found.count([], [], isEncoding: true, seconds: 16)
    #expect((found.mixedSeconds, found.generationSeconds, found.promptSeconds) == (1, 2, 28))
    #expect((found.steps, found.sessionSteps, found.largestBatch) == (5, 7, 2))
  }

  /// Seconds are counted where they were spent, and no more of them than have passed.
  @Test func secondsAreThoseOfTheSteps() throws {
    let engine = try Runs.engine { $0.sharesPrefixes = false }
    func seconds() throws -> [String: Double] {
      let object = try #require(try engine.statistics()["seconds"]?.objectValue)
      return Dictionary(object.map { ($0.key, $0.value.doubleValue ?? .nan) }) { first, _ in first }
    }
    let start = Clock.now()
    let session = try Runs.session(engine)
    try session.prefill(Runs.tokens(200, seed: 1))
    let read = try seconds()
    #expect(read["prompt"] ?? 0 > 0 && read["generation"] == 0 && read["mixed"] == 0)
    _ = try Runs.generate(session, [], 20)
    let answered = try seconds()
    #expect(answered["prompt"] == read["prompt"] && answered["generation"] ?? 0 > 0 && answered["mixed"] == 0)
    let (threads, gate, begun) = (Threads(), Gate(), Gate())
    let ended = Locked(false)
    try threads.start {
      _ = try session.generate([1], configuration: #"{"max_tokens": 200, "ignore_eos": true}"#) { event in
        if event.kind == .token, event.counts.generatedTokens == 2 { begun.open() }
        return 0
      }
      ended.withLock { $0 = true }
      gate.open()
    }
    begun.wait()
    while try seconds()["mixed"] == 0, !ended.withLock({ $0 }) {
      try Runs.session(engine).prefill(Runs.tokens(30, seed: 7))
    }
    gate.wait()
    threads.join()
    let all = try seconds()
    #expect(all["mixed"] ?? 0 > 0)
    let spent = ["prompt", "mixed", "generation"].reduce(0) { $0 + (all[$1] ?? .nan) }
    #expect(spent > 0 && spent <= Clock.now() - start)
  }

  /// A cancelled prompt ends inside its step: the step counts, and none of its tokens stays.
  @Test func cancellingEndsAStepHalfway() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let tokens = (0..<1000).map { Int32($0 * 37 % 1000) }
    for attempt in 1...30 {
      let session = try Runs.session(engine) {
        $0.contextLength = 1024
        $0.isPrivate = true
      }
      let before = try engine.statistics()["steps"]?["count"]?.integerValue
      let threads = Threads()
      let status = Locked<Status?>(nil)
      try threads.start {
        let found = Runs.status { try session.prefill(tokens) }
        status.withLock { $0 = found }
      }
      try waitFor { try engine.statistics()["sessions"]?["working"]?.integerValue == 1 }
      usleep(UInt32(attempt * 500))
      session.cancel()
      threads.join()
      let steps = try engine.statistics()["steps"]?["count"]?.integerValue
      let length = try session.length()
      if status.withLock({ $0 }) == .cancelled, steps == before.map({ $0 + 1 }), length == 0 { return }
    }
    Issue.record("no step was ended by cancelling")
  }

  /// Time that runs out ends a prompt inside its step, too.
  @Test func timeEndsAStepHalfway() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let tokens = (0..<1000).map { Int32($0 * 37 % 1000) }
    for attempt in 1...30 {
      let session = try Runs.session(engine) {
        $0.contextLength = 1024
        $0.isPrivate = true
      }
      let before = try engine.statistics()["steps"]?["count"]?.integerValue
      let limit = Double(attempt) * 500e-6
      let status = Runs.status { _ = try Runs.generate(session, tokens, 1, more: #", "time_limit": \#(limit)"#) }
      let steps = try engine.statistics()["steps"]?["count"]?.integerValue
      if status == .timedOut, steps == before.map({ $0 + 1 }), try session.length() == 0 { return }
    }
    Issue.record("no step was ended by its time")
  }
}
