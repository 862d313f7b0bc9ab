/// A chat that goes on message by message.
struct Conversation {
  let answerer: Answerer
  private let template: TemplateChoices
  /// What was said so far.
  private(set) var messages: [Message]
  /// What goes with the next message.
  private var files: [MediaChoices.File]

  init(answerer: Answerer, template: TemplateChoices, messages: [Message], files: [MediaChoices.File]) {
    self.answerer = answerer
    self.template = template
    self.messages = messages
    self.files = files
  }

  /// Answers a message. One whose answer fails is forgotten with its files, which may be the reason; those of one that
  /// is interrupted wait for the next.
  mutating func answer(_ text: String) throws {
    let attached = files
    files = []
    let question = messages + [Message(role: "user", text: text, files: attached)]
    do {
      let document = try template.document(try JSONDocument.line(question), name: "the chat")
      let answer = try answerer.answer(.messages(document))
      messages = question + [Message(role: "assistant", text: answer)]
    } catch {
      if CommandFailure(error)?.exitStatus == ExitStatus.interrupted { files = attached }
      throw error
    }
  }

  /// Adds a file to the next message.
  mutating func attach(_ file: MediaChoices.File) { files.append(file) }

  /// Begins anew; instructions at the beginning stay.
  mutating func clear() {
    messages = Array(messages.prefix { $0.role == "system" })
    files = []
  }
}
