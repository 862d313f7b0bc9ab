/// A chat that goes on message by message.
struct Conversation {
  let answerer: Answerer
  /// What was said so far.
  private(set) var messages: [Message]
  /// What goes with the next message.
  private var files: [MediaChoices.File]

  init(answerer: Answerer, messages: [Message], files: [MediaChoices.File]) {
    self.answerer = answerer
    self.messages = messages
    self.files = files
  }

  /// Answers a message. One whose answer fails is forgotten.
  mutating func answer(_ text: String) throws(CommandFailure) {
    let question = messages + [Message(role: "user", text: text, files: files)]
    let answer = try answerer.answer(.messages(try JSONDocument.line(question)))
    messages = question + [Message(role: "assistant", text: answer)]
    files = []
  }

  /// On a terminal: each line is a message, until the end of input.
  mutating func run(afterAnswer: ([Message]) throws(CommandFailure) -> Void) throws(CommandFailure) {
    while let line = nextLine() {
      if line.allSatisfy(\.isWhitespace) { continue }
      do {
        try answer(line)
        try afterAnswer(messages)
      } catch  where error.exitStatus == ExitStatus.interrupted {
        // An answer cut short is forgotten with its question; the chat goes on.
        Interrupt.shared.reset()
        Console.writeToError("\n")
      }
    }
    Console.writeToError("\n")
  }

  private func nextLine() -> String? {
    Console.writeToError("> ")
    return readLine()
  }
}
