import ArgumentParser
import CDormouse

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Answers a prompt, or chats.",
    discussion: """
      With -p the model answers one message; with --messages, a chat from a JSON file; with neither, on a terminal, \
      each line you type. In a chat, Ctrl-C stops an answer, and Ctrl-D ends.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Sampling") var sampling: SamplingOptions

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

  @Option(help: ArgumentHelp("A picture for the prompt (not in this version).", valueName: "file"), completion: .file())
  var image: [String] = []

  @Option(help: ArgumentHelp("A video for the prompt (not in this version).", valueName: "file"), completion: .file())
  var video: [String] = []

  @Option(
    help: ArgumentHelp("A recording for the prompt (not in this version).", valueName: "file"), completion: .file())
  var audio: [String] = []

  func validate() throws {
    if prompt != nil, messages != nil { throw ValidationError("-p and --messages exclude each other.") }
    if raw, prompt == nil { throw ValidationError("--raw needs a text to continue: give it with -p.") }
    if raw, system != nil { throw ValidationError("--raw uses no template, so there is no place for --system.") }
    if parseSpecial, !raw {
      throw ValidationError("--parse-special goes with --raw: a chat's control tokens are its template's.")
    }
    if messages != nil, system != nil {
      throw ValidationError("with --messages, put the system message into the file.")
    }
    if prompt == nil, messages == nil, !Console.isInputATerminal {
      throw ValidationError("there is no prompt: give -p TEXT, -p - for stdin, or --messages FILE.")
    }
  }

  func run() throws {
    guard image.isEmpty, video.isEmpty, audio.isEmpty else {
      throw CommandFailure(message: "this version has no media: it answers text alone, not --image, --video or --audio")
    }
    let configuration = try sampling.configuration()
    let input = try readInput()
    let engine = try OpenEngine(model)
    let session = try OpenSession(engine, OpenSession.settings(model))
    let answerer = Answerer(session: session, configuration: configuration, writesJSON: output.json)
    switch input {
    case .raw(let text):
      let flags = parseSpecial ? DORMOUSE_TOKENIZE_PARSE_SPECIAL : DORMOUSE_TOKENIZE_ADD_SPECIAL
      try answerer.answer(.tokens(try engine.tokenize(text, flags: UInt32(flags))))
    case .messages(let json):
      try answerer.answer(.messages(json))
    case .terminal:
      try Conversation(answerer: answerer, system: system).run()
    }
  }

  private enum Input {
    case raw([UInt8])
    case messages(String)
    case terminal
  }

  /// Reads what the user gives before the weights are loaded: a missing file shows at once.
  private func readInput() throws(CommandFailure) -> Input {
    if let messages { return .messages(String(decoding: try Console.readFile(messages), as: UTF8.self)) }
    guard let prompt else { return .terminal }
    var text = prompt == "-" ? try Console.readInput() : Array(prompt.utf8)
    if raw { return .raw(text) }
    if prompt == "-", text.last == UInt8(ascii: "\n") { text.removeLast() }
    let messages =
      Message.start(system: system) + [Message(role: "user", content: String(decoding: text, as: UTF8.self))]
    return .messages(try JSONDocument.line(messages))
  }
}

/// How tokens are chosen; what is not given comes from the model's generation_config.json.
struct SamplingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Most tokens to generate.", valueName: "n"))
  var maxTokens: UInt32?

  @Option(help: ArgumentHelp("0 takes the most probable token.", valueName: "t"))
  var temperature: Double?

  @Option(help: ArgumentHelp("Choose among the most probable tokens that sum up to this.", valueName: "p"))
  var topP: Double?

  @Option(help: ArgumentHelp("Choose among this many tokens; 0 is off.", valueName: "k"))
  var topK: UInt32?

  @Option(help: ArgumentHelp("Choose among tokens at least this probable beside the best.", valueName: "p"))
  var minP: Double?

  @Option(help: ArgumentHelp("Same seed, same text.", valueName: "s"))
  var seed: Int?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("End before this text; may be given several times.", valueName: "text"))
  var stop: [String] = []

  func validate() throws {
    if maxTokens == 0 { throw ValidationError("--max-tokens must be at least 1.") }
    try check("--temperature", temperature, 0...100)
    try check("--top-p", topP, 0...1)
    if topP == 0 { throw ValidationError("--top-p must be above 0.") }
    try check("--min-p", minP, 0...1)
    if stop.contains("") { throw ValidationError("--stop must not be empty.") }
  }

  private func check(_ name: String, _ value: Double?, _ range: ClosedRange<Double>) throws {
    guard let value, !range.contains(value) else { return }
    throw ValidationError("\(name) must be \(Int(range.lowerBound)) to \(Int(range.upperBound)).")
  }

  /// The JSON that dormouse_session_generate takes.
  func configuration() throws(CommandFailure) -> String {
    try JSONDocument.line(
      Configuration(
        max_tokens: maxTokens, temperature: temperature, top_p: topP, top_k: topK, min_p: minP, seed: seed,
        stop: stop.isEmpty ? nil : stop))
  }

  /// The members have the names of the document.
  private struct Configuration: Encodable {
    var max_tokens: UInt32?
    var temperature: Double?
    var top_p: Double?
    var top_k: UInt32?
    var min_p: Double?
    var seed: Int?
    var stop: [String]?
  }
}
