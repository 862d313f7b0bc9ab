import DormouseClient

/// Generates one answer after another in a session and writes them as they come.
struct Answerer {
  let engine: OpenEngine
  let session: OpenSession
  let options: OpenSession.GenerationOptions
  /// Functions that the model may call, as JSON.
  let tools: String?
  /// Of every answer; nil for any.
  let form: AnswerForm?
  let writesJSON: Bool
  /// Whether the last JSON line of an answer has the engine's statistics.
  let tellsStatistics: Bool

  /// - Returns: the whole answer.
  @discardableResult
  func answer(_ prompt: OpenSession.Prompt) throws -> String {
    var answer = ""
    var calls = ToolCalls()
    var isReasoning = false
    var end: EventLine.End?
    let bar = ProgressBar("reading") { "\($0) of \($1) tokens" }
    defer { ProgressBar.clear() }
    try Interrupt.shared.whileCancelling([session]) {
      try session.generate(prompt, options, form: form, tools: tools) { event in
        switch event {
        case .prompt(let done, let total):
          // What was in the session before the call took no time.
          bar.show(UInt64(clamping: done), of: UInt64(clamping: total))
          if writesJSON {
            try Console.write(line: JSONDocument.line(EventLine.Prompt(prompt_tokens: total, prompt_done: done)))
          }
        case .token(let token):
          ProgressBar.clear()
          answer += token.text
          try write(token)
        case .part(let part):
          if part.kind == .content { answer += part.text }
          calls.add(part)
          if isReasoning, part.kind != .reasoning, !writesJSON { Console.writeToError("\n") }
          isReasoning = part.kind == .reasoning
          try write(part)
        case .end(let last):
          ProgressBar.clear()
          answer += last.text
          if writesJSON {
            end = EventLine.End(last, answer: answer, calls: calls.calls)
          } else {
            try Console.write(Array(last.text.utf8))
          }
        }
        if Interrupt.shared.isRequested { throw CommandFailure.interrupted }
      }
    }
    if var end {
      // Once the call has returned its own work is in them.
      if tellsStatistics { end.statistics = try engine.statistics().value }
      try Console.write(line: JSONDocument.line(end))
    }
    if !writesJSON {
      let isOpen = answer.utf8.last != UInt8(ascii: "\n") && !(answer.isEmpty && !calls.calls.isEmpty)
      if isOpen { try Console.write([UInt8(ascii: "\n")]) }
      for call in calls.calls { try Console.write(line: JSONDocument.line(["tool_call": call])) }
    }
    return answer
  }

  private func write(_ token: OpenSession.Token) throws(CommandFailure) {
    if writesJSON {
      try Console.write(line: JSONDocument.line(EventLine.Token(token: token.id, text: token.text)))
    } else {
      try Console.write(Array(token.text.utf8))
    }
  }

  /// Without JSON, the content goes to stdout, and what else a person may want to see meanwhile to stderr; calls are
  /// written when they are whole.
  private func write(_ part: OpenSession.Part) throws(CommandFailure) {
    if writesJSON { return try Console.write(line: JSONDocument.line(EventLine.Part(part))) }
    switch part.kind {
    case .content: try Console.write(Array(part.text.utf8))
    case .reasoning, .brokenCall: Console.writeToError(part.text)
    case .toolName, .toolArguments: break
    }
  }
}

/// The JSON Lines of an answer; their `text` members make up the answer, which the last line holds in one piece too.
private enum EventLine {
  struct Prompt: Encodable {
    var event = "prompt"
    var prompt_tokens: Int
    var prompt_done: Int
  }

  struct Token: Encodable {
    var event = "token"
    var token: Int32
    var text: String
  }

  struct Part: Encodable {
    var event = "part"
    var part: String
    var text: String
    /// Of calls alone.
    var tool_index: Int?
    var tool_id: String?
    var tool_name: String?

    init(_ part: OpenSession.Part) {
      self.part = part.kind.rawValue
      text = part.text
      guard part.kind != .content, part.kind != .reasoning else { return }
      tool_index = part.toolIndex
      if !part.toolName.isEmpty { (tool_id, tool_name) = (part.toolID, part.toolName) }
    }
  }

  struct End: Encodable {
    var event = "end"
    var text: String
    var answer: String
    var tool_calls: [ToolCalls.Call]?
    var finish_reason: String
    var prompt_tokens: Int
    var prompt_reused: Int
    var prompt_shared: Int
    var generated_tokens: Int
    var prompt_seconds: Double
    var generation_seconds: Double
    var waiting_seconds: Double
    var image_tokens: Int
    var video_tokens: Int
    var audio_tokens: Int
    var transcribed_tokens: Int
    var transcribed_seconds: Double
    var consistency_content: Double?
    var consistency_reasoning: Double?
    var statistics: JSONValue?

    init(_ end: OpenSession.End, answer: String, calls: [ToolCalls.Call]) {
      text = end.text
      self.answer = answer
      tool_calls = calls.isEmpty ? nil : calls
      finish_reason = end.finishReason.rawValue
      prompt_tokens = end.promptTokens
      prompt_reused = end.promptReused
      prompt_shared = end.promptShared
      generated_tokens = end.generatedTokens
      prompt_seconds = end.promptSeconds
      generation_seconds = end.generationSeconds
      waiting_seconds = end.waitingSeconds
      image_tokens = end.imageTokens
      video_tokens = end.videoTokens
      audio_tokens = end.audioTokens
      transcribed_tokens = end.transcribedTokens
      transcribed_seconds = end.transcribedSeconds
      consistency_content = end.consistencyContent
      consistency_reasoning = end.consistencyReasoning
    }
  }
}
