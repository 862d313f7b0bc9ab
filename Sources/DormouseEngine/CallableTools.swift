import DormouseGrammar
import DormouseSupport
import DormouseText

/// Functions that may be called, as constraints: their names, and the arguments of each.
final class CallableTools: Sendable {
  private struct Function: Sendable {
    let name: String
    let schema: JSON
    let isStrict: Bool
    /// For sentences.
    let path: String
  }

  private let functions: [Function]
  private let vocabulary: GrammarVocabulary
  private let interruption: Interruption

  /// - Parameters:
  ///   - tools: as OpenAI has them, or functions themselves.
  ///   - choice: the only one that may be called; nil for all.
  ///   - interruption: asked while constraints are made, and while their masks are computed.
  /// - Throws: `Failure(.invalidArgument)` for what is no function, or a name that none has.
  init(
    _ tools: [JSON], choice: String?, vocabulary: GrammarVocabulary, interruption: Interruption
  ) throws(Failure) {
    var functions: [Function] = []
    for (index, tool) in tools.enumerated() {
      let function = tool["function"] ?? tool
      let path = "tools[\(index)]" + (tool["function"] == nil ? "" : ".function")
      guard let name = function["name"]?.stringValue, !name.isEmpty else {
        throw Failure(.invalidArgument, "config_json: \(path).name is missing; expected a function's name")
      }
      functions.append(
        Function(
          name: name, schema: function["parameters"] ?? ["type": "object"],
          isStrict: function["strict"]?.boolValue ?? false, path: path))
    }
    if let choice {
      functions.removeAll { $0.name != choice }
      guard !functions.isEmpty else {
        throw Failure(
          .invalidArgument, "config_json: tool_choice: no function of tools is called \(Excerpt.name(choice))")
      }
    }
    guard !functions.isEmpty else {
      throw Failure(.invalidArgument, "config_json: tools is empty, and tool_choice asks for one of them")
    }
    self.functions = functions
    self.vocabulary = vocabulary
    self.interruption = interruption
    // What is not enforced is refused at once, and not when the model comes to it.
    for function in functions where function.isStrict { _ = try constraint(function) }
  }

  /// A new constraint of the names.
  func names() throws(Failure) -> Constraint {
    try constraint(["choice": .array(functions.map { .string($0.name) })], "config_json: tools")
  }

  /// A new constraint of a function's arguments: by its schema; of one that is not strict, any object where the schema
  /// asks for more than is enforced.
  func arguments(of name: [UInt8]) throws(Failure) -> Constraint {
    let name = String(decoding: name, as: UTF8.self)
    guard let function = functions.first(where: { $0.name == name }) else {
      throw Failure(.internalError, "a call of \(Excerpt.name(name)), which is none of tools")
    }
    do throws(Failure) { return try constraint(function) } catch {
      guard !function.isStrict, error.status == .unsupported else { throw error }
      return try constraint(["json_schema": ["type": "object"]], "config_json: \(function.path)")
    }
  }

  private func constraint(_ function: Function) throws(Failure) -> Constraint {
    let object = function.schema.objectValue.map { members in
      var members = members
      // Arguments are an object, whatever the schema leaves open.
      if members["type"] == nil, members["$ref"] == nil { members["type"] = "object" }
      return JSON.object(members)
    }
    return try constraint(
      ["json_schema": object ?? function.schema], "config_json: \(function.path).parameters")
  }

  private func constraint(_ object: JSON, _ path: String) throws(Failure) -> Constraint {
    try Constraint(
      try JSONFields(object, file: path, status: .invalidArgument), vocabulary: vocabulary, endTokens: [],
      interruption: interruption)
  }
}

extension Engine {
  /// What has the model call the tools of a request as its format writes it; nil where nothing asks for that.
  /// - Throws: `Failure(.invalidArgument)` for tools that are none, `.unsupported` for schemas of strict tools that are
  ///   not enforced, and for a format in which calls can't be.
  func callRule(
    for request: GenerationRequest, format: (any AnswerFormat)?, _ interruption: Interruption = .never
  ) throws(Failure) -> CallRule? {
    guard let tools = request.answer.tools else { return nil }
    let isRequired = request.answer.toolChoice != .auto
    let asksForStrict = tools.contains { ($0["function"] ?? $0)["strict"]?.boolValue == true }
    guard isRequired || asksForStrict else { return nil }
    guard let markup = format?.callMarkup, isRequired || markup.callBegin != nil else {
      throw Failure(
        .unsupported,
        "config_json: \(isRequired ? "tool_choice" : "tools: strict"): calls can't be enforced in the format"
          + " \(format?.name ?? "plain")")
    }
    var choice: String?
    if case .function(let name) = request.answer.toolChoice { choice = name }
    return CallRule(
      tools: try CallableTools(tools, choice: choice, vocabulary: try grammarVocabulary(), interruption: interruption),
      markup: markup,
      tokenizer: try text.requireTokenizer(),
      endTokens: request.ignoresEndTokens ? request.stopTokens : request.stopTokens.union(text.generation.endTokens),
      isRequired: isRequired, isParallel: request.answer.isParallel && choice == nil)
  }
}
