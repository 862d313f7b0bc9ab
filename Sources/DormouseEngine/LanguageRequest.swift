import DormouseSupport
import DormouseText

/// What a config says of the scripts that an answer is written in.
struct LanguageRequest: Sendable, Equatable {
  enum Choice: Sendable, Equatable {
    case scripts([String])
    /// Those of the last message of the user.
    case same
  }

  var choice: Choice
  /// Content, reasoning, or both.
  var parts: Set<AnswerPart> = [.content]

  /// - Throws: `Failure(.invalidArgument)` for a language, a script or a part that is unknown.
  static func read(_ fields: JSONFields) throws(Failure) -> LanguageRequest? {
    guard let language = try fields.fields("language") else { return nil }
    try language.refuseMembers(besides: ["scripts", "answer", "parts"])
    guard language.has("scripts") != language.has("answer") else {
      throw Failure(.invalidArgument, "\(fields.file): language needs one of scripts and answer")
    }
    var request = LanguageRequest(choice: try readChoice(language))
    guard let parts = try language.optionalArray("parts") else { return request }
    request.parts = []
    for part in parts {
      switch part.stringValue {
      case "content": request.parts.insert(.content)
      case "reasoning": request.parts.insert(.reasoning)
      default: throw language.wrong("parts", part, expected: "content and reasoning")
      }
    }
    return request
  }

  private static func readChoice(_ language: JSONFields) throws(Failure) -> Choice {
    if let answer = try language.optionalString("answer") {
      if answer == "same" { return .same }
      guard let scripts = WritingScripts.scripts(ofLanguage: answer) else {
        throw language.wrong(
          "answer", .string(answer),
          expected: "same, or one of \(WritingScripts.languageCodes.joined(separator: ", "))")
      }
      return .scripts(scripts)
    }
    var scripts: [String] = []
    for value in try language.optionalArray("scripts") ?? [] {
      guard let script = value.stringValue, WritingScripts.names.contains(script) else {
        throw language.wrong("scripts", value, expected: WritingScripts.names.joined(separator: ", "))
      }
      scripts.append(script)
    }
    guard !scripts.isEmpty else {
      throw Failure(.invalidArgument, "\(language.file): \(language.path)scripts is empty")
    }
    return .scripts(scripts)
  }
}

extension ChatRequest {
  /// The text of the last message of the user, where there is one.
  var lastUserText: String? {
    guard let message = messages.arrayValue?.last(where: { $0["role"]?.stringValue == "user" }) else { return nil }
    if let text = message["content"]?.stringValue { return text }
    return message["content"]?.arrayValue?.compactMap { $0["text"]?.stringValue }.joined(separator: "\n")
  }
}
