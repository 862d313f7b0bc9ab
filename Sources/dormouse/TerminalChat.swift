import DormouseClient

/// What a chat on a terminal says of its model.
struct ChatFacts {
  let name: String
  let modelType: String
  /// Tokens that a session takes.
  let context: UInt64?
  /// Kinds of files that go with a message.
  let kinds: [MediaChoices.Kind]

  init(_ engine: OpenEngine, _ options: ModelOptions, speechModel: String?) throws {
    let info = try engine.info()
    let path = info["path"]?.string ?? options.model
    name = path.split(separator: "/").last.map(String.init) ?? path
    modelType = info["model_type"]?.string ?? ""
    // The library's own default is the model's maximum, but at most 4096.
    context = options.context.map(UInt64.init) ?? info["context_length"]?.integer.map { min($0, 4096) }
    let modalities = info["modalities"]?.strings ?? []
    kinds = MediaChoices.Kind.allCases.filter { kind in
      modalities.contains(kind.rawValue) || (kind == .audio && speechModel != nil)
    }
  }
}

/// A chat on a terminal: what is typed is a message or, with a slash, a command. Prompts, the banner and answers to
/// commands go to stderr, the model's answers to stdout.
struct TerminalChat {
  private var conversation: Conversation
  private let facts: ChatFacts
  private let editor = LineEditor()

  init(_ conversation: Conversation, _ facts: ChatFacts) {
    self.conversation = conversation
    self.facts = facts
  }

  /// Answers message after message, until the end of input or /exit. What fails is told, and the chat goes on.
  mutating func run(afterAnswer: ([Message]) throws -> Void) throws {
    if Console.isErrorATerminal { begin() }
    while let entry = TypedEntry.read(editor, prompt: "> ") {
      do {
        switch entry {
        case .command(let name, let argument):
          guard try perform(name, argument) else { return }
        case .message(let text):
          if text.allSatisfy(\.isWhitespace) { continue }
          try conversation.answer(text)
          try afterAnswer(conversation.messages)
        }
      } catch {
        guard let failure = CommandFailure(error), !failure.endsChat else { throw error }
        if failure.exitStatus == ExitStatus.interrupted {
          // An answer cut short is forgotten with its question.
          Interrupt.shared.reset()
          Console.writeToError("\n")
        } else {
          Console.message("dormouse: " + failure.message)
        }
      }
    }
    Console.writeToError("\n")
  }

  /// A line about the model, and where a chat goes on, its last turn.
  private func begin() {
    let context = facts.context.map { ", a context of \(Units.grouped($0)) tokens" } ?? ""
    Console.message("\(facts.name) (\(facts.modelType))\(context). /help lists commands; Ctrl-D ends.")
    let messages = conversation.messages
    for message in messages where message.role == "user" {
      for line in message.text.split(separator: "\n") { editor.remember(String(line)) }
    }
    guard let question = messages.lastIndex(where: { $0.role == "user" }) else { return }
    if question > 0 { Console.message("(\(question) earlier \(question == 1 ? "message" : "messages"))") }
    for message in messages[question...] {
      Console.message((message.role == "user" ? "> " : "") + (message.paths + [message.text]).joined(separator: "\n"))
    }
  }

  private static let end = ["exit", "quit", "bye"]

  /// - Returns: whether the chat goes on.
  private mutating func perform(_ name: String, _ argument: String) throws(CommandFailure) -> Bool {
    if let kind = MediaChoices.Kind(rawValue: name) {
      try attach(kind, argument)
    } else if TerminalChat.end.contains(name) {
      return false
    } else if name == "clear" {
      conversation.clear()
    } else if name == "save" {
      try save(argument)
    } else if name == "help" {
      Console.message(help)
    } else {
      throw CommandFailure(
        message: "no such command '/\(name)'; /help lists them, and a message that begins with / is typed with //")
    }
    return true
  }

  private mutating func attach(_ kind: MediaChoices.Kind, _ argument: String) throws(CommandFailure) {
    let name = kind.rawValue
    guard facts.kinds.contains(kind) else {
      let kinds = (["text"] + facts.kinds.map(\.rawValue)).joined(separator: ", ")
      throw CommandFailure(message: "\(facts.name) does not take \(name): it takes \(kinds)")
    }
    guard !argument.isEmpty else { throw CommandFailure(message: "/\(name) needs a file: /\(name) FILE") }
    conversation.attach(MediaChoices.File(kind: kind, path: try FilePath.absolute(TypedEntry.path(argument))))
  }

  private func save(_ argument: String) throws(CommandFailure) {
    guard !argument.isEmpty else { throw CommandFailure(message: "/save needs a file: /save FILE") }
    let file = try ReplacedFile(TypedEntry.path(argument))
    try file.write(JSONDocument.line(conversation.messages) + "\n")
    try file.finish()
  }

  private var help: String {
    var table = Table()
    for kind in facts.kinds {
      table.add("/\(kind.rawValue) FILE", "puts \(kind.words) ahead of the next message")
    }
    table.add("/save FILE", "writes the messages to a file, which --messages takes")
    table.add("/clear", "begins a new chat")
    table.add("/exit", "ends, as Ctrl-D does")
    table.add("/help", "lists these commands")
    table.add("...\\", "a line that ends in a backslash goes on in the next")
    table.add("\"\"\"", "begins a message of several lines, and ends it")
    table.add("//...", "a message that begins with a slash")
    table.add("Ctrl-C", "stops an answer")
    return table.text
  }
}
