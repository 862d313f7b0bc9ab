@testable import DormouseEngine
import DormouseSupport
import Testing

/// Sessions of models whose layers see a window or what an indexer picks (dots3-note): sharing, forks, files and sliding
/// work as with every other model.
@Suite struct SparseSessionTests {
  private static let models = ["good-dots-published", "good-dots-native", "good-dots-sliding"]
  private static let vocabularySize = 61

  private static func tokens(_ count: Int, seed: Int) -> [Int32] {
    Runs.tokens(count, seed: seed).map { $0 % Int32(vocabularySize) }
  }

  @Test(arguments: models, [1, 5])
  func answersAreThoseOfASessionAlone(_ model: String, _ batchLimit: Int) throws {
    let engine = try Runs.engine(model) {
      $0.batchLimit = batchLimit
      $0.promptTokensPerStep = 13
      $0.precision = .int8
    }
    let threads = Threads()
    let lengths = [1, 63, 64, 65, 130]
    let answers = Locked<[Int: [Int32]]>([:])
    for (index, length) in lengths.enumerated() {
      try threads.start {
        let answer = try Runs.generate(Runs.session(engine), Self.tokens(length, seed: index), 20).tokens
        answers.withLock { $0[index] = answer }
      }
    }
    threads.join()
    for (index, length) in lengths.enumerated() {
      let alone = try Runs.engine(model) {
        $0.sharesPrefixes = false
        $0.precision = .int8
      }
      let expected = try Runs.generate(Runs.session(alone), Self.tokens(length, seed: index), 20).tokens
      #expect(answers.withLock { $0[index] } == expected, "\(model), \(length) tokens")
    }
  }

  @Test(arguments: models)
  func prefixesAreShared(_ model: String) throws {
    let engine = try Runs.engine(model)
    let prompt = Self.tokens(200, seed: 3)
    try Runs.session(engine).prefill(prompt)
    let answer = try Runs.generate(try Runs.session(engine), prompt)
    #expect(answer.events.last?.counts.promptShared == 199)
    #expect(answer.tokens == (try Runs.alone(prompt, model: model)))
    let other = Array(prompt[..<70]) + Self.tokens(30, seed: 11)
    #expect(try Runs.generate(try Runs.session(engine), other).tokens == Runs.alone(other, model: model))
  }

  @Test(arguments: models)
  func forksGoTheirOwnWays(_ model: String) throws {
    let prompt = Self.tokens(100, seed: 5)
    let first = try Runs.session(try Runs.engine(model))
    try first.prefill(prompt)
    let second = try first.fork()
    let (left, right) = (Self.tokens(40, seed: 6), Self.tokens(40, seed: 7))
    #expect(try Runs.generate(first, left).tokens == Runs.alone(prompt + left, model: model))
    #expect(try Runs.generate(second, right).tokens == Runs.alone(prompt + right, model: model))
  }

  @Test(arguments: models)
  func savedSessionsGoOn(_ model: String) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/session"
    let prompt = Self.tokens(150, seed: 8)
    let first = try Runs.session(try Runs.engine(model))
    try first.prefill(prompt)
    try first.save(to: path)
    let expected = try Runs.generate(first, [4, 2], 20).tokens
    let second = try Runs.session(try Runs.engine(model))
    try second.restore(from: path)
    #expect(try Runs.generate(second, [4, 2], 20).tokens == expected)
    let other = try Runs.session(try Runs.engine(model == Self.models[0] ? Self.models[1] : Self.models[0]))
    #expect(Runs.status { try other.restore(from: path) } == .unsupported)
  }

  @Test(arguments: models)
  func contextsSlide(_ model: String) throws {
    let (context, keeping) = (80, 5)
    let session = try Runs.session(try Runs.engine(model)) {
      $0.contextLength = context
      $0.overflow = .slide(keeping: keeping)
    }
    var held = Self.tokens(70, seed: 2)
    let answer = try Runs.generate(session, held, 60).tokens
    #expect(answer.count == 60)
    for (index, token) in answer.enumerated() {
      let best = try Runs.alone(held, 1, model: model).first
      #expect(best == token, "\(model), token \(index)")
      if best != token { return }
      if held.count == context { held.removeSubrange(keeping..<keeping + (context - keeping) / 2) }
      held.append(token)
    }
  }

  @Test func theDescriptionNamesEveryKindOfLayer() throws {
    let document = try Runs.engine("good-dots-published").info()
    let kinds = try #require(document["attention"]?["kinds"]?.arrayValue)
    #expect(kinds.count == 2)
    #expect(kinds[0]["index_topk"]?.integerValue == 24 && kinds[0]["layers"]?.integerValue == 3)
    #expect(kinds[1]["sliding_window"]?.integerValue == 20 && kinds[1]["layers"]?.integerValue == 3)
  }
}
