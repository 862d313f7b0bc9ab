import DormouseEngine
import DormouseSupport
import Glibc
import Testing

/// Sessions over the tiny golden checkpoints, which have no tokenizer: tokens in, tokens out.
@Suite struct SessionTests {
  private static let prompt: [Int32] = [5, 9, 2, 7, 1, 8, 3]

  private func session(_ model: String = "good-v3-one-token", context: Int? = nil) throws -> Session {
    var options = SessionOptions()
    options.contextLength = context
    return try Session(engine: try Self.engine(model), options: options)
  }

  private static func engine(_ model: String, options: EngineOptions = EngineOptions()) throws -> Engine {
    try Engine(path: Fixtures.path("Fixtures/models/\(model)"), options: options)
  }

  /// The tokens of one generation, and its events.
  private func generate(
    _ session: Session, _ tokens: [Int32], _ configuration: String
  ) throws -> (tokens: [Int32], events: [GenerationEvent]) {
    var events: [GenerationEvent] = []
    let result = try session.generate(tokens, configuration: configuration) {
      events.append($0)
      return 0
    }
    #expect(result == 0)
    return (events.filter { $0.kind == .token }.map(\.token), events)
  }

  private func logits(_ session: Session) throws -> [Float] {
    var logits = [Float](repeating: 0, count: session.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
    return logits
  }

  private func status(_ body: () throws -> Void) -> Status? {
    do {
      try body()
      return nil
    } catch { return (error as? Failure)?.status }
  }

  @Test func generationGoesOnWhereTheLastOneEnded() throws {
    let configuration = #"{"max_tokens": 6, "ignore_eos": true}"#
    let once = try generate(try session(), Self.prompt, #"{"max_tokens": 12, "ignore_eos": true}"#).tokens
    let twice = try session()
    let first = try generate(twice, Self.prompt, configuration).tokens
    let second = try generate(twice, [], configuration).tokens
    #expect(once.count == 12)
    #expect(first + second == once)
    #expect(try twice.length() == Self.prompt.count + 12)
  }

  @Test func truncatingBringsBackTheSameLogits() throws {
    let session = try session()
    try session.prefill(Self.prompt)
    let before = try logits(session)
    _ = try generate(session, [4, 4], #"{"max_tokens": 3, "ignore_eos": true}"#)
    try session.truncate(to: Self.prompt.count)
    #expect(try session.length() == Self.prompt.count)
    let after = try logits(session)
    #expect(zip(before, after).allSatisfy { abs($0 - $1) <= 1e-4 * max(1, abs($0)) })
  }

  @Test func sampledTextDependsOnTheSeedAlone() throws {
    func run(_ seed: Int) throws -> [Int32] {
      let configuration = #"{"max_tokens": 20, "temperature": 1.5, "ignore_eos": true, "seed": \#(seed)}"#
      return try generate(try session(), Self.prompt, configuration).tokens
    }
    #expect(try run(1) == run(1))
    #expect(try run(1) != run(2))
  }

  @Test func eventsCountAndTellTheReason() throws {
    let events = try generate(try session(), Self.prompt, #"{"max_tokens": 4, "ignore_eos": true}"#).events
    #expect(events.map(\.kind) == [.prompt, .token, .token, .token, .token, .end])
    #expect(events.first?.counts.promptDone == Self.prompt.count)
    #expect(events.last?.finishReason == .length)
    #expect(events.last?.counts.generatedTokens == 4)
    #expect(events.last?.counts.promptTokens == Self.prompt.count)
  }

  @Test func logProbabilitiesComeWithAlternatives() throws {
    let events = try generate(try session(), Self.prompt, #"{"max_tokens": 2, "logprobs": 3, "ignore_eos": true}"#)
      .events.filter { $0.kind == .token }
    for event in events {
      #expect(event.alternatives.count == 3)
      #expect(event.alternatives[0].token == event.token)
      #expect(event.alternatives[0].logProbability == event.logProbability)
      #expect(event.logProbability < 0)
    }
  }

  @Test func theContextEndsTheAnswer() throws {
    let session = try session(context: 10)
    let events = try generate(session, Self.prompt, #"{"ignore_eos": true}"#).events
    #expect(events.last?.finishReason == .context)
    #expect(events.last?.counts.generatedTokens == 3)
    #expect(try session.length() == 10)
    #expect(status { try session.prefill([1]) } == .contextFull)
    #expect(try session.length() == 10)
  }

  /// The last token that was asked for may be the last that fits: the answer is as long as it was to be.
  @Test func lengthComesBeforeTheContext() throws {
    let session = try session(context: 10)
    let events = try generate(session, Self.prompt, #"{"max_tokens": 3, "ignore_eos": true}"#).events
    #expect(events.last?.finishReason == .length)
    #expect(try session.length() == 10)
  }

  @Test func aPromptThatDoesNotFitLeavesTheSessionAlone() throws {
    let session = try session(context: 10)
    try session.prefill([1, 2, 3])
    #expect(status { try session.prefill([Int32](repeating: 1, count: 8)) } == .contextFull)
    #expect(status { _ = try session.generate([1, 99_999], configuration: nil) { _ in 0 } } == .invalidArgument)
    #expect(status { _ = try session.generate([-1], configuration: nil) { _ in 0 } } == .invalidArgument)
    #expect(try session.length() == 3)
  }

  @Test func anEmptySessionHasNoLogits() throws {
    let session = try session()
    #expect(status { _ = try logits(session) } == .invalidArgument)
    #expect(status { _ = try session.generate([], configuration: nil) { _ in 0 } } == .invalidArgument)
    #expect(status { try session.truncate(to: 1) } == .invalidArgument)
  }

  @Test func theCallbackStopsAtItsToken() throws {
    let session = try session()
    var tokens = 0
    let result = try session.generate(Self.prompt, configuration: #"{"ignore_eos": true}"#) { event in
      if event.kind == .token { tokens += 1 }
      return tokens == 3 ? 42 : 0
    }
    #expect(result == 42)
    #expect(tokens == 3)
    #expect(try session.length() == Self.prompt.count + 3)
  }

  @Test func aSecondCallIsBusyAndCancelEndsTheFirst() throws {
    let session = try session()
    var inner: Status?
    let outer = status {
      _ = try session.generate(Self.prompt, configuration: #"{"ignore_eos": true}"#) { event in
        if event.kind == .token, event.counts.generatedTokens == 2 {
          inner = status { try session.prefill([1]) }
          session.cancel()
        }
        return 0
      }
    }
    #expect(inner == .busy)
    #expect(outer == .cancelled)
    #expect(try session.length() == Self.prompt.count + 1)
    // The wish to cancel ended with the call.
    #expect(try generate(session, [], #"{"max_tokens": 1, "ignore_eos": true}"#).tokens.count == 1)
  }

  @Test func cancellingBeforeACallDoesNothing() throws {
    let session = try session()
    session.cancel()
    try session.prefill(Self.prompt)
    #expect(try session.length() == Self.prompt.count)
  }

  @Test func budgetsHoldForWeightsAndSessions() throws {
    var session = SessionOptions()
    session.contextLength = 256
    let plan = try Self.engine("good-v3-one-token").plan(for: session)
    var options = EngineOptions()
    options.memoryLimit = plan.weightBytes - 1
    #expect(status { _ = try Self.engine("good-v3-one-token", options: options) } == .outOfMemory)
    // Room for the second one's own few bytes, but not for a page.
    options.memoryLimit = plan.totalBytes - plan.prefixBytes + 4096
    let tight = try Self.engine("good-v3-one-token", options: options)
    let first = try Session(engine: tight, options: session)
    try first.prefill([Int32](repeating: 1, count: 256))
    // It opens, but there are no pages for it until the first one has given some back.
    let second = try Session(engine: tight, options: session)
    #expect(status { try second.prefill(Self.prompt) } == .outOfMemory)
    #expect(try second.length() == 0)
    try first.truncate(to: 64)
    try second.prefill(Self.prompt)
    options.cacheLimit = plan.cacheBytes - 1
    let tighter = try Self.engine("good-v3-one-token", options: options)
    #expect(status { _ = try Session(engine: tighter, options: session) } == .outOfMemory)
  }

  @Test func withoutWeightsThereAreInfoAndPlanButNoSessions() throws {
    var options = EngineOptions()
    options.withoutWeights = true
    let engine = try Self.engine("good-v3-one-token", options: options)
    #expect(try engine.info()["model_type"] == "deepseek_v3")
    #expect(try engine.plan(for: SessionOptions()).weightBytes > 0)
    #expect(status { _ = try Session(engine: engine, options: SessionOptions()) } == .unsupported)
    #expect(status { _ = try engine.tokenize(messages: #"[{"role": "user", "content": "x"}]"#) } == .notFound)
  }

  @Test func contextBeyondTheModelIsRefused() throws {
    let engine = try Self.engine("good-v3-one-token")
    var options = SessionOptions()
    options.contextLength = 1 << 30
    #expect(status { _ = try Session(engine: engine, options: options) } == .invalidArgument)
  }

  @Test func sessionsOfOneEngineMayRunAtTheSameTime() async throws {
    let engine = try Self.engine("good-v3-group8")
    let alone = try await Self.run(engine, 0)
    let all = try await withThrowingTaskGroup(of: [Int32].self) { group in
      for index in 0..<6 { group.addTask { try await Self.run(engine, index) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(all.allSatisfy { $0 == alone })
  }

  private static func run(_ engine: Engine, _ index: Int) async throws -> [Int32] {
    let session = try Session(engine: engine, options: SessionOptions())
    var tokens: [Int32] = []
    _ = try session.generate(prompt, configuration: #"{"max_tokens": 16, "ignore_eos": true}"#) {
      if $0.kind == .token { tokens.append($0.token) }
      return 0
    }
    return tokens
  }

  /// Where a prompt is cut into calls changes nothing of what is sampled: penalties see all that the session holds.
  @Test(arguments: [
    #""repetition_penalty": 1.8"#, #""repetition_penalty": 1.8, "temperature": 0.9, "seed": 4"#,
    #""repetition_penalty": 0.6, "presence_penalty": 0.7, "frequency_penalty": 0.4"#,
  ])
  func callsChangeNoPenalty(_ penalties: String) throws {
    let prompt = Self.prompt + [11, 40, 2, 6]
    let configuration = #"{"max_tokens": 12, "ignore_eos": true, \#(penalties)}"#
    let whole = try generate(try session(), prompt, configuration).tokens
    #expect(try whole != generate(session(), prompt, #"{"max_tokens": 12, "ignore_eos": true}"#).tokens)
    for cut in 1...prompt.count {
      let session = try session()
      try session.prefill(Array(prompt[..<cut]))
      #expect(try generate(session, Array(prompt[cut...]), configuration).tokens == whole, "cut at \(cut)")
    }
  }

  /// The seconds of each phase begin with it.
  @Test func secondsOfAnAnswerAreItsOwn() throws {
    let session = try session()
    let called = Clock.now()
    var read = 0.0
    _ = try session.generate(Self.prompt, configuration: #"{"max_tokens": 3, "ignore_eos": true}"#) { event in
      let counts = event.counts
      switch event.kind {
      case .prompt:
        #expect(counts.promptSeconds > 0 && counts.generationSeconds == 0)
        #expect(counts.waitingSeconds + counts.promptSeconds <= Clock.now() - called)
        usleep(30_000)
        read = Clock.now()
      default: #expect(counts.generationSeconds > 0 && counts.generationSeconds <= Clock.now() - read)
      }
      return 0
    }
    #expect(read > called)
  }
}
