import DormouseCache
import DormouseSupport
import Testing

@testable import DormouseEngine

/// Sessions whose caches can be rewound to the ends of pages alone. No family needs that yet, so that a model's cache gets
/// a state here which its layers never store: what counts is that the session computes again what is lost.
@Suite struct RewindTests {
  private static let prompt = Runs.tokens(200, seed: 3)

  private static func session(
    _ engine: Engine, _ change: (inout SessionOptions) -> Void = { _ in }
  ) throws -> Session {
    let session = try Runs.session(engine) {
      $0.isPrivate = true
      change(&$0)
    }
    let pool = session.cache.pool
    let layout = try PageLayout(
      sections: pool.layout.sections.map(\.rows), state: PageLayout.State(byteCounts: [64]),
      rowType: pool.layout.rowType)
    let stateful = PagePool(
      layout: layout, kernels: pool.kernels, budget: MemoryBudget(limit: nil, name: "the test's budget"))
    session.become(Timeline(), try LatentCache(pool: stateful, capacity: session.contextLength))
    return session
  }

  /// Truncating promises its length: what the cache can't keep is computed by the next call.
  @Test(arguments: [0, 1, 63, 64, 65, 100, 128, 199, 200])
  func truncatedSessionsGoOn(_ length: Int) throws {
    let session = try Self.session(Runs.engine())
    try session.prefill(Self.prompt)
    try session.truncate(to: length)
    #expect(try session.length() == length)
    #expect(session.cache.length == (length == 200 ? 200 : length / 64 * 64))
    let prompt = Array(Self.prompt.prefix(length)) + [4, 2]
    #expect(try Runs.generate(session, [4, 2]).tokens == Runs.alone(prompt))
    #expect(try session.length() == length + 14)
  }

  /// Truncated once more, and forked in between, it still holds all that was promised.
  @Test func forksHoldWhatWasPromised() throws {
    let session = try Self.session(Runs.engine())
    try session.prefill(Self.prompt)
    try session.truncate(to: 190)
    let fork = try session.fork()
    try session.truncate(to: 150)
    #expect(try (session.length(), fork.length()) == (150, 190))
    #expect((session.cache.length, fork.cache.length) == (128, 128))
    for (session, length) in [(fork, 190), (session, 150)] {
      // The call ends before it has computed anything.
      #expect(Runs.status { _ = try Runs.generate(session, [7, 7], more: #", "time_limit": 1e-9"#) } == .timedOut)
      #expect(try session.length() == length)
      let answer = try Runs.generate(session, [4, 2]).tokens
      #expect(try answer == Runs.alone(Array(Self.prompt.prefix(length)) + [4, 2]))
    }
  }

  /// Interrupted among tokens that were promised, none of them is lost.
  @Test func interruptedCallsLoseNothing() throws {
    let session = try Self.session(Runs.engine())
    try session.prefill(Self.prompt)
    try session.truncate(to: 190)
    let stopped = try session.generate([4, 2], configuration: #"{"max_tokens": 3}"#) { $0.kind == .token ? 9 : 5 }
    #expect(stopped == 5)
    let length = try session.length()
    #expect((190...192).contains(length))
    let rest = [4, 2].suffix(192 - length).map { Int32($0) }
    let answer = try Runs.generate(session, rest).tokens
    #expect(try answer == Runs.alone(Array(Self.prompt.prefix(190)) + [4, 2]))
  }

  /// Without logits at hand the last token is computed again, and those before it that its page can't tell of.
  @Test func logitsAreThoseOfTheLastToken() throws {
    func logits(_ session: Session) throws -> [Float] {
      var logits = [Float](repeating: 0, count: session.vocabularySize)
      try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
      return logits
    }
    let engine = try Runs.engine { $0.precision = .int8 }
    let (session, plain) = (
      try Self.session(engine) { $0.attention = .absorbed },
      try Runs.session(engine) {
        $0.isPrivate = true
        $0.attention = .absorbed
      }
    )
    for session in [session, plain] {
      try session.prefill(Self.prompt)
      try session.truncate(to: 150)
    }
    #expect(try logits(session) == logits(plain))
    #expect(try session.length() == 150)
  }

  /// What slides out of the middle of a page takes the beginning of that page with it, to be computed again.
  @Test func slidingSessionsGoOn() throws {
    func slide(_ options: inout SessionOptions) {
      options.contextLength = 150
      options.overflow = .slide(keeping: 70)
    }
    let engine = try Runs.engine()
    let plain = try Runs.session(engine) {
      $0.isPrivate = true
      slide(&$0)
    }
    let expected = try Runs.generate(plain, Array(Self.prompt.prefix(140)), 60).tokens
    #expect(try Runs.generate(Self.session(engine, slide), Array(Self.prompt.prefix(140)), 60).tokens == expected)
  }

  /// A chat that goes another way tells how much of its prompt was really there.
  @Test func chatsTellWhatTheyReuse() throws {
    func chat(_ session: Session, _ last: String) throws -> (text: [Int32], reused: Int, prompt: Int) {
      var (tokens, counts): ([Int32], GenerationEvent.Counts?) = ([], nil)
      let long = String(repeating: "the quick brown fox. ", count: 12)
      _ = try session.chat(
        messages: #"[{"role": "user", "content": "\#(long)\#(last)"}]"#,
        configuration: #"{"max_tokens": 8, "temperature": 0}"#
      ) {
        if $0.kind == .token { tokens.append($0.token) }
        counts = $0.counts
        return 0
      }
      return (tokens, counts?.promptReused ?? -1, counts?.promptTokens ?? -1)
    }
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let session = try Self.session(engine)
    #expect(try chat(session, "One?").reused == 0)
    let second = try chat(session, "Two?")
    #expect(second.prompt > 64 && second.reused > 0 && second.reused % 64 == 0, "\(second)")
    #expect(try second.text == chat(Self.session(engine), "Two?").text)
  }
}
