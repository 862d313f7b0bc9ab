import ArgumentParser
import DormouseClient

/// What an answer's parts are to be: reasoning, and calls of tools.
struct AnswerChoices: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Let the model reason before it answers: true, false, or a number of tokens at most. What it thinks goes to stderr.",
      valueName: "on"))
  var thinking: String?

  @Option(
    help: ArgumentHelp(
      "A JSON array of functions that the model may call; - reads stdin. Calls come out as JSON Lines.",
      valueName: "file"),
    completion: .file(extensions: ["json"]))
  var tools: String?

  @Option(
    help: ArgumentHelp(
      "Keep the answer to letters of these scripts, by Unicode's names with commas between them.", valueName: "scripts")
  )
  var scripts: String?

  @Option(
    help: ArgumentHelp(
      "Keep the answer to the scripts of a language, such as en or zh, or to those of the question: same.",
      valueName: "language"))
  var answerLanguage: String?

  func validate() throws {
    if scripts != nil, answerLanguage != nil {
      throw ValidationError("--scripts and --answer-language exclude each other.")
    }
    if let thinking, Thinking(thinking) == nil {
      throw ValidationError("--thinking \(thinking): expected true, false or a number of tokens.")
    }
  }

  func apply(to options: inout OpenSession.GenerationOptions) {
    options.thinking = thinking.flatMap { Thinking($0)?.value }
    if let scripts {
      options.language = OpenSession.Language(scripts: scripts.split(separator: ",").map(String.init))
    } else if let answerLanguage {
      options.language = OpenSession.Language(answer: answerLanguage)
    }
  }

  /// The functions, as they were written.
  func readTools() throws(CommandFailure) -> String? {
    guard let tools else { return nil }
    let bytes = try Console.readFile(tools)
    _ = try JSONDocument.read([JSONValue].self, bytes, name: tools == "-" ? "stdin" : tools)
    return String(decoding: bytes, as: UTF8.self)
  }

  private struct Thinking {
    let value: OpenSession.Thinking

    init?(_ text: String) {
      switch text {
      case "true": value = .on
      case "false": value = .off
      default:
        guard let tokens = Int32(text), tokens >= 0 else { return nil }
        value = .budget(Int(tokens))
      }
    }
  }
}

/// The calls of an answer, put together from its parts.
struct ToolCalls {
  /// One of them, as a JSON line has it.
  struct Call: Encodable {
    var id: String
    var name: String
    /// As the model wrote it, an object in JSON.
    var arguments = ""
  }

  private(set) var calls: [Call] = []

  /// Takes a part; those that belong to no call do nothing, and a call that turns out broken is none.
  mutating func add(_ part: OpenSession.Part) {
    switch part.kind {
    case .content, .reasoning: return
    case .toolName: calls.append(Call(id: part.toolID, name: part.toolName))
    case .toolArguments: if !calls.isEmpty { calls[calls.count - 1].arguments += part.text }
    case .brokenCall: if !part.toolName.isEmpty { _ = calls.popLast() }
    }
  }
}
