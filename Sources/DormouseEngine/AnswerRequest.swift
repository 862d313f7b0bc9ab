import DormouseSupport
import DormouseText

/// What a config says of an answer's parts: its reasoning, and its calls of tools.
struct AnswerRequest: Sendable, Equatable {
  /// Whether the answer comes in parts.
  var hasParts = false
  /// Of the format in which the model writes them; nil for the one that is found from its files.
  var formatName: String?
  /// Whether the model reasons; nil for what its template does by itself.
  var reasons: Bool?
  /// Tokens of reasoning at most.
  var reasoningBudget: Int?
  /// Of the template's variable.
  var reasoningEffort: String?
  /// The functions that the model may call, as the template gets them; nil where the config has none.
  var tools: [JSON]?
  /// Which of them it calls.
  var toolChoice = ToolChoice.auto
  var isParallel = true
  /// Those that the template shows; nil for a prompt that the caller has rendered, who may have shown some.
  var shownTools: [JSON]?

  /// Whether and what a model is made to call.
  enum ToolChoice: Sendable, Equatable {
    case auto
    case required
    case function(String)
  }

  /// What `reasoning_effort` may be; "none" stands for no reasoning.
  private static let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

  /// - Throws: `Failure(.invalidArgument)` for values that are not as `dormouse_session_generate` describes them or
  ///   contradict each other.
  static func read(_ fields: JSONFields) throws(Failure) -> AnswerRequest {
    var request = AnswerRequest()
    request.formatName = try fields.optionalString("answer_format")
    try request.readReasoning(fields)
    try request.readTools(fields)
    let wantsParts = request.reasons != nil || request.tools != nil || request.reasoningBudget != nil
    let parts = try fields.optionalBoolean("parts")
    guard parts != false || !wantsParts else {
      throw Failure(
        .invalidArgument, "\(fields.file): parts is false, but tools, thinking and reasoning_effort ask for parts")
    }
    request.hasParts = parts ?? wantsParts
    return request
  }

  private mutating func readReasoning(_ fields: JSONFields) throws(Failure) {
    if let thinking = fields.value("thinking") {
      if let budget = try readBudget(thinking, fields) {
        reasoningBudget = budget
        reasons = true
      } else {
        guard let isOn = thinking.boolValue else {
          throw fields.wrong("thinking", thinking, expected: "true, false or {\"budget_tokens\": N}")
        }
        reasons = isOn
      }
    }
    guard let effort = try fields.optionalString("reasoning_effort") else { return }
    guard AnswerRequest.efforts.contains(effort) else {
      throw fields.wrong(
        "reasoning_effort", .string(effort), expected: AnswerRequest.efforts.joined(separator: ", "))
    }
    guard reasons == nil || reasons == (effort != "none") else {
      throw Failure(
        .invalidArgument, "\(fields.file): thinking and reasoning_effort '\(effort)' contradict each other")
    }
    reasons = effort != "none"
    if effort != "none" { reasoningEffort = effort }
  }

  private func readBudget(_ thinking: JSON, _ fields: JSONFields) throws(Failure) -> Int? {
    guard thinking.objectValue != nil, let inner = try fields.fields("thinking") else { return nil }
    try inner.refuseMembers(besides: ["budget_tokens"])
    guard let budget = try inner.optionalInteger("budget_tokens", 0...Int(Int32.max)) else {
      throw Failure(.invalidArgument, "\(fields.file): thinking.budget_tokens is missing")
    }
    return budget
  }

  private mutating func readTools(_ fields: JSONFields) throws(Failure) {
    tools = try fields.optionalArray("tools")
    let parallel = try fields.optionalBoolean("parallel_tool_calls")
    isParallel = parallel ?? true
    guard let choice = fields.value("tool_choice") else { return }
    guard tools != nil else {
      throw Failure(.invalidArgument, "\(fields.file): tool_choice needs tools")
    }
    let function = choice["function"]?["name"] ?? choice["name"] ?? choice
    switch function.stringValue {
    case "auto" where choice.stringValue != nil: break
    case "none" where choice.stringValue != nil: tools = nil
    case "required" where choice.stringValue != nil: toolChoice = .required
    case let name?: toolChoice = .function(name)
    case nil:
      throw fields.wrong(
        "tool_choice", choice, expected: "none, auto, required, or a function's name, also as {\"name\": ...}")
    }
  }
}

extension TextResources {
  /// How the model writes what `request` asks for; nil where nothing asks, or where the model has no such format.
  /// - Throws: `Failure(.invalidArgument)` for a name that no format has, `.unsupported` for reasoning that the model's
  ///   format does not know, `.notFound` without a tokenizer.
  func answerFormat(for request: GenerationRequest) throws(Failure) -> (any AnswerFormat)? {
    let answer = request.answer
    guard answer.hasParts || answer.formatName != nil || request.constraint != nil || request.language != nil else {
      return nil
    }
    let tokenizer = try requireTokenizer()
    let format =
      try answer.formatName.map { (name) throws(Failure) in
        try withContext("config_json: answer_format") { () throws(Failure) in
          try AnswerFormats.named(name, tokenizer: tokenizer)
        }
      } ?? AnswerFormats.detected(tokenizer: tokenizer, template: promptFormat?.source)
    guard answer.reasons != true || format?.reasoningEnd.isEmpty == false else {
      throw Failure(
        .unsupported, "config_json: thinking: \(folder): no format of reasoning is known for the model's chat template")
    }
    return format
  }
}

extension GenerationRequest {
  /// Lets a chat's template know what is asked of its answer.
  /// - Throws: `Failure(.invalidArgument)` for tools both beside the messages and in the config, or a variable of the
  ///   caller's that says something else.
  /// - Returns: the chat with what its template is told.
  mutating func prepared(_ chat: ChatRequest, text: TextResources) throws(Failure) -> ChatRequest {
    var chat = chat
    if let tools = answer.tools {
      guard chat.variables["tools"] == nil else {
        throw Failure(.invalidArgument, "tools stand both in messages_json and in config_json")
      }
      chat.variables["tools"] = .array(tools)
    }
    answer.shownTools = chat.variables["tools"]?.arrayValue ?? []
    guard let reasons = answer.reasons else { return chat }
    var isSwitched = false
    for name in ["thinking", "enable_thinking"] where text.reads(name, chat) {
      try chat.set(name, .bool(reasons))
      isSwitched = true
    }
    if let effort = answer.reasoningEffort, text.reads("reasoning_effort", chat) {
      try chat.set("reasoning_effort", .string(effort))
    }
    // A template without a switch: the thought ends where it begins.
    if !reasons, !isSwitched { answer.reasoningBudget = 0 }
    return chat
  }
}

extension ChatRequest {
  fileprivate mutating func set(_ name: String, _ value: JSON) throws(Failure) {
    guard variables[name] == nil || variables[name] == value else {
      throw Failure(
        .invalidArgument, "messages_json: the template variable '\(name)' contradicts config_json's thinking")
    }
    variables[name] = value
  }
}

extension TextResources {
  fileprivate func reads(_ variable: String, _ chat: ChatRequest) -> Bool {
    promptFormat?.reads(variable, templateName: chat.templateName, hasTools: chat.variables["tools"] != nil) ?? false
  }
}
