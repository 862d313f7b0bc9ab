import CDormouse

/// Generates one answer after another in a session and writes them as they come.
struct Answerer {
  let engine: OpenEngine
  let session: OpenSession
  let configuration: String
  let writesJSON: Bool
  /// Whether the last JSON line of an answer has the engine's statistics.
  let tellsStatistics: Bool

  /// - Returns: the whole answer.
  @discardableResult
  func answer(_ prompt: OpenSession.Prompt) throws(CommandFailure) -> String {
    var answer: [UInt8] = []
    var end: EventLine.End?
    let bar = ProgressBar("reading") { "\($0) of \($1) tokens" }
    defer { ProgressBar.clear() }
    try session.interruptible { () throws(CommandFailure) in
      try session.generate(prompt, configuration: configuration) { (event) throws(CommandFailure) in
        if event.kind == DORMOUSE_EVENT_PROMPT {
          // What was in the session before the call took no time.
          bar.show(UInt64(event.prompt_done), of: UInt64(event.prompt_tokens))
        } else {
          ProgressBar.clear()
        }
        answer += event.bytes
        if !writesJSON {
          try Console.write(event.bytes)
        } else if let line = try EventLine.text(event) {
          try Console.write(line: line)
        } else {
          end = EventLine.End(event, answer: String(decoding: answer, as: UTF8.self))
        }
        if Interrupt.shared.isRequested { throw .interrupted }
      }
    }
    if var end {
      // Once the call has returned its own work is in them.
      if tellsStatistics { end.statistics = try engine.statistics() }
      try Console.write(line: JSONDocument.line(end))
    }
    if !writesJSON, answer.last != UInt8(ascii: "\n") { try Console.write([UInt8(ascii: "\n")]) }
    return String(decoding: answer, as: UTF8.self)
  }
}

/// The JSON Lines of an answer; their `text` members make up the answer, which the last line holds in one piece too.
private enum EventLine {
  /// Nil for the last event, which is an `End`.
  static func text(_ event: dormouse_event) throws(CommandFailure) -> String? {
    switch Int(event.kind) {
    case DORMOUSE_EVENT_PROMPT:
      try JSONDocument.line(Prompt(prompt_tokens: event.prompt_tokens, prompt_done: event.prompt_done))
    case DORMOUSE_EVENT_TOKEN:
      try JSONDocument.line(Token(token: event.token, text: String(decoding: event.bytes, as: UTF8.self)))
    default: nil
    }
  }

  private struct Prompt: Encodable {
    var event = "prompt"
    var prompt_tokens: UInt32
    var prompt_done: UInt32
  }

  private struct Token: Encodable {
    var event = "token"
    var token: Int32
    var text: String
  }

  struct End: Encodable {
    var event = "end"
    var text: String
    var answer: String
    var finish_reason: String
    var prompt_tokens: UInt32
    var prompt_reused: UInt32
    var prompt_shared: UInt32
    var generated_tokens: UInt32
    var prompt_seconds: Double
    var generation_seconds: Double
    var waiting_seconds: Double
    var image_tokens: UInt32
    var video_tokens: UInt32
    var audio_tokens: UInt32
    var transcribed_tokens: UInt32
    var transcribed_seconds: Double
    var statistics: JSONValue?

    init(_ event: dormouse_event, answer: String) {
      text = String(decoding: event.bytes, as: UTF8.self)
      self.answer = answer
      finish_reason =
        switch Int(event.finish_reason) {
        case DORMOUSE_FINISH_STOP: "stop"
        case DORMOUSE_FINISH_LENGTH: "length"
        case DORMOUSE_FINISH_TIME: "time"
        default: "context"
        }
      prompt_tokens = event.prompt_tokens
      prompt_reused = event.prompt_reused
      prompt_shared = event.prompt_shared
      generated_tokens = event.generated_tokens
      prompt_seconds = event.prompt_seconds
      generation_seconds = event.generation_seconds
      waiting_seconds = event.waiting_seconds
      image_tokens = event.image_tokens
      video_tokens = event.video_tokens
      audio_tokens = event.audio_tokens
      transcribed_tokens = event.transcribed_tokens
      transcribed_seconds = event.transcribed_seconds
    }
  }
}
