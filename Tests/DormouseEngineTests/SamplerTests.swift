import Glibc
import Testing

@testable import DormouseEngine

/// Rules and sampler, as an answer has them.
private struct Chooser {
  private var rules: LogitsRules
  private var sampler: Sampler

  /// - Parameter count: tokens of the vocabulary.
  init(_ parameters: SamplingParameters, prompt: [Int32] = [], _ count: Int) throws {
    rules = try LogitsRules(parameters.rules(after: prompt), vocabularySize: count)
    sampler = Sampler(parameters)
  }

  mutating func sample(_ logits: UnsafeBufferPointer<Float>) throws -> Int32 {
    let token = sampler.sample(try rules.apply(to: logits))
    try rules.record(token)
    return token
  }
}

@Suite struct SamplerTests {
  /// Counts of each token over many draws.
  private func draw(_ parameters: SamplingParameters, _ logits: [Float], times: Int) -> [Int32: Int] {
    var sampler = Sampler(parameters)
    var counts: [Int32: Int] = [:]
    for _ in 0..<times { counts[logits.withUnsafeBufferPointer { sampler.sample($0) }, default: 0] += 1 }
    return counts
  }

  private func sampleOnce(
    _ parameters: SamplingParameters, _ logits: [Float], prompt: [Int32] = []
  ) throws -> Int32 {
    var chooser = try Chooser(parameters, prompt: prompt, logits.count)
    return try logits.withUnsafeBufferPointer { try chooser.sample($0) }
  }

  @Test func greedyTakesTheBestAndTheLowerIdOfTwo() throws {
    #expect(try sampleOnce(SamplingParameters(), [1, 3, 2]) == 1)
    #expect(try sampleOnce(SamplingParameters(), [1, 3, 3]) == 1)
    #expect(try sampleOnce(SamplingParameters(), [-5]) == 0)
    #expect(try sampleOnce(SamplingParameters(temperature: 1e-30), [1, 3, 2]) == 1)
  }

  /// Frequencies of 20,000 draws are within five standard deviations of the softmax.
  @Test(arguments: [Float(0.5), 1, 2]) func drawsFollowTheSoftmaxOfScaledLogits(temperature: Float) {
    let logits: [Float] = [0, 1, -1, 2.5, 0.3]
    let weights = logits.map { exp(Double($0 / temperature)) }
    let total = weights.reduce(0, +)
    let counts = draw(SamplingParameters(temperature: temperature, seed: 7), logits, times: 20_000)
    for (token, weight) in weights.enumerated() {
      let probability = weight / total
      let deviation = (20_000 * probability * (1 - probability)).squareRoot()
      #expect(abs(Double(counts[Int32(token)] ?? 0) - 20_000 * probability) < 5 * deviation)
    }
  }

  @Test func sameSeedSameTokens() {
    let logits = (0..<50).map { Float($0 % 7) * 0.3 }
    func sequence(_ seed: UInt64) -> [Int32] {
      var sampler = Sampler(SamplingParameters(temperature: 1, seed: seed))
      return (0..<40).map { _ in logits.withUnsafeBufferPointer { sampler.sample($0) } }
    }
    #expect(sequence(3) == sequence(3))
    #expect(sequence(3) != sequence(4))
  }

  @Test func topKKeepsTheBest() {
    let counts = draw(SamplingParameters(temperature: 5, topK: 2), [1, 4, 2, 3], times: 2000)
    #expect(Set(counts.keys) == [1, 3])
  }

  /// Probabilities 0.5, 0.3, 0.15, 0.05: the head that reaches 0.6 is the first two; exactly 0.5 the first alone.
  @Test func topPKeepsTheSmallestHeadThatReachesIt() {
    let logits = [0.5, 0.3, 0.15, 0.05].map { Float(log($0)) }
    #expect(Set(draw(SamplingParameters(temperature: 1, topP: 0.6), logits, times: 3000).keys) == [0, 1])
    #expect(Set(draw(SamplingParameters(temperature: 1, topP: 0.49), logits, times: 3000).keys) == [0])
    #expect(Set(draw(SamplingParameters(temperature: 1, topP: 0.81), logits, times: 3000).keys) == [0, 1, 2])
  }

  @Test func minPDropsWhatIsFarBelowTheBest() {
    let logits = [0.5, 0.3, 0.15, 0.05].map { Float(log($0)) }
    #expect(Set(draw(SamplingParameters(temperature: 1, minP: 0.25), logits, times: 3000).keys) == [0, 1, 2])
    #expect(Set(draw(SamplingParameters(temperature: 1, minP: 1), logits, times: 300).keys) == [0])
  }

  /// What top-p and min-p leave is drawn by its own weights: none of them takes over those of what has gone.
  @Test(arguments: [
    SamplingParameters(temperature: 1, minP: 0.3, seed: 3), SamplingParameters(temperature: 1, topP: 0.4, seed: 3),
    SamplingParameters(temperature: 1, topK: 2, seed: 3),
  ]) func whatStaysKeepsItsProportions(_ parameters: SamplingParameters) {
    // 2 to 1, and twenty times a fifth of the second.
    let logits = ([1, 0.5] + [Double](repeating: 0.1, count: 20)).map { Float(log($0)) }
    let counts = draw(parameters, logits, times: 3000)
    #expect(Set(counts.keys) == [0, 1])
    // Five standard deviations.
    #expect(abs((counts[0] ?? 0) - 2000) < 130)
  }

  @Test func repetitionPenaltyCoversThePromptAndBothSigns() throws {
    let parameters = SamplingParameters(repetitionPenalty: 2)
    #expect(try sampleOnce(parameters, [3, 2], prompt: [0]) == 1)
    #expect(try sampleOnce(parameters, [-3, -4], prompt: [0]) == 1)
    #expect(try sampleOnce(parameters, [3, 2], prompt: []) == 0)
    #expect(try sampleOnce(parameters, [3, 2], prompt: [99, -1]) == 0)
  }

  @Test func presenceAndFrequencyPenaltiesCountTheAnswer() throws {
    var once = try Chooser(SamplingParameters(presencePenalty: 1.5), prompt: [1], 2)
    let picks = try (0..<4).map { _ in try [Float(3), 2].withUnsafeBufferPointer { try once.sample($0) } }
    #expect(picks == [0, 1, 0, 0])
    var growing = try Chooser(SamplingParameters(frequencyPenalty: 0.4), 2)
    let more = try (0..<6).map { _ in try [Float(3), 2].withUnsafeBufferPointer { try growing.sample($0) } }
    #expect(more == [0, 0, 0, 1, 0, 1])
  }

  @Test func logitBiasMovesTheChoice() throws {
    #expect(try sampleOnce(SamplingParameters(logitBias: [2: 10]), [1, 3, 2]) == 2)
    #expect(try sampleOnce(SamplingParameters(logitBias: [1: -100]), [1, 3, 2]) == 2)
  }

  /// Each rule works on what those before it have left, and to the bit as it is written here.
  @Test func rulesWorkInTheirOrder() throws {
    let parameters = SamplingParameters(
      repetitionPenalty: 1.3, presencePenalty: 0.7, frequencyPenalty: 0.11, logitBias: [2: 1.7, 3: -0.9, 5: 0.3])
    let logits: [Float] = [3.1, -2.7, 0.9, -1.3, 2.2, 0.1]
    var rules = try LogitsRules(parameters.rules(after: [1, 4, 99, -7]), vocabularySize: logits.count)
    let answer: [Int32] = [2, 3, 2, 4]
    for token in answer { try rules.record(token) }
    let found = try logits.withUnsafeBufferPointer { Array(try rules.apply(to: $0)) }
    let expected = logits.enumerated().map { index, logit in
      let token = Int32(index)
      var logit = logit
      if ([1, 4] + answer).contains(token) { logit = logit > 0 ? logit / 1.3 : logit * 1.3 }
      let count = answer.count { $0 == token }
      if count > 0 { logit = logit - 0.7 - 0.11 * Float(count) }
      return logit + (parameters.logitBias[token] ?? 0)
    }
    #expect(found == expected)
    #expect(SamplingParameters(temperature: 1).rules(after: [1, 2]).isEmpty)
  }

  /// Rules out all but one token, whatever the logits.
  private struct OnlyToken: LogitsRule {
    let token: Int

    func apply(to logits: UnsafeMutableBufferPointer<Float>) {
      for index in logits.indices where index != token { logits[index] = -.infinity }
    }

    func record(_ token: Int32) {}
  }

  @Test(arguments: [Float(0), 1, 100]) func whatIsRuledOutIsNeverChosen(temperature: Float) throws {
    let rules = try LogitsRules([OnlyToken(token: 3)], vocabularySize: 5)
    var sampler = Sampler(SamplingParameters(temperature: temperature))
    let logits: [Float] = [9, 80, -3, -40, 7]
    for _ in 0..<200 {
      #expect(try logits.withUnsafeBufferPointer { sampler.sample(try rules.apply(to: $0)) } == 3)
    }
  }

  @Test func logProbabilitiesAreOfTheModelsDistribution() {
    let logits: [Float] = [0, 2, 1, 2]
    let result = logits.withUnsafeBufferPointer {
      LogProbabilities(logits: $0, token: 2, alternativeCount: 3)
    }
    let total = logits.reduce(0) { $0 + exp(Double($1)) }
    #expect(abs(Double(result.chosen) - (1 - log(total))) < 1e-6)
    #expect(result.alternatives.map(\.token) == [1, 3, 2])
    #expect(abs(Double(result.alternatives[0].logProbability) - (2 - log(total))) < 1e-6)
  }

  private func picks(_ parameters: SamplingParameters, _ logits: [Float]) -> Set<Int32> {
    Set(draw(parameters, logits, times: 500).keys)
  }

  /// The smallest head that reaches top_p: what reaches it exactly is enough.
  @Test func topPThatIsMetExactlyTakesNoMore() {
    #expect(picks(SamplingParameters(temperature: 1, topP: 0.5), [0, 0]) == [0])
    #expect(picks(SamplingParameters(temperature: 1, topP: 0.75), [0, 0, 0, 0]) == [0, 1, 2])
  }

  /// At least min_p of the best one's weight: what has just that stays.
  @Test func minPKeepsWhatIsAtItsBorder() {
    #expect(picks(SamplingParameters(temperature: 1, minP: 1), [0, 0, -1]) == [0, 1])
    #expect(picks(SamplingParameters(temperature: 1, minP: 0.9), [0, 0, -1]) == [0, 1])
  }
}
