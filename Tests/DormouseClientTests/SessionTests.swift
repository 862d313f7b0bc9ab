import DormouseClient
import Glibc
import Synchronization
import Testing

@Suite struct SessionTests {
  private struct Answer {
    var text = ""
    var tokens: [OpenSession.Token] = []
    var prompts: [(done: Int, total: Int)] = []
    var parts: [OpenSession.Part] = []
    var end: OpenSession.End?
  }

  private func answer(
    _ session: OpenSession, _ prompt: OpenSession.Prompt = .messages(Fixtures.question),
    _ options: OpenSession.GenerationOptions = Fixtures.greedy
  ) throws -> Answer {
    var answer = Answer()
    try session.generate(prompt, options) { event in
      #expect(answer.end == nil)
      switch event {
      case .prompt(let done, let total): answer.prompts.append((done, total))
      case .part(let part): answer.parts.append(part)
      case .token(let token):
        answer.tokens.append(token)
        answer.text += token.text
      case .part: Issue.record("no parts were asked for")
      case .end(let end):
        answer.end = end
        answer.text += end.text
      }
    }
    return answer
  }

  @Test func anAnswerInPartsHasItsTextThere() throws {
    let session = try OpenSession(Fixtures.engine())
    let whole = try answer(session)
    var options = Fixtures.greedy
    options.parts = true
    let parts = try answer(session, .messages(Fixtures.question), options)
    #expect(parts.text.isEmpty && parts.parts.allSatisfy { $0.kind == .content })
    #expect(parts.parts.map(\.text).joined() == whole.text)
    #expect(whole.parts.isEmpty && whole.end?.consistencyContent == 1 && whole.end?.consistencyReasoning == nil)
    options.parts = nil
    options.thinking = .on
    #expect(throws: DormouseError.self) { try answer(session, .messages(Fixtures.question), options) }
  }

  @Test func aChatIsAnsweredEventByEvent() throws {
    let engine = try Fixtures.engine()
    let session = try OpenSession(engine)
    let answer = try answer(session)
    #expect(answer.text.contains("7 plus 5 is 12."))
    let end = try #require(answer.end)
    #expect(end.finishReason == .stop)
    #expect(end.promptTokens == (try engine.tokenize(messages: Fixtures.question).count))
    #expect(answer.prompts.last?.done == end.promptTokens && answer.prompts.last?.total == end.promptTokens)
    #expect(answer.tokens.count == end.generatedTokens)
    #expect(answer.tokens.allSatisfy { $0.alternatives.isEmpty && $0.logProbability == 0 })
    #expect(try session.length() == end.promptTokens + end.generatedTokens)
    #expect(try engine.statistics()["tokens", "prompt"]?.integer == UInt64(end.promptTokens))
    // The same prompt is in the session by now.
    #expect(try self.answer(session).end?.promptReused == end.promptTokens)
  }

  @Test func optionsReachTheLibrary() throws {
    let session = try OpenSession(try Fixtures.engine())
    var options = Fixtures.greedy
    options.maxTokens = 3
    options.logprobs = 2
    let short = try answer(session, options: options)
    #expect(short.end?.finishReason == .length && short.tokens.count == 3)
    for token in short.tokens {
      #expect(token.alternatives.map(\.id).first == token.id && token.alternatives.count == 2)
      #expect(token.logProbability == token.alternatives[0].logProbability && token.logProbability < 0)
    }
    let first = try #require(short.tokens.first)
    options.logitBias = ["\(first.id)": -100]
    #expect(try answer(session, options: options).tokens.first?.id != first.id)
    options.topP = 7
    let error = #expect(throws: DormouseError.self) { try answer(session, options: options) }
    #expect(error?.status == .invalidArgument && error?.message.contains("top_p") == true)
    options.topP = .nan
    #expect(throws: DormouseError.self) { try answer(session, options: options) }
  }

  private func answer(_ session: OpenSession, options: OpenSession.GenerationOptions) throws -> Answer {
    try answer(session, .messages(Fixtures.question), options)
  }

  private struct Enough: Error {}

  @Test func whatTheCallerThrowsStopsTheWork() throws {
    let session = try OpenSession(try Fixtures.engine())
    var count = 0
    #expect(throws: Enough.self) {
      try session.generate(.messages(Fixtures.question)) { event in
        guard case .token = event else { return }
        count += 1
        if count == 2 { throw Enough() }
      }
    }
    #expect(count == 2)
    #expect(try answer(session).text.contains("12"))
  }

  @Test func aSessionIsCancelledWithinItsCallback() throws {
    let session = try OpenSession(try Fixtures.engine())
    let error = #expect(throws: DormouseError.self) {
      try session.generate(.messages(Fixtures.question)) { event in
        if case .token = event { session.cancel() }
      }
    }
    #expect(error?.status == .cancelled)
    #expect(try answer(session).text.contains("12"))
  }

  /// One is at work, and stays so until the other has called, was told so, and has stopped it.
  @Test func aSecondCallIsBusyAndCancelComesFromAnyThread() async throws {
    let session = try OpenSession(try Fixtures.engine())
    let (events, continuation) = AsyncStream.makeStream(of: Void.self)
    let isCancelled = Atomic(false)
    let working = Task.detached {
      try session.generate(.messages(Fixtures.question), Fixtures.greedy) { _ in
        continuation.yield()
        while !isCancelled.load(ordering: .acquiring) { usleep(1000) }
      }
    }
    for await _ in events { break }
    let busy = #expect(throws: DormouseError.self) { try session.length() }
    #expect(busy?.status == .busy)
    session.cancel()
    isCancelled.store(true, ordering: .releasing)
    let result = await working.result
    let error = #expect(throws: DormouseError.self) { try result.get() }
    #expect(error?.status == .cancelled)
  }

  @Test func tokensAreContinuedAndTakenBack() throws {
    let engine = try Fixtures.engine()
    let session = try OpenSession(engine)
    let ids = try engine.tokenize(messages: Fixtures.question)
    try session.prefill(ids[...])
    #expect(try answer(session, .tokens([])).text.contains("12"))
    try session.truncate(ids.count)
    #expect(try session.length() == ids.count)
    let error = #expect(throws: DormouseError.self) { try session.truncate(ids.count + 1) }
    #expect(error?.status == .invalidArgument)
    let vocabulary = try #require(engine.info()["vocabulary_size"]?.integer.map { Int($0) })
    var logits = [Float](repeating: .nan, count: 2 * vocabulary + 1)
    try session.prefill(ids[..<2], logits: &logits)
    #expect(logits.dropLast().allSatisfy(\.isFinite) && logits[2 * vocabulary].isNaN)
  }

  @Test func aForkGoesItsOwnWay() throws {
    let engine = try Fixtures.engine()
    let session = try OpenSession(engine)
    #expect(throws: DormouseError.self) { try session.logits() }
    try session.prefill(engine.tokenize(messages: Fixtures.question)[...])
    let (length, logits) = try (session.length(), session.logits())
    #expect(UInt64(logits.count) == (try engine.info()["vocabulary_size"]?.integer))
    let fork = try session.fork()
    #expect(try fork.length() == length && fork.logits() == logits)
    let answer = try answer(fork, .tokens([]))
    #expect(answer.text.contains("12"))
    #expect(try session.length() == length && session.logits() == logits)
    #expect(try self.answer(session, .tokens([])).text == answer.text)
  }

  @Test func optionsOfASessionHold() throws {
    let engine = try Fixtures.engine()
    var options = OpenSession.Options()
    options.contextLength = 8
    let small = #expect(throws: DormouseError.self) { try answer(try OpenSession(engine, options)) }
    #expect(small?.status == .contextFull)
    options.keepTokens = 4
    #expect(throws: DormouseError.self) { try OpenSession(engine, options) }
    options.overflow = .slide
    #expect(throws: Never.self) { try OpenSession(engine, options) }
    options.contextLength = .max
    #expect(throws: DormouseError.self) { try OpenSession(engine, options) }
  }

  @Test func aSavedSessionGoesOn() throws {
    let engine = try Fixtures.engine()
    let session = try OpenSession(engine)
    let answer = try answer(session)
    let path = "/tmp/dormouse-client-tests-\(getpid()).session"
    defer { unlink(path) }
    try session.save(path)
    let restored = try OpenSession(engine)
    try restored.restore(path)
    #expect(try restored.length() == session.length())
    #expect(try self.answer(restored).end?.promptReused == answer.end?.promptTokens)
    let error = #expect(throws: DormouseError.self) { try restored.restore(path + ".none") }
    #expect(error?.status == .notFound)
  }
}
