import DormouseGrammar
import DormouseMedia
import DormouseSupport

extension Session {
  /// Appends tokens and goes on from there.
  /// - Parameters:
  ///   - newTokens: may be empty when the session holds tokens.
  ///   - configuration: the JSON that `dormouse_session_generate` describes, or nil.
  /// - Returns: 0, or the value with which `onEvent` stopped the work; what was evaluated and chosen until then stays.
  /// - Throws: `Failure(.invalidArgument)` for a configuration that is not as described, a token that is not in the
  ///   vocabulary, or no tokens at all; `.contextFull` when `newTokens` do not fit.
  public func generate(_ newTokens: [Int32], configuration: String?, onEvent: EventHandler) throws(Failure) -> Int32 {
    var request = try readRequest(configuration)
    guard request.answer.tools == nil else {
      throw Failure(.invalidArgument, "config_json: tools belong to chats, whose template shows them to the model")
    }
    request.terms.start = Clock.now()
    return try state.exclusively { () throws(Failure) in
      try check(newTokens)
      let constraint = try engine.constraint(for: request, watch(request.terms))
      return try run(
        Timeline(tokens: newTokens), held: 0, request, constraint, engine.language(for: request, userText: nil), onEvent
      )
    }
  }

  /// Answers a chat; the prefix of the rendered prompt that the session already holds is not computed again.
  /// - Parameters:
  ///   - messages: the JSON that `dormouse_engine_render_messages` describes.
  ///   - attachments: what its parts name by number.
  ///   - configuration: the JSON that `dormouse_session_generate` describes, or nil.
  /// - Returns: 0, or the value with which `onEvent` stopped the work; what was evaluated and chosen until then stays.
  /// - Throws: as `generate` and as `Engine.tokenize(messages:attachments:)`.
  public func chat(
    messages: String, attachments: [MediaItem] = [], configuration: String?, onEvent: EventHandler
  ) throws(Failure) -> Int32 {
    var request = try readRequest(configuration)
    request.terms.start = Clock.now()
    let chat = try request.prepared(ChatRequest(json: messages), text: engine.text)
    let language = try engine.language(for: request, userText: chat.lastUserText)
    return try state.exclusively { () throws(Failure) in
      let watch = self.watch(request.terms)
      let constraint = try engine.constraint(for: request, watch)
      let limits = PromptLimits(contextLength: contextLength, interruption: watch)
      let (chat, transcribed) = try engine.transcribed(chat, attachments: attachments, watch)
      let prompt = try engine.prompt(chat, attachments: attachments, limits: limits)
      guard prompt.count <= contextLength else {
        throw Failure(
          .contextFull, "the chat has \(prompt.count) tokens, more than the session's \(contextLength)")
      }
      let held = timeline.commonCount(with: prompt)
      let recomputed = keep(held)
      changeContents { $0.adoptContents(of: prompt) }
      return try run(
        prompt, held: held, recomputed: recomputed, transcribed: transcribed, request, constraint, language, onEvent)
    }
  }

  /// Tells whether the call that has these terms is still wanted.
  private func watch(_ terms: WorkTerms) -> Interruption {
    state.watch(deadline: terms.deadline(from: Clock.now()), timeLimit: terms.timeLimit ?? .infinity)
  }

  private func readRequest(_ configuration: String?) throws(Failure) -> GenerationRequest {
    try GenerationRequest.read(
      configuration, over: engine.configuredDefaults, defaults: engine.text.generation.sampling,
      vocabularySize: vocabularySize)
  }

  /// - Parameters:
  ///   - prompt: of which the session holds the first `held` positions, at its end.
  ///   - recomputed: how many of these are computed again all the same.
  private func run(
    _ prompt: Timeline, held: Int, recomputed: Int = 0, transcribed: TranscriptionCounts = TranscriptionCounts(),
    _ request: GenerationRequest, _ constraint: Constraint?, _ language: AnswerLanguage, _ onEvent: EventHandler
  ) throws(Failure) -> Int32 {
    let called = Clock.now()
    return try atWork(
      request.terms, appending: prompt.count - held, { $0.append(prompt, from: held) },
      adding: request.maxTokens ?? contextLength
    ) { () throws(Failure) in
      var counts = GenerationEvent.Counts()
      counts.promptTokens = prompt.count
      counts.mediaTokens = prompt.mediaCounts
      counts.transcribedTokens = transcribed.tokens
      counts.transcribedSeconds = transcribed.seconds
      counts.promptReused = held - recomputed
      counts.promptShared = sharedCount
      counts.waitingSeconds = Clock.now() - called
      let format = try engine.text.answerFormat(for: request)
      var generation = try Generation(
        request, after: timeline.textTokens, counts, text: engine.text, format: format, constraint: constraint,
        language: language, calls: try engine.callRule(for: request, format: format, watch(request.terms)),
        vocabularySize: vocabularySize)
      return try answer(&generation) { event in state.callback.run { onEvent(event) } }
    }
  }

  /// Once the first tokens have come, a greedy token allocates nothing. Otherwise there are, a token, the temporary
  /// memory of the sort of candidates and the arrays of log-probabilities, and for penalties a set of tokens that
  /// grows.
  private func answer(_ generation: inout Generation, _ onEvent: EventHandler) throws(Failure) -> Int32 {
    var stop = try readPrompt(&generation, onEvent)
    if stop != 0 { return stop }
    generation.begin()
    if isFull { return end(&generation, .context, onEvent) }
    while true {
      do {
        guard try generation.canGoOn() else { return end(&generation, .stop, onEvent) }
        stop = try accept(try generation.next(logits), onEvent)
        if stop == 0 { stop = tellParts(&generation, onEvent) }
        if stop != 0 { return stop }
        if let reason = generation.finishReason(isFull: isFull) { return end(&generation, reason, onEvent) }
        try ensureLogits(isGenerating: true) { _ in }
      } catch {
        guard error.status == .timedOut, generation.counts.generatedTokens > 0 else { throw error }
        return end(&generation, .time, onEvent)
      }
    }
  }

  /// The last events: what was withheld, and the end.
  private func end(
    _ generation: inout Generation, _ reason: GenerationEvent.FinishReason, _ onEvent: EventHandler
  ) -> Int32 {
    let reason = generation.finish(reason)
    let stop = tellParts(&generation, onEvent)
    return stop != 0 ? stop : onEvent(generation.end(reason))
  }

  private func tellParts(_ generation: inout Generation, _ onEvent: EventHandler) -> Int32 {
    for index in 0..<generation.partCount {
      let stop = onEvent(generation.partEvent(index))
      if stop != 0 { return stop }
    }
    return 0
  }

  /// Evaluates the prompt, with an event after each chunk, and after each portion of its media that a tower has
  /// encoded.
  private func readPrompt(_ generation: inout Generation, _ onEvent: EventHandler) throws(Failure) -> Int32 {
    var stop: Int32 = 0
    let first = timeline.count - generation.counts.promptTokens
    do {
      try ensureLogits { (evaluated) throws(Failure) in
        stop = onEvent(generation.promptEvent(done: evaluated - first))
        if stop != 0 { throw Failure(.cancelled, "the event callback returned \(stop)") }
      }
    } catch {
      if stop == 0 { throw error }
    }
    return stop
  }

  /// Adds the token of `event`, which nobody holds when this returns: the next one writes into the same memory.
  private func accept(_ event: GenerationEvent, _ onEvent: EventHandler) throws(Failure) -> Int32 {
    try append(event.token)
    return onEvent(event)
  }
}
