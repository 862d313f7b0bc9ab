/// One message of a chat.
struct Message: Encodable {
  var role: String
  var content: String

  static func start(system: String?) -> [Message] {
    system.map { [Message(role: "system", content: $0)] } ?? []
  }
}

/// A chat on a terminal: each line is a message, until the end of input.
struct Conversation {
  let answerer: Answerer
  let system: String?

  func run() throws(CommandFailure) {
    var messages = Message.start(system: system)
    while let line = nextLine() {
      if line.allSatisfy(\.isWhitespace) { continue }
      messages.append(Message(role: "user", content: line))
      do {
        let answer = try answerer.answer(.messages(try JSONDocument.line(messages)))
        messages.append(Message(role: "assistant", content: answer))
      } catch  where error.exitStatus == ExitStatus.interrupted {
        // An answer cut short is forgotten with its question; the chat goes on.
        Interrupt.shared.reset()
        messages.removeLast()
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
