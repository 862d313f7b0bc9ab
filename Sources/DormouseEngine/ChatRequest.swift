import DormouseSupport

/// The messages of a chat and what goes with them into the template.
struct ChatRequest {
  var messages: JSON
  /// The pictures, clips and sounds among them, in order.
  var mediaParts: [MediaPart] = []
  /// Everything else a template may ask for: tools, add_generation_prompt, the caller's own variables.
  var variables = JSONObject()

  /// A document of messages may hold pictures as data URLs: this many bytes.
  private static let limits = JSON.Limits(bytes: 256 << 20, depth: 64)

  /// - Parameter json: an array of messages, or an object as `dormouse_engine_render_messages` describes it.
  init(json: String) throws(Failure) {
    let value = try JSON.parse(argument: json, name: "messages_json", limits: ChatRequest.limits)
    variables["add_generation_prompt"] = true
    if value.arrayValue != nil {
      messages = value
    } else {
      let fields = try JSONFields(value, file: "messages_json", status: .invalidArgument)
      try fields.refuseMembers(besides: ["messages", "tools", "add_generation_prompt", "template_variables"])
      guard let list = fields.value("messages") else {
        throw Failure(.invalidArgument, "messages_json: messages is missing; expected an array of messages")
      }
      messages = list
      if let extra = try fields.fields("template_variables") { variables = variables.merging(extra.object) }
      if let generates = try fields.optionalBoolean("add_generation_prompt") {
        variables["add_generation_prompt"] = .bool(generates)
      }
      if let tools = try fields.optionalArray("tools") { variables["tools"] = .array(tools) }
    }
    (messages, mediaParts) = try ChatRequest.normalized(messages)
  }

  /// The same with texts in place of its sounds, in order.
  func replacingSounds(by texts: [String]) -> ChatRequest {
    var result = self
    var rest = texts[...]
    result.messages = .array(
      (messages.arrayValue ?? []).map { message in
        guard var object = message.objectValue, let parts = message["content"]?.arrayValue else { return message }
        object["content"] = ChatContent.replacingSounds(in: parts, by: &rest)
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
