import DormouseGrammar
import DormouseSupport

/// One answer in the making: chooses its tokens, makes text of them, counts, and knows where it ends.
///
/// It is handed the logits after each token in turn, and knows neither sessions nor steps. So a step may also compute
/// several guessed tokens, with the logits after each: `next` is called for them in turn as long as it chooses what was
/// guessed, and the session forgets the guesses after that.
struct Generation {
  private let request: GenerationRequest
  /// Tokens that end the text, and are none of it.
  private let endTokens: Set<Int32>
  private let constraint: Constraint?
  private var rules: LogitsRules
  private var sampler: Sampler
  private var output: TextOutput
  private(set) var counts: GenerationEvent.Counts
  /// Seconds of `Clock`.
  private var startOfPhase = Clock.now()
  /// Whether the last token was an end token.
  private var isAtEnd = false
  /// Whether the last token completed a stop string.
  private var isStopped = false

  /// - Parameters:
  ///   - prompt: the tokens before the answer.
  ///   - counts: what is known of the prompt.
  ///   - text: the model's tokenizer, and the tokens that end its answers.
  ///   - constraint: of the answer's form.
  /// - Throws: `Failure(.outOfMemory)`.
  init(
    _ request: GenerationRequest, after prompt: [Int32], _ counts: GenerationEvent.Counts, text: TextResources,
    constraint: Constraint? = nil, vocabularySize: Int
  ) throws(Failure) {
    self.request = request
    self.counts = counts
    self.counts.promptDone = counts.promptReused
    endTokens = request.ignoresEndTokens ? request.stopTokens : request.stopTokens.union(text.generation.endTokens)
    self.constraint = constraint
    var rules = request.sampling.rules(after: prompt)
    if let constraint { rules.append(ConstraintRule(constraint: constraint)) }
    self.rules = try LogitsRules(rules, vocabularySize: vocabularySize)
    sampler = Sampler(request.sampling)
    output = TextOutput(tokenizer: text.tokenizer, stop: request.stop)
  }

  /// What is to be said when the first `done` tokens of the prompt are evaluated.
  mutating func promptEvent(done: Int) -> GenerationEvent {
    counts.promptDone = min(counts.promptTokens, max(0, done))
    counts.promptSeconds = Clock.now() - startOfPhase
    return GenerationEvent(kind: .prompt, counts: counts)
  }

  /// The prompt is evaluated: the answer's seconds begin.
  mutating func begin() { startOfPhase = Clock.now() }

  /// Whether any token may come: not where a constraint's text is complete, nothing follows it, and no end token is
  /// known.
  func canGoOn() throws(Failure) -> Bool {
    guard let constraint else { return true }
    return try !constraint.allowed().isEmpty
  }

  /// Chooses the next token.
  /// - Parameter logits: those after the last token, [vocabulary].
  /// - Returns: its event. Whoever keeps it while the next token is chosen costs an allocation.
  /// - Throws: what a rule says.
  mutating func next(_ logits: UnsafeBufferPointer<Float>) throws(Failure) -> GenerationEvent {
    let token = sampler.sample(try rules.apply(to: logits))
    try rules.record(token)
    let probabilities = request.logProbabilityAlternatives.map {
      LogProbabilities(logits: logits, token: token, alternativeCount: $0)
    }
    counts.generatedTokens += 1
    counts.generationSeconds = Clock.now() - startOfPhase
    isAtEnd = endTokens.contains(token)
    output.clear()
    isStopped = isAtEnd ? false : output.append(token)
    var event = GenerationEvent(kind: .token, token: token, text: output.text, counts: counts)
    if let probabilities {
      event.logProbability = probabilities.chosen
      event.alternatives = probabilities.alternatives
    }
    return event
  }

  /// Why the answer ends with its last token; nil where it goes on.
  /// - Parameter isFull: whether the context takes no more tokens.
  func finishReason(isFull: Bool) -> GenerationEvent.FinishReason? {
    if isAtEnd || isStopped { return .stop }
    if counts.generatedTokens == request.maxTokens { return .length }
    return isFull ? .context : nil
  }

  /// The last event, with the text that was withheld; that may complete a stop string.
  mutating func end(_ reason: GenerationEvent.FinishReason) -> GenerationEvent {
    output.clear()
    let isStopped = isStopped || output.finish()
    return GenerationEvent(kind: .end, text: output.text, finishReason: isStopped ? .stop : reason, counts: counts)
  }
}
