import DormouseGrammar
import DormouseSupport
import DormouseText

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
  private var reasoning: ReasoningBudget
  private var consistency: ScriptConsistency
  private var sampler: Sampler
  private var output: TextOutput
  private(set) var counts: GenerationEvent.Counts
  /// Seconds of `Clock`.
  private var startOfPhase = Clock.now()
  /// Whether the last token was an end token.
  private var isAtEnd = false
  /// Whether the last token completed a stop string.
  private var isStopped = false
  /// The last call of a tool that was told.
  private var toolCall = GenerationEvent.ToolCall()
  /// Calls that were told and are not broken, as far as is known.
  private var callCount = 0

  /// - Parameters:
  ///   - prompt: the tokens before the answer.
  ///   - counts: what is known of the prompt.
  ///   - text: the model's tokenizer, and the tokens that end its answers.
  ///   - format: in which the model writes reasoning and calls of tools; nil: the answer is content.
  ///   - constraint: of the content's form.
  ///   - language: of its letters.
  ///   - calls: what it must call, and how.
  /// - Throws: `Failure(.outOfMemory)`.
  init(
    _ request: GenerationRequest, after prompt: [Int32], _ counts: GenerationEvent.Counts, text: TextResources,
    format: (any AnswerFormat)? = nil, constraint: Constraint? = nil, language: AnswerLanguage = AnswerLanguage(),
    calls: CallRule? = nil, vocabularySize: Int
  ) throws(Failure) {
    self.request = request
    self.counts = counts
    self.counts.promptDone = counts.promptReused
    endTokens = request.ignoresEndTokens ? request.stopTokens : request.stopTokens.union(text.generation.endTokens)
    self.constraint = constraint
    rules = try LogitsRules(
      request.sampling.rules(after: prompt), constraint: constraint, language: language.rule, calls: calls,
      vocabularySize: vocabularySize)
    consistency = language.consistency
    reasoning = ReasoningBudget(tokens: request.answer.reasoningBudget, end: format?.reasoningEnd ?? [])
    sampler = Sampler(request.sampling)
    output = TextOutput(
      tokenizer: text.tokenizer, stop: request.stop,
      parser: format?.makeParser(
        after: prompt, callsTools: request.answer.shownTools?.isEmpty != true,
        parameters: ToolParameters(tools: request.answer.shownTools ?? []))
        ?? PlainAnswerParser(),
      hasParts: request.answer.hasParts)
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
    if rules.haveEnded { return false }
    guard let constraint, output.part != .reasoning else { return true }
    return try !constraint.allowed().isEmpty
  }

  /// Chooses the next token.
  /// - Parameter logits: those after the last token, [vocabulary].
  /// - Returns: its event. Whoever keeps it while the next token is chosen costs an allocation.
  /// - Throws: what a rule says.
  mutating func next(_ logits: UnsafeBufferPointer<Float>) throws(Failure) -> GenerationEvent {
    let part = output.part
    let token: Int32
    var sampled: UnsafeBufferPointer<Float>?
    if let forced = reasoning.forcedToken(isReasoning: part == .reasoning) {
      token = forced
    } else if let forced = try rules.forcedToken(in: part) {
      token = forced
    } else {
      let ruled = try rules.apply(to: logits, in: part)
      token = sampler.sample(ruled)
      sampled = ruled
    }
    try rules.record(token, in: part)
    let probabilities = request.logProbabilityAlternatives.map {
      logProbabilities(of: token, model: logits, sampled: sampled, alternativeCount: $0)
    }
    counts.generatedTokens += 1
    counts.generationSeconds = Clock.now() - startOfPhase
    isAtEnd = endTokens.contains(token)
    output.clear()
    isStopped = isAtEnd ? false : output.append(token)
    countLetters()
    var event = GenerationEvent(kind: .token, token: token, counts: counts)
    if !request.answer.hasParts { event.text = output.text }
    if let probabilities {
      event.logProbability = probabilities.chosen
      event.alternatives = probabilities.alternatives
    }
    return event
  }

  /// - Parameters:
  ///   - model: the logits after the last token.
  ///   - sampled: those that the token was chosen from; nil for one that was forced.
  private func logProbabilities(
    of token: Int32, model: UnsafeBufferPointer<Float>, sampled: UnsafeBufferPointer<Float>?, alternativeCount: Int
  ) -> LogProbabilities {
    switch (request.logProbabilitySource, sampled) {
    case (.model, _): LogProbabilities(logits: model, token: token, alternativeCount: alternativeCount)
    case (.sampled, nil): LogProbabilities(certain: token, alternativeCount: alternativeCount)
    case (.sampled, let sampled?):
      sampler.logProbabilities(of: token, among: sampled, alternativeCount: alternativeCount)
    }
  }

  /// Why the answer ends with its last token; nil where it goes on.
  /// - Parameter isFull: whether the context takes no more tokens.
  func finishReason(isFull: Bool) -> GenerationEvent.FinishReason? {
    if isAtEnd || isStopped { return .stop }
    if counts.generatedTokens == request.maxTokens { return .length }
    return isFull ? .context : nil
  }

  /// Why the answer has ended after all, when the text that was withheld is let go; that may complete a stop string.
  mutating func finish(_ reason: GenerationEvent.FinishReason) -> GenerationEvent.FinishReason {
    output.clear()
    if isStopped { return .stop }
    let isStopped = output.finish()
    countLetters()
    return isStopped ? .stop : reason
  }

  private mutating func countLetters() {
    for piece in output.pieces { consistency.add(output.text[piece.bytes], to: piece.part) }
  }

  /// The last event, with the text that was withheld.
  func end(_ reason: GenerationEvent.FinishReason) -> GenerationEvent {
    let text = request.answer.hasParts ? [] : output.text
    let hasCalled = reason == .stop && isAtEnd && callCount > 0
    var event = GenerationEvent(
      kind: .end, text: text, finishReason: hasCalled ? .toolCalls : reason, counts: counts)
    event.consistency = consistency.shares
    return event
  }

  /// How many events of parts there are of what the last call found.
  var partCount: Int { request.answer.hasParts ? output.pieces.count : 0 }

  /// One of them; they are asked for in their order, once.
  mutating func partEvent(_ index: Int) -> GenerationEvent {
    let piece = output.pieces[index]
    var event = GenerationEvent(kind: .part, text: Array(output.text[piece.bytes]), counts: counts)
    event.part = piece.part
    switch piece.part {
    case .content, .reasoning: break
    case .toolName:
      let name = String(decoding: event.text, as: UTF8.self)
      toolCall = GenerationEvent.ToolCall(
        index: piece.toolIndex, id: piece.toolID.isEmpty ? ToolCallID.make() : piece.toolID, name: name)
      callCount += 1
      event.toolCall = toolCall
    case .toolArguments, .brokenCall:
      let isTold = !toolCall.name.isEmpty && toolCall.index == piece.toolIndex
      event.toolCall = isTold ? toolCall : GenerationEvent.ToolCall(index: piece.toolIndex)
      if isTold, piece.part == .brokenCall { callCount -= 1 }
    }
    return event
  }
}

/// Ids of calls where a model's format has none: different from each other also in different answers, as clients expect
/// of a conversation.
private enum ToolCallID {
  private static let characters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")

  static func make() -> String {
    "call_" + String((0..<24).map { _ in characters.randomElement() ?? "0" })
  }
}
