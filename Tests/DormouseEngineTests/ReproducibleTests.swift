import DormouseCache
import DormouseModel
import DormouseSupport
import Testing

@testable import DormouseEngine

/// With packed weights a reproducible session gets the bits of a private one that was never interrupted, whatever others
/// have left in the prefix tree.
@Suite struct ReproducibleTests {
  @Test(arguments: [
    ("good-v3-group8", WeightPrecision.int8, false), ("good-v3-group8", .int4, true),
    ("good-dots-sliding", .int8, false),
  ])
  func resultsEqualThoseOfAPrivateSession(_ model: String, _ precision: WeightPrecision, _ slides: Bool) throws {
    let folder = try TemporaryFolder()
    var shared = 0
    for seed in 1...4 {
      var twins = try Twins(model, precision, slides: slides, path: folder.path + "/session", seed: UInt64(seed))
      for _ in 0..<60 { try twins.operate() }
      shared += twins.sharedCount
    }
    // Rows of others did take the place of computing.
    #expect(shared > 200)
  }

  /// Rows that another form of attention made are left alone, and so are those that stand on them.
  @Test func rowsOfTheOtherFormAreNotTakenOver() throws {
    let engine = try Runs.engine { $0.precision = .int8 }
    let prompt = Runs.tokens(200, seed: 3)
    try Runs.session(engine) { $0.attention = .absorbed }.prefill(prompt)
    #expect(try sharedCount(engine, prompt, isReproducible: false) == 199)
    #expect(try sharedCount(engine, prompt, isReproducible: true) == 0)
    // Both are there now.
    #expect(try sharedCount(engine, prompt, isReproducible: true) == 199)
    let absorbed = try Runs.session(engine) {
      $0.attention = .absorbed
      $0.isReproducible = true
    }
    #expect(try Runs.generate(absorbed, prompt).events.last?.counts.promptShared == 199)
  }

  /// What an answer left was computed token by token; a prompt that brings it anew is computed at once.
  @Test func anAnswerIsComputedAnewAsPartOfAPrompt() throws {
    let engine = try Runs.engine { $0.precision = .int8 }
    let prompt = Runs.tokens(100, seed: 3)
    var first: Session? = try Runs.session(engine)
    let answer = try first.map { try Runs.generate($0, prompt, 60).tokens } ?? []
    first = nil
    let next = prompt + answer + [5, 6]
    #expect(try sharedCount(engine, next, isReproducible: true) == 100)
    #expect(try sharedCount(engine, next, isReproducible: false) >= 100)
  }

  @Test func aRestoredSessionSharesWhatItKnowsOfItsRows() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let prompt = Runs.tokens(150, seed: 9)
    let saved = try Runs.session(try Runs.engine { $0.precision = .int8 })
    try saved.prefill(prompt)
    try saved.save(to: path)
    let engine = try Runs.engine { $0.precision = .int8 }
    let restored = try Runs.session(engine)
    try restored.restore(from: path)
    try restored.prefill([1])
    #expect(try sharedCount(engine, prompt + [1, 2], isReproducible: true) == 128)
  }

  /// The form that was chosen for a call which found no pages is not that of the next one.
  @Test func aRefusedCallLeavesNoForm() throws {
    let plan = try Runs.engine { $0.precision = .int8 }.plan(for: SessionOptions.context(512))
    var logits: [[Float]] = []
    for limit in [plan.cacheBytes, nil] {
      let engine = try Runs.engine {
        $0.precision = .int8
        $0.cacheLimit = limit
      }
      let other = try Runs.session(engine) { $0.isPrivate = true }
      try other.prefill(Runs.tokens(260, seed: 1))
      let session = try Runs.session(engine) { $0.isReproducible = true }
      try session.prefill(Runs.tokens(100, seed: 3))
      // Eight pages: five are the other one's, and two this one's.
      let status = limit == nil ? .outOfMemory : Runs.status { try session.prefill(Runs.tokens(150, seed: 2)) }
      #expect(status == .outOfMemory)
      var found = [Float](repeating: 0, count: 2 * Runs.vocabularySize)
      try found.withUnsafeMutableBufferPointer { try session.prefill([4, 9], allLogits: $0) }
      logits.append(found)
      withExtendedLifetime(other) {}
    }
    #expect(logits[0] == logits[1])
  }

  private func sharedCount(_ engine: Engine, _ prompt: [Int32], isReproducible: Bool) throws -> Int {
    let session = try Runs.session(engine) { $0.isReproducible = isReproducible }
    return try #require(try Runs.generate(session, prompt, 1).events.last).counts.promptShared
  }
}

extension SessionOptions {
  fileprivate static func context(_ length: Int) -> SessionOptions {
    var options = SessionOptions()
    options.contextLength = length
    return options
  }
}

/// Random calls on reproducible sessions of one engine, and the same ones on private sessions of another.
private struct Twins {
  private struct Pair {
    let shared: Session
    let alone: Session
  }

  private let engine: Engine
  private let other: Engine
  private let path: String
  private let slides: Bool
  private var random: Random
  private var pairs: [Pair] = []
  /// Positions of reproducible sessions that others had computed.
  private(set) var sharedCount = 0

  private static let mostPairs = 3
  private static let context = 320

  init(_ model: String, _ precision: WeightPrecision, slides: Bool, path: String, seed: UInt64) throws {
    engine = try Runs.engine(model) { $0.precision = precision }
    other = try Runs.engine(model) { $0.precision = precision }
    self.path = path
    self.slides = slides
    random = Random(state: seed)
  }

  mutating func operate() throws {
    guard let index = pairs.indices.randomElement(using: &random) else { return try open() }
    switch random.next() % 10 {
    case 0: try open()
    case 1: pairs.remove(at: index)
    case 2, 3: try prefill(pairs[index])
    case 4, 5, 6: try generate(pairs[index])
    case 7: try fork(pairs[index])
    case 8: try truncate(pairs[index])
    default: try restore(pairs[index])
    }
    try disturb()
  }

  private func session(_ engine: Engine, isPrivate: Bool = false, isReproducible: Bool = false) throws -> Session {
    try Runs.session(engine) {
      $0.contextLength = Self.context
      $0.isPrivate = isPrivate
      $0.isReproducible = isReproducible
      if slides { $0.overflow = .slide(keeping: 7) }
    }
  }

  /// Beginnings of few different texts, so that they meet.
  private mutating func someTokens(_ most: Int) -> [Int32] {
    let count = Int(random.next() % UInt64(most)) + 1
    return Runs.tokens(count, seed: Int(random.next() % 3)).map { $0 % 61 }
  }

  private mutating func open() throws {
    guard pairs.count < Self.mostPairs else { return }
    pairs.append(
      Pair(shared: try session(engine, isReproducible: true), alone: try session(other, isPrivate: true)))
  }

  private mutating func prefill(_ pair: Pair) throws {
    let tokens = someTokens(200)
    let statuses = [pair.shared, pair.alone].map { session in Runs.status { try session.prefill(tokens) } }
    #expect(statuses[0] == statuses[1])
    sharedCount += pair.shared.sharedCount
    try compareLogits(pair)
  }

  private mutating func generate(_ pair: Pair) throws {
    let tokens = someTokens(150)
    let more = #", "temperature": 1.0, "logprobs": 2, "seed": \#(random.next() % 100)"#
    guard try slides || pair.alone.length() + tokens.count + 12 <= Self.context else { return }
    let answers = try [pair.shared, pair.alone].map { try Runs.generate($0, tokens, 12, more: more).events }
    let found = answers.map { events in
      events.filter { $0.kind == .token }.map { Token(id: $0.token, logProbability: $0.logProbability) }
    }
    #expect(found[0] == found[1])
    sharedCount += pair.shared.sharedCount
  }

  private struct Token: Equatable {
    let id: Int32
    let logProbability: Float
  }

  private mutating func fork(_ pair: Pair) throws {
    guard pairs.count < Self.mostPairs else { return }
    pairs.append(Pair(shared: try pair.shared.fork(), alone: try pair.alone.fork()))
  }

  private mutating func truncate(_ pair: Pair) throws {
    let length = Int(random.next() % UInt64(try pair.alone.length() + 1))
    try pair.shared.truncate(to: length)
    try pair.alone.truncate(to: length)
    try compareLogits(pair)
  }

  /// A session that comes back from a file, beside one that was never away.
  private mutating func restore(_ pair: Pair) throws {
    try pair.shared.save(to: path)
    let restored = try session(engine, isReproducible: true)
    try restored.restore(from: path)
    pairs.append(Pair(shared: restored, alone: pair.alone))
    pairs.removeAll { $0.shared === pair.shared }
  }

  private func compareLogits(_ pair: Pair) throws {
    guard try pair.alone.length() > 0 else { return }
    let logits = try [pair.shared, pair.alone].map { session in
      var logits = [Float](repeating: 0, count: session.vocabularySize)
      try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
      return logits
    }
    #expect(logits[0] == logits[1])
  }

  /// Another session of the engine, which takes over and leaves what it can, in any form.
  private mutating func disturb() throws {
    guard random.next() % 2 == 0 else { return }
    let disturber = try session(engine)
    _ = try Runs.generate(disturber, someTokens(60), 20)
    _ = try Runs.generate(disturber, someTokens(100), 3)
  }
}
