internal import DormouseSupport

/// The last message of a chat, which the model is to go on with: a mark at its end tells where in the rendered prompt
/// to cut off what the template writes behind it (`continue_final_message` of transformers 5.23).
struct ContinuedMessage {
  /// The space tells whether the template keeps the white space at the end of a message.
  private static let mark = "CONTINUE_FINAL_MESSAGE_TAG "

  /// With the mark in the last of them.
  let messages: [JSON]
  private let final: TemplateText

  /// - Parameter field: the member of the last message that stays open.
  /// - Throws: `Failure(.invalidArgument)` when there is no such text, or the template does not read it.
  init(_ field: String, of messages: [JSON], template: ChatTemplate) throws(Failure) {
    guard var message = messages.last?.objectValue, let value = message[field], !value.isNull else {
      throw ContinuedMessage.failure("the final message has no \(Excerpt.name(field)) to continue")
    }
    var names = [field]
    // Reasoning stands under several names; the template may read any of them.
    if Reasoning.fields.contains(field) { names = Reasoning.fields.filter { message[$0] == value } }
    guard names.contains(where: template.mentions) else {
      throw ContinuedMessage.failure("\(template.file) does not read \(Excerpt.name(field)) of a message")
    }
    if let parts = value.arrayValue {
      let (marked, text) = try ContinuedMessage.marked(parts)
      message[field] = .array(marked)
      final = TemplateText(text, isMarkup: false)
    } else if let text = value.stringValue {
      for name in names { message[name] = .string(text + ContinuedMessage.mark) }
      final = TemplateText(text, isMarkup: false)
    } else {
      throw ContinuedMessage.failure("\(Excerpt.name(field)) of the final message is \(value.typeName), not a string")
    }
    self.messages = messages.dropLast() + [.object(message)]
  }

  /// The parts with the mark behind the last text among them, and that text.
  private static func marked(_ parts: [JSON]) throws(Failure) -> ([JSON], String) {
    guard let index = parts.lastIndex(where: { $0["text"]?.stringValue != nil }),
      var part = parts[index].objectValue, let text = part["text"]?.stringValue
    else { throw failure("the final message has no text to continue") }
    var result = parts
    part["text"] = .string(text + mark)
    result[index] = .object(part)
    return (result, text)
  }

  /// The rendered prompt up to the end of the message.
  /// - Throws: `Failure(.invalidArgument)` when the template has dropped the message or a part of it.
  func cut(_ prompt: TemplateText) throws(Failure) -> TemplateText {
    let mark = TemplateText(ContinuedMessage.mark, isMarkup: false)
    let wanted = final.stripped(left: true, right: true) { $0.isPythonSpace }
    guard prompt.firstIndex(of: wanted, from: 0) != nil,
      let place = prompt.lastIndex(of: mark.slice(0..<mark.count - 1))
    else {
      throw ContinuedMessage.failure(
        "the final message does not appear as it is in the prompt that the chat template makes")
    }
    let result = prompt.slice(0..<place)
    if prompt.dropFirst(place).hasPrefix(mark) { return result }
    return result.stripped(left: false, right: true) { $0.isPythonSpace }
  }

  private static func failure(_ sentence: String) -> Failure {
    Failure(.invalidArgument, "continue_final_message: \(sentence)")
  }
}
