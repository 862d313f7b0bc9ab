import DormouseEngine
import DormouseSupport
import Testing

/// What sessions take over from one another: prefixes, forks, files.
@Suite struct PrefixSharingTests {
  private let prompt = Runs.tokens(200, seed: 3)

  @Test func aLaterSessionTakesOverWholePages() throws {
    let engine = try Runs.engine()
    let first = try Runs.session(engine)
    try first.prefill(prompt)
    let second = try Runs.session(engine)
    let answer = try Runs.generate(second, prompt)
    // The first session may still write to its last page.
    #expect(answer.events.last?.counts.promptShared == 192)
    #expect(answer.tokens == (try Runs.alone(prompt)))
    #expect(try Runs.pages(engine).shared >= 3)
  }

  @Test func anEndedSessionLeavesItsLastPageToo() throws {
    let engine = try Runs.engine()
    var first: Session? = try Runs.session(engine)
    try first?.prefill(prompt)
    first = nil
    let longer = prompt + Runs.tokens(20, seed: 8)
    let answer = try Runs.generate(try Runs.session(engine), longer)
    #expect(answer.events.last?.counts.promptShared == 200)
    #expect(answer.tokens == (try Runs.alone(longer)))
    // The same prompt: its last token is computed for the logits.
    let again = try Runs.generate(try Runs.session(engine), prompt)
    #expect(again.events.last?.counts.promptShared == 199)
    #expect(again.tokens == (try Runs.alone(prompt)))
  }

  @Test func aPrefixMayEndWithinAPage() throws {
    let engine = try Runs.engine()
    try Runs.session(engine).prefill(prompt)
    let other = Array(prompt[..<70]) + Runs.tokens(30, seed: 11)
    let answer = try Runs.generate(try Runs.session(engine), other)
    #expect(answer.events.last?.counts.promptShared == 70)
    #expect(answer.tokens == (try Runs.alone(other)))
  }

  @Test func privateSessionsShareNothing() throws {
    let engine = try Runs.engine()
    try Runs.session(engine) { $0.isPrivate = true }.prefill(prompt)
    #expect(try Runs.pages(engine).prefixes == 0)
    try Runs.session(engine).prefill(prompt)
    let answer = try Runs.generate(try Runs.session(engine) { $0.isPrivate = true }, prompt)
    #expect(answer.events.last?.counts.promptShared == 0)
    let without = try Runs.engine { $0.sharesPrefixes = false }
    try Runs.session(without).prefill(prompt)
    #expect(try Runs.generate(Runs.session(without), prompt).events.last?.counts.promptShared == 0)
  }

  @Test func rowsOfAnotherTypeAreNotShared() throws {
    let engine = try Runs.engine()
    try Runs.session(engine).prefill(prompt)
    let answer = try Runs.generate(try Runs.session(engine) { $0.cacheType = .int8 }, prompt)
    #expect(answer.events.last?.counts.promptShared == 0)
  }

  @Test func nothingStaysButWhatTheTreeKeeps() throws {
    let engine = try Runs.engine { $0.prefixCacheLimit = 0 }
    let pageBytes = try #require(
      try { () throws -> Int64? in
        _ = try Runs.session(engine)
        return try engine.statistics()["cache"]?["f32"]?["page_bytes"]?.integerValue
      }())
    let small = try Runs.engine { $0.prefixCacheLimit = UInt64(2 * pageBytes) }
    for seed in 0..<10 { try Runs.session(small).prefill(Runs.tokens(150, seed: seed)) }
    let pages = try Runs.pages(small)
    #expect(pages.prefixes == 2)
    #expect(pages.used == 2)
    #expect(pages.shared == 0)
  }

  @Test func aForkCopiesNoPageAndGoesItsOwnWay() throws {
    let engine = try Runs.engine { $0.sharesPrefixes = false }
    let first = try Runs.session(engine)
    try first.prefill(prompt)
    let before = try Runs.pages(engine).used
    let second = try first.fork()
    #expect(try Runs.pages(engine).used == before)
    #expect(try Runs.pages(engine).shared == before)
    let left = try Runs.generate(first, [5], 20).tokens
    let right = try Runs.generate(second, [6], 20).tokens
    #expect(left == (try Runs.alone(prompt + [5], 20)))
    #expect(right == (try Runs.alone(prompt + [6], 20)))
    // A fork that adds nothing goes on from the same logits.
    let third = try first.fork()
    #expect(try third.length() == first.length())
    #expect(try Runs.generate(third, [], 5).tokens == (try Runs.generate(first, [], 5).tokens))
  }

  @Test func aSavedSessionGoesOnBitForBit() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let engine = try Runs.engine()
    let first = try Runs.session(engine)
    _ = try Runs.generate(first, prompt, 7)
    try first.save(to: path)
    let second = try Runs.session(try Runs.engine())
    try second.prefill([1, 2, 3])
    try second.restore(from: path)
    #expect(try second.length() == 207)
    #expect(try logits(first) == logits(second))
    #expect(try Runs.generate(first, [], 30).tokens == (try Runs.generate(second, [], 30).tokens))
  }

  @Test func whatDoesNotFitIsRefusedAndChangesNothing() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let engine = try Runs.engine()
    let first = try Runs.session(engine)
    try first.prefill(prompt)
    try first.save(to: path)
    let session = try Runs.session(engine)
    try session.prefill([1, 2, 3])
    let before = try logits(session)
    let small = try Runs.session(engine) { $0.contextLength = 199 }
    #expect(Runs.status { try small.restore(from: path) } == .contextFull)
    #expect(Runs.status { try Runs.session(engine) { $0.cacheType = .bfloat16 }.restore(from: path) } == .unsupported)
    let packed = try Runs.session(Runs.engine { $0.precision = .int8 })
    #expect(Runs.status { try packed.restore(from: path) } == .unsupported)
    #expect(Runs.status { try session.restore(from: path + "-absent") } == .notFound)
    #expect(Runs.status { try session.save(to: folder.path + "/absent/session") } != nil)
    #expect(try session.length() == 3)
    #expect(try logits(session) == before)
  }

  private func logits(_ session: Session) throws -> [Float] {
    var logits = [Float](repeating: 0, count: session.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
    return logits
  }

  /// What a session computes after it was truncated, or restored from a file, is left to others as well.
  @Test(arguments: [false, true]) func whatFollowsARewindIsSharedToo(_ restores: Bool) throws {
    let engine = try Runs.engine()
    let first = try Runs.session(engine)
    try first.prefill(prompt)
    let tail = Runs.tokens(150, seed: 9)
    var held: [Int32] = []
    if restores {
      let folder = try TemporaryFolder()
      let saved = try Runs.session(try Runs.engine())
      try saved.prefill(tail)
      try saved.save(to: folder.path + "/session")
      try first.restore(from: folder.path + "/session")
      try first.prefill([1])
    } else {
      held = Array(prompt[..<10])
      try first.truncate(to: 10)
      try first.prefill(tail)
    }
    let answer = try Runs.generate(try Runs.session(engine), held + tail + (restores ? [1, 2] : []))
    #expect(answer.events.last?.counts.promptShared == 128)
  }

  /// Whatever a session went through before: the full pages that it holds when a call ends are there for others, and hold
  /// what it says.
  @Test(arguments: [nil, 0, 5, 70]) func othersFindWhatASessionHolds(_ keeping: Int?) throws {
    var random = Random(state: 5)
    let folder = try TemporaryFolder()
    let context = 200
    for _ in 0..<3 {
      let engine = try Runs.engine { $0.prefixCacheLimit = 1 << 30 }
      var session = try Runs.session(engine) {
        $0.contextLength = context
        if let keeping { $0.overflow = .slide(keeping: keeping) }
      }
      var (held, saved): ([Int32], [Int32]?) = ([], nil)
      for step in 0..<12 {
        switch random.next() % 8 {
        case 0:
          held.removeLast(Int.random(in: 0...held.count, using: &random))
          try session.truncate(to: held.count)
        case 1:
          try session.save(to: folder.path + "/session")
          saved = held
        case 2 where saved != nil:
          try session.restore(from: folder.path + "/session")
          held = saved ?? []
        case 3: session = try session.fork()
        default:
          let tokens = Runs.tokens(Int.random(in: 1...90, using: &random), seed: step)
          let missing = held.count + tokens.count - context
          if missing > 0, let keeping {
            let first = min(keeping, held.count)
            held.removeSubrange(first..<first + min(max(missing, (context - first) / 2), held.count - first))
          }
          guard held.count + tokens.count <= context else { continue }
          try session.prefill(tokens)
          held += tokens
          #expect(try session.length() == held.count)
          let other = try Runs.generate(Runs.session(engine), held + [1], 2)
          #expect(other.events.last?.counts.promptShared ?? 0 >= held.count / 64 * 64, "step \(step)")
          let alone = try Runs.generate(Runs.session(engine) { $0.isPrivate = true }, held + [1], 2)
          #expect(other.tokens == alone.tokens, "step \(step)")
        }
      }
    }
  }

  /// A call that was not let in leaves its session as it was, and keeps no pages that it would have shared: they are the
  /// next one's.
  @Test func aCallThatIsNotLetInKeepsNothing() throws {
    var small = SessionOptions()
    small.contextLength = 256
    let plan = try Runs.engine().plan(for: small)
    let engine = try Runs.engine { $0.cacheLimit = plan.cacheBytes }
    func session(isPrivate: Bool) throws -> Session {
      small.isPrivate = isPrivate
      return try Session(engine: engine, options: small)
    }
    try session(isPrivate: false).prefill(Array(prompt[..<130]))
    let other = try session(isPrivate: true)
    try other.prefill(Runs.tokens(60, seed: 8))
    let before = try Runs.pages(engine)
    #expect(before.used == 4 && before.shared == 0)
    // Three pages are found, a copy of the third and a fourth are missing.
    let refused = try session(isPrivate: false)
    #expect(Runs.status { try refused.prefill(prompt + Runs.tokens(30, seed: 9)) } == .outOfMemory)
    #expect(try refused.length() == 0 && Runs.pages(engine) == before)
    let next = try session(isPrivate: true)
    try next.prefill(Runs.tokens(150, seed: 10))
    #expect(try Runs.pages(engine).used == 4)
    // One that had something has it still, and its logits.
    let steps = try engine.statistics()["steps"]?["count"]
    #expect(Runs.status { try other.prefill(Runs.tokens(150, seed: 11)) } == .outOfMemory)
    #expect(try logits(other).count == Runs.vocabularySize && other.length() == 60)
    #expect(try engine.statistics()["steps"]?["count"] == steps)
    withExtendedLifetime((refused, next)) {}
  }

  /// Tokens that were found are those that prompts were spared, also where a session held the first of them itself.
  @Test func theHitRateCountsEachTokenOnce() throws {
    let engine = try Runs.engine()
    try Runs.session(engine).prefill(prompt)
    let session = try Runs.session(engine)
    var spared: [Int] = []
    for part in [prompt[..<70], prompt[70..<135], prompt[135...]] {
      spared.append(try Runs.generate(session, Array(part), 1).events.last?.counts.promptShared ?? -1)
      try session.truncate(to: part.endIndex)
    }
    #expect(spared == [69, 64, 64])
    let cache = try #require(try engine.statistics()["cache"]?["f32"])
    #expect(cache["tokens_found"]?.integerValue == 197)
    // The first session has asked for 199, and found none.
    #expect(cache["tokens_asked"]?.integerValue == 396)
    #expect(cache["hit_rate"]?.doubleValue == 197.0 / 396)
  }
}
