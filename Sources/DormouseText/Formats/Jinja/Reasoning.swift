internal import DormouseSupport

/// A message's reasoning, under the names that templates have for it.
enum Reasoning {
  /// The name that templates read.
  static let standardField = "reasoning_content"
  /// All names, the first of which counts (`_REASONING_FIELDS` of transformers 5.23).
  static let fields = [standardField, "thinking", "reasoning"]

  /// The message with its reasoning as `reasoning_content`, and as `thinking` where it has none
  /// (`_alias_reasoning_fields`).
  static func fillFields(_ message: JSON) -> JSON {
    guard let members = message.objectValue, let reasoning = value(of: members) else { return message }
    var result = JSONObject(["thinking": reasoning])
    for (key, value) in members where key != "thinking" || !value.isNull { result[key] = value }
    result[standardField] = reasoning
    return .object(result)
  }

  private static func value(of members: JSONObject) -> JSON? {
    for field in fields {
      if let value = members[field], !value.isNull { return value }
    }
    return nil
  }

  /// An assistant's message whose content begins with `<think>...</think>`, as models write it, with that part as
  /// `reasoning_content`. Line feeds at the borders go, as the published templates have it that split themselves.
  static func splitContent(_ message: JSON) -> JSON {
    guard var members = message.objectValue, members["role"]?.stringValue == "assistant", value(of: members) == nil,
      let content = members["content"]?.stringValue
    else { return message }
    let text = TemplateText(content, isMarkup: false)
    let body = text.stripped(left: true, right: false) { $0.isPythonSpace }
    guard body.hasPrefix(opening), let end = body.firstIndex(of: closing, from: opening.count) else { return message }
    let reasoning = body.slice(opening.count..<end).stripped(left: true, right: true) { $0 == "\n" }
    let answer = body.dropFirst(end + closing.count).stripped(left: true, right: false) { $0 == "\n" }
    members["content"] = .string(answer.string)
    members[standardField] = .string(reasoning.string)
    return .object(members)
  }

  private static let opening = TemplateText("<think>", isMarkup: false)
  private static let closing = TemplateText("</think>", isMarkup: false)
}
