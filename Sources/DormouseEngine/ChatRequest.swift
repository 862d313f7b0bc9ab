import DormouseSupport

/// The messages of a chat and what goes with them into the template.
struct ChatRequest {
  var messages: JSON
  /// The images, videos and audio among them, in order.
  var mediaParts: [MediaPart] = []
  /// Everything else a template may ask for: tools, add_generation_prompt, the caller's own variables.
  var variables = JSONObject()
  /// Of the chat template; nil for the one that fits.
  private(set) var templateName: String?
  /// The member of the last message that the model goes on with; nil: it begins a message of its own.
  private(set) var continuedField: String?

  /// A document of messages may hold images as data URLs: this many bytes.
  private static let limits = JSON.Limits(bytes: 256 << 20, depth: 64)

  /// - Parameter json: an array of messages, or an object as `dormouse_engine_render_messages` describes it.
  init(json: String) throws(Failure) {
    let value = try JSON.parse(argument: json, name: "messages_json", limits: ChatRequest.limits)
    variables["add_generation_prompt"] = true
    messages = value
    if value.arrayValue == nil {
      let fields = try JSONFields(value, file: "messages_json", status: .invalidArgument)
      guard let list = fields.value("messages") else {
        throw Failure(.invalidArgument, "messages_json: messages is missing; expected an array of messages")
      }
      messages = list
      try read(fields)
    }
    (messages, mediaParts) = try ChatRequest.normalized(messages)
  }

  /// What stands beside the messages.
  private mutating func read(_ fields: JSONFields) throws(Failure) {
    try fields.refuseMembers(besides: [
      "messages", "tools", "add_generation_prompt", "continue_final_message", "chat_template", "template_variables",
    ])
    templateName = try fields.optionalString("chat_template")
    continuedField = try ChatRequest.continuedField(fields)
    let generates = try fields.optionalBoolean("add_generation_prompt")
    guard continuedField == nil || generates != true else {
      throw Failure(
        .invalidArgument,
        "messages_json: continue_final_message and add_generation_prompt exclude each other: the final message is"
          + " either gone on with or answered")
    }
    if continuedField != nil { variables["add_generation_prompt"] = false }
    if let extra = try fields.fields("template_variables") { variables = variables.merging(extra.object) }
    if let generates { variables["add_generation_prompt"] = .bool(generates) }
    if let tools = try fields.optionalArray("tools") { variables["tools"] = .array(tools) }
  }

  /// True stands for the content, a string for the member of that name.
  private static func continuedField(_ fields: JSONFields) throws(Failure) -> String? {
    guard let value = fields.value("continue_final_message"), value != false, value != "" else { return nil }
    if value == true { return "content" }
    guard let field = value.stringValue else {
      throw fields.wrong("continue_final_message", value, expected: "true, false or the name of a message's member")
    }
    return field
  }

  /// The same with texts in place of its audio, in order.
  func replacingAudio(by texts: [String]) -> ChatRequest {
    var result = self
    var rest = texts[...]
    result.messages = .array(
      (messages.arrayValue ?? []).map { message in
        guard var object = message.objectValue, let parts = message["content"]?.arrayValue else { return message }
        object["content"] = ChatContent.replacingAudio(in: parts, by: &rest)
        return .object(object)
      })
    result.mediaParts.removeAll { $0.modality == .audio }
    return result
  }

  /// Checks each message. A content of text parts becomes one string, since templates of text models concatenate
  /// contents and know no parts; where there are media among them, they stay parts, of the types that templates know.
  private static func normalized(_ messages: JSON) throws(Failure) -> (JSON, [MediaPart]) {
    guard let list = messages.arrayValue, !list.isEmpty else {
      throw Failure(.invalidArgument, "messages_json: messages must be an array with at least one message")
    }
    var result: [JSON] = []
    var media: [MediaPart] = []
    for (index, message) in list.enumerated() {
      let place = "messages_json: message \(index)"
      guard var object = message.objectValue else {
        throw Failure(.invalidArgument, "\(place) must be an object, not \(message.typeName)")
      }
      guard message["role"]?.stringValue != nil else {
        throw Failure(.invalidArgument, "\(place): role must be a string")
      }
      if let parts = message["content"]?.arrayValue {
        let content = try ChatContent(parts, place)
        object["content"] = content.json
        media += content.media
      } else {
        try checkContent(object["content"], place)
      }
      result.append(.object(object))
    }
    return (.array(result), media)
  }

  /// A string, or null: an assistant's message that only calls tools.
  private static func checkContent(_ content: JSON?, _ place: String) throws(Failure) {
    guard let content, !content.isNull, content.stringValue == nil else { return }
    throw Failure(
      .invalidArgument, "\(place): content must be a string or an array of parts, not \(content.typeName)")
  }
}
