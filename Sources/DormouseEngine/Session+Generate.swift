import DormouseMedia
import DormouseSupport
import DormouseText

extension Session {
  /// Appends tokens and goes on from there.
  /// - Parameters:
  ///   - newTokens: may be empty when the session holds tokens.
  ///   - configuration: the JSON that `dormouse_session_generate` describes, or nil.
  /// - Returns: 0, or the value with which `onEvent` stopped the work.
  public func generate(_ newTokens: [Int32], configuration: String?, onEvent: EventHandler) throws(Failure) -> Int32 {
    let request = try readRequest(configuration)
    return try state.exclusively { () throws(Failure) in
      try check(newTokens)
      return try run(Timeline(tokens: newTokens), reused: 0, request, onEvent)
    }
  }

  /// Answers a chat; the prefix of the rendered prompt that the session already holds is not computed again.
  /// - Parameters:
  ///   - messages: the JSON that `dormouse_engine_render_messages` describes.
  ///   - attachments: what its parts name by number.
  public func chat(
    messages: String, attachments: [MediaItem] = [], configuration: String?, onEvent: EventHandler
  ) throws(Failure) -> Int32 {
    var request = try readRequest(configuration)
    request.terms.start = Clock.now()
    let chat = try ChatRequest(json: messages)
    return try state.exclusively { () throws(Failure) in
      let watch = state.watch(
        deadline: request.terms.deadline(from: Clock.now()), timeLimit: request.terms.timeLimit ?? .infinity)
      let limits = PromptLimits(contextLength: contextLength, interruption: watch)
      let (chat, transcribed) = try engine.transcribed(chat, attachments: attachments, watch)
      let prompt = try engine.prompt(chat, attachments: attachments, limits: limits)
      guard prompt.count <= contextLength else {
        throw Failure(
          .contextFull, "the chat has \(prompt.count) tokens, more than the session's \(contextLength)")
      }
      let held = timeline.commonCount(with: prompt)
      keep(held)
      changeContents { $0.adoptContents(of: prompt) }
      return try run(prompt, reused: held, transcribed: transcribed, request, onEvent)
    }
  }

  private func readRequest(_ configuration: String?) throws(Failure) -> GenerationRequest {
    try GenerationRequest.read(
      configuration, defaults: engine.text.generation.sampling, vocabularySize: vocabularySize)
  }

  /// - Parameters:
  ///   - prompt: of which the session holds the first `reused` positions, at its end.
  private func run(
    _ prompt: Timeline, reused: Int, transcribed: TranscriptionCounts = TranscriptionCounts(),
    _ request: GenerationRequest, _ onEvent: EventHandler
  ) throws(Failure) -> Int32 {
    let called = Clock.now()
    return try atWork(
      request.terms, appending: prompt.count - reused, { $0.append(prompt, from: reused) },
      adding: request.maxTokens ?? contextLength
    ) { () throws(Failure) in
      var generation = Generation(
        session: self, request: request, reused: reused, prompt: prompt, transcribed: transcribed, called: called)
      return try generation.run { event in state.callback.run { onEvent(event) } }
    }
  }
}

/// One answer in the making.
private struct Generation {
  private let session: Session
  private let request: GenerationRequest
  private var sampler: Sampler
  private var output: TextOutput
  private var counts = GenerationEvent.Counts()
  private var startOfPhase = Clock.now()

  /// - Parameters:
  ///   - reused: tokens of the prompt that the session held already.
  ///   - called: seconds of `Clock` when the call came.
  init(
    session: Session, request: GenerationRequest, reused: Int, prompt: Timeline, transcribed: TranscriptionCounts,
    called: Double
  ) {
    self.session = session
    self.request = request
    sampler = Sampler(request.sampling, prompt: session.timeline.textTokens)
    output = TextOutput(tokenizer: session.engine.text.tokenizer, stop: request.stop)
    counts.promptTokens = prompt.count
    counts.mediaTokens = prompt.mediaCounts
    counts.transcribedTokens = transcribed.tokens
    counts.transcribedSeconds = transcribed.seconds
    counts.promptReused = reused
    counts.promptShared = session.sharedCount
    counts.promptDone = reused
    counts.waitingSeconds = startOfPhase - called
  }

  /// Once the first tokens have come, a greedy token allocates nothing. Otherwise there are, a token, the temporary
  /// memory of the sort of candidates and the arrays of log-probabilities, and for penalties a set of tokens that grows.
  /// - Returns: 0, or the value with which `onEvent` stopped the work.
  mutating func run(_ onEvent: EventHandler) throws(Failure) -> Int32 {
    var stop = try readPrompt(onEvent)
    if stop != 0 { return stop }
    startOfPhase = Clock.now()
    if session.isFull { return onEvent(endEvent(.context, isStopped: false)) }
    while true {
      let token = sampler.sample(session.logits)
      let logProbabilities = request.logProbabilityAlternatives.map {
        LogProbabilities(logits: session.logits, token: token, alternativeCount: $0)
      }
      try session.append(token)
      counts.generatedTokens += 1
      counts.generationSeconds = Clock.now() - startOfPhase
      let isEnd = isEnd(token)
      output.clear()
      let isStopped = isEnd ? false : output.append(token)
      stop = onEvent(tokenEvent(token, logProbabilities))
      if stop != 0 { return stop }
      if let reason = finishReason(isEnd: isEnd, isStopped: isStopped) {
        return onEvent(endEvent(reason, isStopped: isStopped))
      }
      do {
        try session.ensureLogits(isGenerating: true) { _ in }
      } catch {
        guard error.status == .timedOut else { throw error }
        return onEvent(endEvent(.time, isStopped: false))
      }
    }
  }

  /// Evaluates the prompt, with an event after each chunk, and after each portion of its media that a tower has encoded.
  private mutating func readPrompt(_ onEvent: EventHandler) throws(Failure) -> Int32 {
    var stop: Int32 = 0
    let first = session.timeline.count - counts.promptTokens
    do {
      try session.ensureLogits { (evaluated) throws(Failure) in
        counts.promptDone = min(counts.promptTokens, max(0, evaluated - first))
        counts.promptSeconds = Clock.now() - startOfPhase
        stop = onEvent(GenerationEvent(kind: .prompt, counts: counts))
        if stop != 0 { throw Failure(.cancelled, "the event callback returned \(stop)") }
      }
    } catch {
      if stop == 0 { throw error }
    }
    return stop
  }

  /// Whether the token ends the text, and is none of it.
  private func isEnd(_ token: Int32) -> Bool {
    if request.stopTokens.contains(token) { return true }
    return !request.ignoresEndTokens && session.engine.text.generation.endTokens.contains(token)
  }

  private func finishReason(isEnd: Bool, isStopped: Bool) -> GenerationEvent.FinishReason? {
    if isEnd || isStopped { return .stop }
    if counts.generatedTokens == request.maxTokens { return .length }
    return session.isFull ? .context : nil
  }

  private func tokenEvent(_ token: Int32, _ probabilities: LogProbabilities?) -> GenerationEvent {
    var event = GenerationEvent(kind: .token, token: token, text: output.text, counts: counts)
    if let probabilities {
      event.logProbability = probabilities.chosen
      event.alternatives = probabilities.alternatives.map { .init(token: $0.token, logProbability: $0.logProbability) }
    }
    return event
  }

  private mutating func endEvent(_ reason: GenerationEvent.FinishReason, isStopped: Bool) -> GenerationEvent {
    output.clear()
    let isStopped = isStopped || output.finish()
    return GenerationEvent(
      kind: .end, text: output.text, finishReason: isStopped ? .stop : reason, counts: counts)
  }
}
