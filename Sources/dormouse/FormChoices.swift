import ArgumentParser
import DormouseClient

/// The form that answers of `run` have.
struct FormChoices: ParsableArguments {
  @Option(
    help: ArgumentHelp("Answer with JSON that this schema allows; - reads it from stdin.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var jsonSchema: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Answer with a text that this regular expression matches as a whole.", valueName: "pattern"))
  var regex: String?

  @Option(
    help: ArgumentHelp(
      "Answer with a text of this grammar in GBNF, llama.cpp's notation; - reads it from stdin.", valueName: "file"),
    completion: .file(extensions: ["gbnf"]))
  var grammar: String?

  func validate() throws {
    guard [jsonSchema, regex, grammar].count(where: { $0 != nil }) <= 1 else {
      throw ValidationError("--json-schema, --regex and --grammar exclude each other.")
    }
  }

  var readsInput: Bool { jsonSchema == "-" || grammar == "-" }

  /// Reads what the options name; nil where none is given.
  func read() throws(CommandFailure) -> AnswerForm? {
    if let jsonSchema {
      let bytes = try Console.readFile(jsonSchema)
      // It becomes a part of a larger document, so it has to be one by itself.
      _ = try JSONDocument.read(JSONValue.self, bytes, name: name(of: jsonSchema))
      return .jsonSchema(String(decoding: bytes, as: UTF8.self))
    }
    if let grammar { return .grammar(String(decoding: try Console.readFile(grammar), as: UTF8.self)) }
    return regex.map { .regex($0) }
  }

  /// Looks before the first answer whether the model can be held to the form.
  func check(_ form: AnswerForm, _ engine: OpenEngine) throws {
    do {
      try engine.check(form)
    } catch {
      throw CommandFailure(message: sentence(error.message))
    }
  }

  /// The library's sentence, with the file or option in place of the member that it does not know came from there.
  private func sentence(_ message: String) -> String {
    let places = [
      ("json_schema", jsonSchema.map(name)), ("regex", regex.map { _ in "--regex" }), ("grammar", grammar.map(name)),
    ]
    for case (let member, let name?) in places {
      for place in ["config_json: \(member): ", "config_json: "] where message.hasPrefix(place) {
        return "\(name): \(message.dropFirst(place.count))"
      }
      return "\(name): \(message)"
    }
    return message
  }

  private func name(of path: String) -> String { path == "-" ? "stdin" : path }
}
