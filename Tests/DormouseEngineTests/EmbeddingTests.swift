import DormouseEngine
import DormouseSupport
import Testing

/// Hidden states after the final norm, against transformers (`Tests/Fixtures/embeddings`), and the sessions that stay as
/// they were.
@Suite struct EmbeddingTests {
  static let models = ["good-v3-group8", "good-v2-greedy", "good-glm-lite", "good-dots-published"]
  /// One token, a page, a page and one, and many.
  static let lengths = [1, 64, 65, 600]
  static let bound = 1e-5

  struct Golden {
    let ids: [Int32]
    private let last: [Float]
    private let mean: [Float]

    init(_ model: String) throws {
      let file = try TensorFile(Fixtures.path("Fixtures/embeddings/goldens.safetensors"))
      ids = try file.integers("\(model).input_ids")
      last = try file.floats("\(model).last")
      mean = try file.floats("\(model).mean")
    }

    func row(_ pooling: String, _ index: Int) -> ArraySlice<Float> {
      let all = pooling == "mean" ? mean : last
      let hidden = all.count / lengths.count
      return all[index * hidden..<(index + 1) * hidden]
    }
  }

  private static func session(
    _ engine: Engine, _ change: (inout SessionOptions) -> Void = { _ in }
  ) throws -> Session {
    try Runs.session(engine) {
      $0.contextLength = 1000
      change(&$0)
    }
  }

  private static func embed(
    _ session: Session, _ tokens: some Collection<Int32>, _ json: String? = nil
  ) throws -> [Float] {
    var embedding = [Float](repeating: .nan, count: session.hiddenSize)
    try embedding.withUnsafeMutableBufferPointer {
      try session.embed(Array(tokens), configuration: json, into: $0)
    }
    return embedding
  }

  // MARK: - Values

  @Test(arguments: models) func equalThoseOfTransformers(_ model: String) throws {
    let golden = try Golden(model)
    let engine = try Runs.engine(model)
    for isAbsorbed in [false, true] {
      let session = try Self.session(engine) { if isAbsorbed { $0.attention = .absorbed } }
      for (index, length) in Self.lengths.enumerated() {
        for pooling in ["last", "mean"] {
          let found = try Self.embed(session, golden.ids.prefix(length), #"{"pooling": "\#(pooling)"}"#)
          let error = relativeError(found, golden.row(pooling, index))
          #expect(error <= Self.bound, "\(model), \(length) tokens, \(pooling): \(error)")
        }
      }
      #expect(try session.length() == 0)
    }
  }

  /// Behind what the session holds, its last token evaluated or not.
  @Test(arguments: models, [1, 63, 64, 65, 200])
  func tokensStandBehindTheSessions(_ model: String, _ held: Int) throws {
    let golden = try Golden(model)
    let session = try Self.session(try Runs.engine(model))
    try session.prefill(Array(golden.ids.prefix(held)))
    for (index, length) in Self.lengths.enumerated() where length > held {
      let found = try Self.embed(session, golden.ids[held..<length])
      #expect(relativeError(found, golden.row("last", index)) <= Self.bound, "\(model), \(held) of \(length)")
    }
    #expect(try session.length() == held)
    // Its rows are to be computed again, where layers have state.
    try session.truncate(to: held - 1)
    for (index, length) in Self.lengths.enumerated() where length > held - 1 {
      let found = try Self.embed(session, golden.ids[(held - 1)..<length])
      #expect(relativeError(found, golden.row("last", index)) <= Self.bound, "\(model), \(held - 1) of \(length)")
    }
  }

  @Test func normalizedOnesHaveTheLengthOne() throws {
    let session = try Self.session(try Runs.engine())
    for pooling in ["last", "mean"] {
      let plain = try Self.embed(session, Runs.tokens(20, seed: 1), #"{"pooling": "\#(pooling)"}"#)
      let unit = try Self.embed(session, Runs.tokens(20, seed: 1), #"{"pooling": "\#(pooling)", "normalize": true}"#)
      let length = plain.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      #expect(abs(unit.reduce(0.0) { $0 + Double($1) * Double($1) } - 1) < 1e-6)
      #expect(relativeError(unit.map { Float(Double($0) * length) }, plain) < 1e-6)
    }
  }

  /// Longer than what the engine computes at a time: the parts add up.
  @Test(arguments: ["good-v3-group8", "good-dots-published"]) func manyStepsAreOneText(_ model: String) throws {
    var edited = try EditedModel(Fixtures.path("Fixtures/models/\(model)"))
    edited.configuration["max_position_embeddings"] = 4096
    let folder = try TemporaryFolder()
    try edited.write(into: folder)
    var options = EngineOptions()
    options.threadCount = 2
    let session = try Runs.session(try Engine(path: folder.path, options: options)) { $0.contextLength = 3000 }
    let tokens = Runs.tokens(2500, seed: 2).map { $0 % 61 }
    let (first, rest) = (tokens[..<1100], tokens[1100...])
    let mean = #"{"pooling": "mean"}"#
    let (whole, last) = (try Self.embed(session, tokens, mean), try Self.embed(session, tokens))
    let before = try Self.embed(session, first, mean)
    try session.prefill(Array(first))
    #expect(relativeError(try Self.embed(session, rest), last) < 1e-4)
    let after = try Self.embed(session, rest, mean)
    let sum = zip(before, after).map { (Float(first.count) * $0 + Float(rest.count) * $1) / Float(tokens.count) }
    #expect(relativeError(sum, whole) < 1e-4)
  }

  /// Many sessions at once, text after text each: every one as if it were alone.
  @Test func sessionsSideBySide() throws {
    let engine = try Runs.engine { $0.batchLimit = 3 }
    let alone = try Self.session(try Runs.engine())
    let texts = (0..<24).map { Runs.tokens(1 + $0 * 7 % 90, seed: $0) }
    let expected = try texts.map { try Self.embed(alone, $0, #"{"pooling": "mean"}"#) }
    let threads = Threads()
    for thread in 0..<4 {
      try threads.start {
        let session = try Self.session(engine) { $0.isPrivate = true }
        for index in stride(from: thread, to: texts.count, by: 4) {
          let found = try Self.embed(session, texts[index], #"{"pooling": "mean"}"#)
          #expect(relativeError(found, expected[index]) < 1e-5, "text \(index)")
        }
      }
    }
    threads.join()
  }

  // MARK: - The session

  private static func logits(_ session: Session) throws -> [Float] {
    var logits = [Float](repeating: .nan, count: session.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
    return logits
  }

  /// A session, and one beside it that embeds nothing, go on alike to the bit, whatever has become of the call.
  @Test(arguments: ["good-v3-group8", "good-dots-published"], [false, true])
  func theSessionStaysAsItWas(_ model: String, _ endsInAnAnswer: Bool) throws {
    let engines = [try Runs.engine(model), try Runs.engine(model)]
    let sessions = try engines.map { try Self.session($0) }
    for session in sessions {
      try session.prefill(Runs.tokens(130, seed: 4).map { $0 % 61 })
      if endsInAnAnswer { _ = try Runs.generate(session, [], 6) }
    }
    let session = sessions[0]
    let (length, pages) = (try session.length(), try Runs.pages(engines[0]))
    let text = Runs.tokens(300, seed: 5).map { $0 % 61 }
    _ = try Self.embed(session, text, #"{"pooling": "mean"}"#)
    #expect(Runs.status { _ = try Self.embed(session, text, #"{"time_limit": 1e-9}"#) } == .timedOut)
    #expect(Runs.status { _ = try Self.embed(session, text + text + text) } == .contextFull)
    #expect(try session.length() == length)
    let after = try Runs.pages(engines[0])
    #expect(after.used == pages.used && after.prefixes == pages.prefixes)
    let answers = try sessions.map { try Runs.generate($0, [], 70).tokens }
    #expect(answers[0] == answers[1])
    #expect(try Self.logits(sessions[0]) == Self.logits(sessions[1]))
  }

  @Test func aCancelledCallLeavesTheSession() throws {
    let session = try Self.session(try Runs.engine())
    try session.prefill(Runs.tokens(70, seed: 1))
    let logits = try Self.logits(session)
    var isCancelled = false
    for _ in 0..<200 where !isCancelled {
      let (threads, isOver) = (Threads(), Locked(false))
      try threads.start { while !isOver.withLock({ $0 }) { session.cancel() } }
      let status = Runs.status { _ = try Self.embed(session, Runs.tokens(900, seed: 2)) }
      isOver.withLock { $0 = true }
      threads.join()
      isCancelled = status == .cancelled
      #expect(status == nil || isCancelled)
    }
    #expect(isCancelled)
    #expect(try session.length() == 70 && Self.logits(session) == logits)
  }

  @Test func aSessionThatSlidesDropsNothing() throws {
    let session = try Runs.session(try Runs.engine()) {
      $0.contextLength = 100
      $0.overflow = .slide(keeping: 4)
    }
    try session.prefill(Runs.tokens(60, seed: 1))
    #expect(Runs.status { _ = try Self.embed(session, Runs.tokens(41, seed: 2)) } == .contextFull)
    _ = try Self.embed(session, Runs.tokens(40, seed: 2))
    #expect(try session.length() == 60)
  }

  /// The copy of a page that is begun counts: where there is none for it, the call fails, and the session goes on.
  @Test func pagesAreThoseOfTheLimit() throws {
    let page = try Runs.engine().plan(for: Self.options(64)).cacheBytes
    let engine = try Runs.engine {
      $0.cacheLimit = 2 * page
      $0.sharesPrefixes = false
    }
    let session = try Session(engine: engine, options: Self.options(128))
    try session.prefill(Runs.tokens(64, seed: 1))
    let embedding = try Self.embed(session, Runs.tokens(64, seed: 2))
    try session.prefill([5])
    #expect(Runs.status { _ = try Self.embed(session, Runs.tokens(3, seed: 2)) } == .outOfMemory)
    try session.prefill([6])
    #expect(try session.length() == 66)
    try session.truncate(to: 64)
    #expect(relativeError(try Self.embed(session, Runs.tokens(64, seed: 2)), embedding) < 1e-6)
  }

  private static func options(_ contextLength: Int) -> SessionOptions {
    var options = SessionOptions()
    options.contextLength = contextLength
    return options
  }

  // MARK: - Bad calls

  @Test(arguments: [
    (#"{"pooling": "max"}"#, #"pooling is "max"; expected "last" or "mean""#), (#"{"pooling": 1}"#, "pooling is 1"),
    (#"{"normalize": 1}"#, "normalize is 1"), (#"{"time_limit": 0}"#, "time_limit is 0"),
    (#"{"priority": 101}"#, "priority is 101"), (#"{"max_tokens": 1}"#, "max_tokens is not a known member"),
    ("[]", "expected an object"),
  ]) func namesTheMemberAtFault(_ json: String, _ fragment: String) throws {
    let session = try Self.session(try Runs.engine())
    #expect { try Self.embed(session, [1], json) } throws: { error in
      (error as? Failure)?.status == .invalidArgument && "\(error)".contains(fragment)
    }
  }

  @Test func refusesWhatIsNoText() throws {
    let session = try Self.session(try Runs.engine())
    #expect(Runs.status { _ = try Self.embed(session, []) } == .invalidArgument)
    #expect(Runs.status { _ = try Self.embed(session, [1, 97]) } == .invalidArgument)
    #expect(Runs.status { _ = try Self.embed(session, [-1]) } == .invalidArgument)
    let small = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
    #expect(Runs.status { try session.embed([1], configuration: nil, into: small) } == .bufferTooSmall)
  }

  /// A model whose numbers are not finite says so, and the session can be used.
  @Test func statesThatAreNotFiniteAreTold() throws {
    let session = try Self.session(try Runs.engine("bad-nan-weight"))
    #expect(Runs.status { _ = try Self.embed(session, [1, 2, 3]) } == .numerical)
    #expect(try session.length() == 0)
  }
}
