import DormouseSupport
import Glibc

/// Writes the tokens of one window after another, and tries a window again at higher temperatures as long as what was
/// written looks wrong (`generate_with_fallback` of transformers 5.23).
final class WhisperWriter {
  /// What was written for a window.
  struct Window {
    /// Without the end.
    let tokens: [Int32]
    let measures: TranscriptMeasures
  }

  let decoder: WhisperDecoder
  /// Tokens written in all.
  private(set) var tokenCount = 0
  /// Whether the next window is told what was said before: not when the last one had to be drawn at random.
  private(set) var conditions: Bool
  private let configuration: WhisperConfiguration
  private let generation: WhisperGenerationConfiguration
  private let options: WhisperOptions
  private let rules: WhisperLogitRules
  private var random: RandomGenerator
  /// Positions that prompt and window may fill. It grows with every window, as in the reference.
  private var maximumLength: Int

  init(_ model: Whisper, _ options: WhisperOptions) throws(Failure) {
    configuration = model.configuration
    generation = model.generation
    self.options = options
    rules = WhisperLogitRules(generation: model.generation, hasTimestamps: options.hasTimestamps)
    conditions = options.conditionsOnPrevious
    random = RandomGenerator(seed: options.seed)
    maximumLength = model.generation.maximumLength
    decoder = try WhisperDecoder(
      model.configuration, model.weights.decoder, pool: model.pool, kernels: model.kernels)
  }

  /// The logits of what follows `tokens`, from position 0 on.
  /// - Throws: `Failure(.invalidArgument)` for more tokens than positions, `Failure(.numerical)`.
  func logits(after tokens: [Int32]) throws(Failure) -> UnsafeMutableBufferPointer<Float> {
    try begin(tokens, start: tokens.count - 1)
    return decoder.logits(0)
  }

  /// - Parameters:
  ///   - prompt: what the window is told, at position `start` of it `<|startoftranscript|>`.
  /// - Returns: nil for a window that holds no speech.
  /// - Throws: `Failure(.cancelled)`, `Failure(.numerical)`.
  func write(after prompt: [Int32], start: Int, interruption: Interruption) throws(Failure) -> Window? {
    let half = configuration.targetPositions / 2 - 1
    maximumLength = min(maximumLength + min(half, prompt.count), configuration.targetPositions)
    for (attempt, temperature) in options.temperatures.enumerated() {
      let window = try self.attempt(prompt, start, temperature, interruption)
      conditions = options.conditionsOnPrevious && temperature < 0.5
      let isUnlikely = options.logProbabilityThreshold.map { window.measures.averageLogProbability < $0 } ?? false
      if isUnlikely, let threshold = options.noSpeechThreshold, window.measures.noSpeechProbability > threshold {
        return nil
      }
      let repeats = options.compressionRatioThreshold.map { window.measures.compressionRatio > $0 } ?? false
      if attempt == options.temperatures.count - 1 || !(isUnlikely || repeats) { return window }
    }
    throw Failure(.internalError, "no temperature to write at")
  }

  private func attempt(
    _ prompt: [Int32], _ start: Int, _ temperature: Float, _ interruption: Interruption
  ) throws(Failure) -> Window {
    var tokens: [Int32] = []
    var sum = 0.0
    try begin(prompt, start: start)
    let noSpeech = exp(WhisperLogitRules.logProbability(decoder.logits(1), of: Int(generation.noTimestamps) - 1))
    while prompt.count + tokens.count < maximumLength {
      try interruption.check()
      if let last = tokens.last {
        decoder.forward([last], at: prompt.count + tokens.count - 1, logitsOf: [0])
        try requireNumbers()
      }
      let scores = decoder.logits(0)
      rules.apply(scores, after: tokens)
      let token = try choose(scores, temperature)
      sum += WhisperLogitRules.logProbability(scores, of: token)
      tokens.append(Int32(token))
      tokenCount += 1
      if token == Int(generation.end) { break }
    }
    let measures = TranscriptMeasures(
      temperature: temperature, averageLogProbability: tokens.isEmpty ? 0 : sum / Double(tokens.count),
      compressionRatio: TokenCompression.ratio(tokens, vocabularySize: configuration.vocabularySize),
      noSpeechProbability: noSpeech)
    if tokens.last == generation.end { tokens.removeLast() }
    return Window(tokens: tokens, measures: measures)
  }

  /// Computes a prompt, and leaves the logits of its last token and of the one at `start`.
  private func begin(_ prompt: [Int32], start: Int) throws(Failure) {
    guard !prompt.isEmpty, prompt.count < configuration.targetPositions else {
      throw Failure(
        .invalidArgument,
        "a prompt of \(prompt.count) tokens; the model has \(configuration.targetPositions) positions")
    }
    decoder.forward(prompt[...], at: 0, logitsOf: [prompt.count - 1, start])
    try requireNumbers()
  }

  private func requireNumbers() throws(Failure) {
    // A sum is finite only if all are.
    guard decoder.logits(0).reduce(0, +).isFinite else {
      throw Failure(.numerical, "the model's logits are not finite: its weights are damaged, or too large for float32")
    }
  }

  /// The most likely token, or one drawn from all; ties go to the lower id.
  private func choose(_ scores: UnsafeMutableBufferPointer<Float>, _ temperature: Float) throws(Failure) -> Int {
    var best = 0
    for token in scores.indices where scores[token] > scores[best] { best = token }
    guard scores[best] > -.infinity else {
      throw Failure(.malformed, "generation_config.json: its suppressed tokens leave none to write")
    }
    guard temperature > 0 else { return best }
    let top = scores[best]
    let weights = scores.lazy.map { exp(Double(($0 - top) / temperature)) }
    var rest = random.nextUniform() * weights.reduce(0, +)
    for (token, weight) in weights.enumerated() where weight > 0 {
      rest -= weight
      if rest < 0 { return token }
    }
    return best
  }
}
