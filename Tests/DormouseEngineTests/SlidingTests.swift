import DormouseEngine
import DormouseSupport
import Testing

/// A context that slides: what stays is what a session would have that never saw the rest.
@Suite struct SlidingTests {
  private func sliding(_ engine: Engine, context: Int, keeping: Int) throws -> Session {
    try Runs.session(engine) {
      $0.contextLength = context
      $0.overflow = .slide(keeping: keeping)
    }
  }

  @Test(arguments: [0, 5, 40])
  func generatesBeyondTheContext(_ keeping: Int) throws {
    let context = 80
    let prompt = Runs.tokens(70, seed: 2)
    let engine = try Runs.engine()
    let session = try sliding(engine, context: context, keeping: keeping)
    let answer = try Runs.generate(session, prompt, 100)
    #expect(answer.tokens.count == 100)
    #expect(answer.events.last?.finishReason == .length)
    #expect(try session.length() <= context)
    // The same by hand, with a session of its own for every token.
    var held = prompt
    for (index, token) in answer.tokens.enumerated() {
      let best = try Runs.alone(held, 1).first
      #expect(best == token, "token \(index)")
      if best != token { return }
      if held.count == context { held.removeSubrange(keeping..<keeping + (context - keeping) / 2) }
      held.append(token)
    }
  }

  @Test func promptsSlideToo() throws {
    let engine = try Runs.engine()
    let session = try sliding(engine, context: 64, keeping: 4)
    let first = Runs.tokens(60, seed: 4)
    try session.prefill(first)
    let second = Runs.tokens(50, seed: 5)
    let answer = try Runs.generate(session, second, 1).tokens
    // 46 are missing, more than half of the rest.
    #expect(answer == (try Runs.alone(Array(first[..<4]) + first[50...] + second, 1)))
    #expect(Runs.status { try session.prefill(Runs.tokens(61, seed: 6)) } == .contextFull)
  }

  /// A prompt may take all that is not kept.
  @Test func aPromptMayTakeAllButWhatIsKept() throws {
    let session = try sliding(try Runs.engine(), context: 64, keeping: 4)
    let (first, second) = (Runs.tokens(60, seed: 4), Runs.tokens(60, seed: 5))
    try session.prefill(first)
    #expect(try Runs.generate(session, second, 1).tokens == (try Runs.alone(Array(first[..<4]) + second, 1)))
  }

  @Test func keepingTheWholeContextIsRefused() throws {
    let engine = try Runs.engine()
    #expect(Runs.status { _ = try sliding(engine, context: 64, keeping: 64) } == .invalidArgument)
  }

  /// What slides out of a page that others hold too is computed anew in a page of its own: nobody else's rows change.
  @Test func slidingLeavesSharedPagesAlone() throws {
    let engine = try Runs.engine()
    let prompt = Runs.tokens(130, seed: 3)
    let first = try Runs.session(engine)
    try first.prefill(prompt)
    _ = try Runs.generate(try sliding(engine, context: 140, keeping: 5), prompt, 60)
    let expected = try Runs.alone(prompt + [1], 12)
    #expect(try Runs.generate(Runs.session(engine), prompt + [1], 12).tokens == expected)
    #expect(try Runs.generate(first, [1], 12).tokens == expected)
  }
}
