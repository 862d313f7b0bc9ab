import DormouseSupport
import Glibc
import Testing

@testable import DormouseEngine

/// Log-probabilities of the distribution that tokens are drawn from, against one that is computed here step by step.
@Suite struct LogProbabilityTests {
  private static let logits: [Float] = (0..<40).map { Float(sin(Double($0) * 1.7)) * 4 }

  /// Natural logarithms by token; what is ruled out has none.
  private static func expected(_ parameters: SamplingParameters, _ logits: [Float]) -> [Int32: Double] {
    var logits = logits.enumerated().map { index, value in
      Double(value) + Double(parameters.logitBias[Int32(index)] ?? 0)
    }
    if parameters.temperature > 0 { logits = logits.map { $0 / Double(parameters.temperature) } }
    let weights = logits.map { exp($0) }
    var kept = weights.indices.sorted { weights[$0] > weights[$1] }
    if parameters.temperature > 0 {
      if parameters.topK > 0 { kept = Array(kept.prefix(parameters.topK)) }
      let all = kept.reduce(0) { $0 + weights[$1] }
      var sum = 0.0
      kept = kept.filter { token in
        defer { sum += weights[token] }
        return parameters.topP == 1 || sum < all * Double(parameters.topP)
      }
      kept = kept.filter { weights[$0] >= Double(parameters.minP) * weights[kept[0]] }
    }
    let total = kept.reduce(0) { $0 + weights[$1] }
    return Dictionary(kept.map { (Int32($0), log(weights[$0] / total)) }) { first, _ in first }
  }

  @Test(arguments: [
    SamplingParameters(), SamplingParameters(topK: 3, logitBias: [7: 20]),
    SamplingParameters(temperature: 1), SamplingParameters(temperature: 0.3, seed: 4),
    SamplingParameters(temperature: 1.5, topK: 5), SamplingParameters(temperature: 1, topP: 0.6, seed: 9),
    SamplingParameters(temperature: 2, minP: 0.2), SamplingParameters(temperature: 1, logitBias: [3: 5, 0: -9]),
    SamplingParameters(temperature: 0.8, topK: 20, topP: 0.9, minP: 0.05, seed: 2),
  ]) func sampledOnesAreOfWhatIsDrawnFrom(_ parameters: SamplingParameters) throws {
    let expected = Self.expected(parameters, Self.logits)
    let rules = try LogitsRules(parameters.rules(after: []), vocabularySize: Self.logits.count)
    var sampler = Sampler(parameters)
    for _ in 0..<20 {
      try Self.logits.withUnsafeBufferPointer { logits in
        let ruled = try rules.apply(to: logits)
        let token = sampler.sample(ruled)
        let found = sampler.logProbabilities(of: token, among: ruled, alternativeCount: 20)
        #expect(abs(Double(found.chosen) - (expected[token] ?? .infinity)) < 1e-5)
        #expect(found.alternatives.count == min(20, expected.count))
        let values = found.alternatives.map(\.logProbability)
        #expect(values == values.sorted(by: >))
        for alternative in found.alternatives {
          #expect(abs(Double(alternative.logProbability) - (expected[alternative.token] ?? .infinity)) < 1e-5)
        }
      }
    }
  }

  /// Through an answer: with a bias that rules all but two tokens out of reach, and with none.
  @Test func anAnswerTellsWhatItWasAskedFor() throws {
    func tokens(_ more: String) throws -> [GenerationEvent] {
      let found = try Runs.generate(
        Runs.session(Runs.engine()), Runs.tokens(9, seed: 3), 6, more: #", "logprobs": 5\#(more)"#)
      return found.events.filter { $0.kind == .token }
    }
    let plain = try tokens("")
    let same = try tokens(#", "logprobs_of": "sampled""#)
    for (model, sampled) in zip(plain, same) {
      #expect(sampled.token == model.token && sampled.logProbability == model.logProbability)
      #expect(sampled.alternatives.map(\.token) == model.alternatives.map(\.token))
    }
    let most = plain[0].token
    let sharp = #", "temperature": 1, "top_k": 1"#
    for event in try tokens(sharp + #", "logprobs_of": "sampled""#) {
      #expect(event.logProbability == 0 && event.alternatives.map(\.token) == [event.token])
    }
    for event in try tokens(sharp + #", "logprobs_of": "model""#) { #expect(event.alternatives.count == 5) }
    let other = (most + 1) % Int32(Runs.vocabularySize)
    let biased = #", "logit_bias": {"\#(other)": 100}"#
    let model = try tokens(biased)[0]
    let sampled = try tokens(biased + #", "logprobs_of": "sampled""#)[0]
    #expect(model.token == other && model.alternatives[0].token == most)
    #expect(sampled.token == other && sampled.alternatives[0].token == other && sampled.logProbability > -1e-6)
  }

  @Test func tokensThatAreRuledOutAreNoAlternatives() {
    let logits: [Float] = [1, -.infinity, 2, -.infinity]
    let found = logits.withUnsafeBufferPointer { LogProbabilities(logits: $0, token: 2, alternativeCount: 4) }
    #expect(found.alternatives.map(\.token) == [2, 0])
    let forced = LogProbabilities(certain: 5, alternativeCount: 3)
    #expect(forced.chosen == 0 && forced.alternatives.map(\.token) == [5])
    #expect(LogProbabilities(certain: 5, alternativeCount: 0).alternatives.isEmpty)
  }
}
