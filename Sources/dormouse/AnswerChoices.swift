import ArgumentParser
import DormouseClient

/// What may stand in an answer: reasoning, calls of tools, letters of some scripts.
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
