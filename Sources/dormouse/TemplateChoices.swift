import ArgumentParser
import DormouseClient

/// What `run` hands to the chat template besides the messages.
struct TemplateChoices: ParsableArguments {
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Set a variable of the model's chat template, such as thinking=true; may be given several times.",
      valueName: "name=json"))
  var templateVariable: [String] = []

  func validate() throws {
    var names: Set<String> = []
    for argument in templateVariable {
      let variable = try TemplateVariable(argument)
      guard names.insert(variable.name).inserted else {
        throw ValidationError("--template-variable gives \(variable.name) twice.")
      }
    }
  }

  /// The document of messages with the variables in it.
  /// - Parameters:
  ///   - messages: an array of messages, or an object that holds them, as JSON.
  ///   - name: what the document is, for messages.
  func document(_ messages: String, name: String) throws(CommandFailure) -> String {
    let variables = templateVariable.compactMap { try? TemplateVariable($0) }
    guard !variables.isEmpty, let start = messages.firstIndex(where: { !$0.isWhitespace }) else { return messages }
    // Put in as text, so that the messages stay as they were written: the order of members, and every digit.
    let member = "\"template_variables\":{" + variables.map { "\"\($0.name)\":\($0.json)" }.joined(separator: ",") + "}"
    switch messages[start] {
    case "[": return "{\(member),\"messages\":\(messages)}"
    case "{":
      // A document that cannot be read is the library's to refuse.
      guard let members = try? JSONDocument.read([String: Anything].self, Array(messages.utf8), name: name) else {
        return messages
      }
      guard members["template_variables"] == nil else {
        throw CommandFailure(
          message:
            "\(name) has template_variables of its own, so --template-variable has no place: put all of them there",
          exitStatus: ExitStatus.wrongUsage)
      }
      return "{\(member)" + (members.isEmpty ? "" : ",") + messages[messages.index(after: start)...]
    default: return messages
    }
  }

  /// A value whose content does not matter.
  private struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
  }
}

/// One `NAME=JSON`.
private struct TemplateVariable {
  let name: String
  /// The value as it was written.
  let json: String

  init(_ argument: String) throws {
    guard let sign = argument.firstIndex(of: "=") else {
      throw ValidationError("--template-variable \(argument): expected NAME=JSON.")
    }
    name = String(argument[..<sign])
    json = String(argument[argument.index(after: sign)...])
    guard let first = name.utf8.first, !(0x30...0x39).contains(first), name.utf8.allSatisfy(TemplateVariable.isNameByte)
    else {
      throw ValidationError("--template-variable \(argument): a name has letters, digits and _, and no digit first.")
    }
    guard (try? JSONDocument.read(JSONValue.self, Array(json.utf8), name: name)) != nil else {
      throw ValidationError(
        "--template-variable \(argument): the value is not JSON; a text stands in double quotes, as in \(name)='\"a\"'."
      )
    }
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
  }
}
