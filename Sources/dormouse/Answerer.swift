import CDormouse

/// Generates one answer after another in a session and writes them as they come.
struct Answerer {
  let session: OpenSession
  let configuration: String
  let writesJSON: Bool

  /// - Returns: the whole answer.
  @discardableResult
  func answer(_ prompt: OpenSession.Prompt) throws(CommandFailure) -> String {
    var answer: [UInt8] = []
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
        try write(event, answer)
        if Interrupt.shared.isRequested { throw .interrupted }
      }
    }
    if !writesJSON, answer.last != UInt8(ascii: "\n") { try Console.write([UInt8(ascii: "\n")]) }
    return String(decoding: answer, as: UTF8.self)
  }

  private func write(_ event: dormouse_event, _ answer: [UInt8]) throws(CommandFailure) {
    if writesJSON {
      try Console.write(line: EventLine.text(event, answer))
    } else {
      try Console.write(event.bytes)
    }
  }
}

/// The JSON Lines of an answer; their `text` members make up the answer, which the last line holds in one piece too.
private enum EventLine {
  static func text(_ event: dormouse_event, _ answer: [UInt8]) throws(CommandFailure) -> String {
    switch Int(event.kind) {
    case DORMOUSE_EVENT_PROMPT:
      try JSONDocument.line(Prompt(prompt_tokens: event.prompt_tokens, prompt_done: event.prompt_done))
    case DORMOUSE_EVENT_TOKEN:
      try JSONDocument.line(Token(token: event.token, text: String(decoding: event.bytes, as: UTF8.self)))
    default:
      try JSONDocument.line(End(event, answer: String(decoding: answer, as: UTF8.self)))
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

  private struct End: Encodable {
    var event = "end"
    var text: String
    var answer: String
    var finish_reason: String
    var prompt_tokens: UInt32
    var prompt_reused: UInt32
    var generated_tokens: UInt32
    var prompt_seconds: Double
    var generation_seconds: Double

    init(_ event: dormouse_event, answer: String) {
      text = String(decoding: event.bytes, as: UTF8.self)
      self.answer = answer
      finish_reason =
        switch Int(event.finish_reason) {
        case DORMOUSE_FINISH_STOP: "stop"
        case DORMOUSE_FINISH_LENGTH: "length"
        default: "context"
        }
      prompt_tokens = event.prompt_tokens
      prompt_reused = event.prompt_reused
      generated_tokens = event.generated_tokens
      prompt_seconds = event.prompt_seconds
      generation_seconds = event.generation_seconds
    }
  }
}
