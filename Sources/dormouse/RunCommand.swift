import ArgumentParser
import DormouseClient

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Answers a prompt, or chats.",
    discussion: """
      With a prompt, given here, with -p or through a pipe, the model answers one message; with --messages, a chat from \
      a JSON file; with neither, on a terminal, what you type. In a chat, /help lists commands, Ctrl-C stops an answer, \
      and Ctrl-D ends. With --session a chat goes on over several runs; its messages stand beside the file, in \
      FILE.messages.json.
      """)

  @OptionGroup var model: ModelOptions

  @Argument(help: ArgumentHelp("What to answer; as -p.", valueName: "prompt"))
  var words: String?

  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Sampling") var sampling: SamplingOptions
  @OptionGroup(title: "Form of the answer") var form: FormChoices
  @OptionGroup(title: "Session") var choices: SessionChoices
  @OptionGroup(title: "Template") var template: TemplateChoices
  @OptionGroup(title: "Answer") var parts: AnswerChoices

  @Option(
    name: [.short, .customLong("prompt")], parsing: .unconditional,
    help: ArgumentHelp(
      "What to answer; - reads stdin and, but for --raw, drops its last line break.", valueName: "text"))
  var prompt: String?

  @Option(
    help: ArgumentHelp("A JSON file of messages; - reads stdin.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var messages: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Instructions ahead of the chat.", valueName: "text"))
  var system: String?

  @Flag(help: "Continue the text of -p as it is, with no template.")
  var raw = false

  @Flag(help: "With --raw: take control tokens written in the text as such, and add none.")
  var parseSpecial = false

  @OptionGroup(title: "Media") var media: MediaChoices

  func validate() throws {
    if [words, prompt, messages].count(where: { $0 != nil }) > 1 {
      throw ValidationError("a prompt, -p and --messages exclude each other.")
    }
    if raw, messages != nil || (given == nil && Console.isInputATerminal) {
      throw ValidationError("--raw needs a text to continue: give it with -p.")
    }
    if !media.isEmpty, raw || messages != nil {
      throw ValidationError(
        "--image, --video and --audio go with -p or a chat: --raw has no place for them, and --messages names its own.")
    }
    if raw, !template.templateVariable.isEmpty {
      throw ValidationError("--raw uses no template, so there is no place for --template-variable.")
    }
    if raw, system != nil { throw ValidationError("--raw uses no template, so there is no place for --system.") }
    if parseSpecial, !raw {
      throw ValidationError("--parse-special goes with --raw: a chat's control tokens are its template's.")
    }
    let isTyped = given == nil && messages == nil && Console.isInputATerminal
    if parts.tools != nil, raw || choices.session != nil || isTyped {
      throw ValidationError(
        "--tools goes with one prompt or --messages: the results of calls come back in messages of the role tool.")
    }
    let promptIsRead = (messages ?? given ?? "-") == "-"
    if parts.tools == "-", promptIsRead || form.readsInput {
      throw ValidationError("stdin can be read once: give --tools or what else is read from it in a file.")
    }
    if form.readsInput, promptIsRead {
      throw ValidationError("stdin has the schema or grammar: give a prompt, -p TEXT or --messages FILE.")
    }
    if messages != nil, system != nil {
      throw ValidationError("with --messages, put the system message into the file.")
    }
  }

  /// The prompt on the command line.
  private var given: String? { prompt ?? words }

  func run() throws {
    let tools = try parts.readTools()
    let form = try self.form.read()
    let input = try readInput()
    let files = try media.files()
    let saved = try choices.session.map { path throws(CommandFailure) in try SavedSession(path) }
    let messages =
      input.isChat ? try saved?.start(system: system) ?? Message.start(system: system) : []
    let paths = messages.flatMap(\.paths) + files.map(\.path)
    let engine = try model.open(
      media: try media.options(paths: paths, messages: self.messages, allowsEveryFolder: input.isTyped))
    if let form { try self.form.check(form, engine) }
    var settings = model.session
    choices.apply(to: &settings)
    let session = try OpenSession(engine, settings)
    try saved?.restore(session)
    var options = sampling.options(timeLimit: choices.timeLimit)
    parts.apply(to: &options)
    let answerer = Answerer(
      engine: engine, session: session, options: options, tools: tools, form: form, writesJSON: output.json,
      tellsStatistics: choices.statistics)
    let conversation = Conversation(answerer: answerer, template: template, messages: messages, files: files)
    try answer(input, conversation) { try saved?.save(session, $0) }
    if choices.statistics, !output.json { Console.message(try Statistics.table(engine.statistics()).text) }
  }

  /// - Parameter save: keeps the session, with the messages of the chat if there was one that can be gone on with. On a
  ///   terminal it is kept after each answer, since Ctrl-C may be the end.
  private func answer(
    _ input: Input, _ conversation: Conversation, save: ([Message]?) throws -> Void
  ) throws {
    var conversation = conversation
    let answerer = conversation.answerer
    switch input {
    case .raw(let text):
      let isFirst = try answerer.session.length() == 0
      try answerer.answer(
        .tokens(
          try answerer.engine.tokenize(text, addsSpecial: isFirst && !parseSpecial, parsesSpecial: parseSpecial)))
      try save(nil)
    case .messages(let json):
      try answerer.answer(.messages(json))
      try save(nil)
    case .message(let text):
      try conversation.answer(text)
      try save(conversation.messages)
    case .terminal:
      let facts = try ChatFacts(answerer.engine, model, speechModel: media.speechModel)
      var chat = TerminalChat(conversation, facts)
      try chat.run(afterAnswer: save)
    }
  }

  private enum Input {
    case raw([UInt8])
    case messages(String)
    case message(String)
    case terminal

    /// Whether the messages are kept here, and not by the user.
    var isChat: Bool {
      switch self {
      case .raw, .messages: false
      case .message, .terminal: true
      }
    }

    /// Whether all that is said comes from the keyboard.
    var isTyped: Bool { if case .terminal = self { true } else { false } }
  }

  /// Reads what the user gives before the weights are loaded: a missing file shows at once.
  private func readInput() throws(CommandFailure) -> Input {
    if let messages {
      let text = String(decoding: try Console.readFile(messages), as: UTF8.self)
      return .messages(try template.document(text, name: messages))
    }
    if given == nil, Console.isInputATerminal { return .terminal }
    let isRead = given == nil || given == "-"
    var text = isRead ? try Console.readInput() : Array((given ?? "").utf8)
    if given == nil, text.allSatisfy({ $0 <= UInt8(ascii: " ") }) {
      throw .wrongUsage(
        "there is no prompt: give one on the command line or through a pipe, or messages with --messages FILE.",
        of: RunCommand.self)
    }
    if raw { return .raw(text) }
    if isRead, text.last == UInt8(ascii: "\n") { text.removeLast() }
    return .message(String(decoding: text, as: UTF8.self))
  }
}
