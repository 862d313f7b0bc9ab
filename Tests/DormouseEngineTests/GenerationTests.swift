import DormouseSupport
import Testing

@testable import DormouseEngine

/// Answers from logits that come from a script or from a session, and from steps of one token or of several guessed
/// ones.
@Suite struct GenerationTests {
  /// What an event says but for its seconds.
  private struct Told: Equatable {
    let kind: GenerationEvent.Kind
    let token: Int32
    let text: [UInt8]
    let logProbability: Float
    let alternatives: [Int32]
    let finishReason: GenerationEvent.FinishReason?
    let generatedTokens: Int

    init(_ event: GenerationEvent) {
      kind = event.kind
      token = event.token
      text = event.text
      logProbability = event.logProbability
      alternatives = event.alternatives.map(\.token)
      finishReason = event.finishReason
      generatedTokens = event.counts.generatedTokens
    }
  }

  private static let prompt: [Int32] = [5, 9, 2]

  /// The shipped model's tokenizer and vocabulary.
  private let engine: Engine
  private let vocabularySize: Int

  init() throws {
    var options = EngineOptions()
    options.withoutWeights = true
    engine = try Engine(path: Fixtures.shippedModel, options: options)
    vocabularySize = try engine.modelFolder().configuration.vocabularySize
  }

  /// A source of logits: they depend on the tokens before alone.
  private func logits(after tokens: [Int32]) -> [Float] {
    var random = Random(state: tokens.suffix(3).reduce(7) { $0 &* 31 &+ UInt64(truncatingIfNeeded: $1) })
    return (0..<vocabularySize).map { _ in Float(random.next() % 4096) / 512 }
  }

  private func generation(_ configuration: String) throws -> Generation {
    let request = try GenerationRequest.read(
      configuration, defaults: SamplingParameters(), vocabularySize: vocabularySize)
    return try Generation(
      request, after: Self.prompt, GenerationEvent.Counts(), text: engine.text, vocabularySize: vocabularySize)
  }

  /// An answer whose steps compute `guess(the tokens so far)` too.
  /// - Returns: its events, and the number of steps.
  private func answer(
    _ configuration: String, guess: ([Int32]) -> [Int32]
  ) throws -> (events: [Told], steps: Int) {
    var generation = try generation(configuration)
    var (tokens, events, steps) = (Self.prompt, [Told](), 0)
    while true {
      steps += 1
      let guesses = guess(tokens)
      let rows = (0...guesses.count).map { logits(after: tokens + guesses.prefix($0)) }
      for (index, row) in rows.enumerated() {
        let event = try row.withUnsafeBufferPointer { try generation.next($0) }
        events.append(Told(event))
        tokens.append(event.token)
        if let reason = generation.finishReason(isFull: tokens.count == 120) {
          let last = generation.finish(reason)
          return (events + [Told(generation.end(last))], steps)
        }
        guard index < guesses.count, guesses[index] == event.token else { break }
      }
    }
  }

  @Test(arguments: [
    #"{}"#, #"{"temperature": 0.3, "seed": 5, "max_tokens": 60}"#, #"{"logprobs": 3, "max_tokens": 40}"#,
    #"{"repetition_penalty": 1.2, "frequency_penalty": 0.3, "presence_penalty": 0.1, "logit_bias": {"7": 4}}"#,
    #"{"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.1, "stop": ["th", "e "]}"#,
    #"{"temperature": 0.2, "top_k": 5, "stop_token_ids": [3, 4, 8, 11, 40], "ignore_eos": true}"#,
  ])
  func aStepMayTakeSeveralTokensAndKeepSome(configuration: String) throws {
    let alone = try answer(configuration) { _ in [] }
    #expect(alone.events.last?.kind == .end && alone.steps == alone.events.count - 1)
    let chosen = alone.events.dropLast().map(\.token)
    // All right, all wrong, and right up to some place.
    for wrong in [9, 0, 2] {
      let guessed = try answer(configuration) { tokens in
        let place = tokens.count - Self.prompt.count
        return (place..<place + 4).map { index in
          let token = index < chosen.count ? chosen[index] : 0
          return index - place < wrong ? token : (token + 1) % Int32(vocabularySize)
        }
      }
      #expect(guessed.events == alone.events)
      #expect(wrong == 0 || alone.steps < 3 ? guessed.steps <= alone.steps : guessed.steps < alone.steps)
    }
  }

  /// With a session a step has the logits after each of its tokens, and truncating takes guesses back.
  @Test func aSessionTakesBackWhatWasGuessedWrong() throws {
    let engine = try Runs.engine { $0.precision = .int8 }
    func session() throws -> Session { try Runs.session(engine) { $0.attention = .absorbed } }
    let prompt = Runs.tokens(70, seed: 4)
    let alone = try session()
    let expected = try Runs.generate(alone, prompt, 40).tokens
    let guessing = try session()
    var (found, steps) = ([Int32](), 0)
    try guessing.state.exclusively { () throws(Failure) in
      try guessing.atWork(appending: prompt, adding: 48) { () throws(Failure) in
        try guessing.ensureLogits { _ in }
        var request = GenerationRequest()
        request.ignoresEndTokens = true
        var generation = try Generation(
          request, after: prompt, GenerationEvent.Counts(), text: engine.text, vocabularySize: Runs.vocabularySize)
        var rows = [Float](repeating: 0, count: 4 * Runs.vocabularySize)
        found = [try generation.next(guessing.logits).token]
        while let last = found.last, found.count < expected.count {
          // The third guess is wrong.
          let right = expected[found.count...].prefix(2)
          let guesses = right + [(expected[min(found.count + 2, 39)] + 1) % Int32(Runs.vocabularySize)]
          let before = guessing.timeline.count
          for token in [last] + guesses { try guessing.append(token) }
          var kept = 0
          try rows.withUnsafeMutableBufferPointer { (rows) throws(Failure) in
            let count = (guesses.count + 1) * Runs.vocabularySize
            let used = UnsafeMutableBufferPointer(rebasing: rows.prefix(count))
            try guessing.evaluate(allLogits: used) { _ in }
            while found.count < expected.count {
              let row = used.dropFirst(kept * Runs.vocabularySize).prefix(Runs.vocabularySize)
              found.append(try generation.next(UnsafeBufferPointer(rebasing: row)).token)
              kept += 1
              guard kept <= guesses.count, guesses[guesses.startIndex + kept - 1] == found.last else { break }
            }
          }
          guessing.keep(before + kept)
          steps += 1
        }
      }
    }
    #expect(found == expected)
    #expect(steps == 13)
    // What is left is a session like any other.
    #expect(try guessing.length() == prompt.count + 39)
    let more = try (Runs.generate(alone, [1, 2], 10).tokens, Runs.generate(guessing, [found[39], 1, 2], 10).tokens)
    #expect(more.0 == more.1)
  }
}
