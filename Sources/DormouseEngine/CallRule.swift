import DormouseGrammar
import DormouseSupport
import DormouseText

/// Has a model call tools as its format writes it: names of the list, and arguments by their schemas.
///
/// What stands around names and arguments is not chosen but given. A call begins where the answer's content does, if one
/// is required, or where the model begins one by itself.
struct CallRule {
  private enum Stage {
    /// Nothing is asked of the next token.
    case idle
    /// These tokens come, and then the next stage.
    case markup(ArraySlice<Int32>, Next)
    case name(Constraint)
    case arguments(Constraint)
    /// Behind a call, and so many tokens that begin both another one and the end of the calls.
    case between(Int)
    /// Behind required calls: the answer ends.
    case ended
  }

  private enum Next {
    case name, arguments, between, idle, ended
  }

  private let tools: CallableTools
  private let markup: CallMarkup
  private let tokenizer: Tokenizer
  private let endTokens: Set<Int32>
  private let isRequired: Bool
  private let isParallel: Bool
  private var stage: Stage
  private var name: [UInt8] = []
  private var callCount = 0

  /// - Parameters:
  ///   - isRequired: whether the answer is calls, at least one.
  ///   - isParallel: whether there may be more than one.
  init(
    tools: CallableTools, markup: CallMarkup, tokenizer: Tokenizer, endTokens: Set<Int32>, isRequired: Bool,
    isParallel: Bool
  ) {
    self.tools = tools
    self.markup = markup
    self.tokenizer = tokenizer
    self.endTokens = endTokens
    self.isRequired = isRequired
    self.isParallel = isParallel
    stage = isRequired ? .markup(markup.begin[...], .name) : .idle
  }

  /// Whether an answer ends here although no end token is known.
  var hasEnded: Bool { if case .ended = stage { endTokens.isEmpty } else { false } }

  /// The token that comes now, whatever the model thinks likely; nil where it may choose.
  func forcedToken() throws(Failure) -> Int32? {
    switch stage {
    case .markup(let tokens, _): return tokens.first
    case .name(let constraint): return try constraint.allowed().isEmpty ? nameEnd.first : nil
    case .arguments(let constraint): return try constraint.allowed().isEmpty ? markup.callEnd.first : nil
    case .between(let count):
      let (next, end) = branches(count)
      return next == end ? next : nil
    case .idle, .ended: return nil
    }
  }

  /// Rules out what is not of the calls.
  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    switch stage {
    case .idle, .markup: return
    case .name(let constraint): keep(try constraint.allowed(), constraint.isComplete ? nameEnd.first : nil, logits)
    case .arguments(let constraint):
      keep(try constraint.allowed(), constraint.isComplete ? markup.callEnd.first : nil, logits)
    case .between(let count):
      let (next, end) = branches(count)
      keep([next, end].compactMap { $0 } + (end == nil ? Array(endTokens) : []), logits)
    case .ended: if !endTokens.isEmpty { keep(Array(endTokens), logits) }
    }
  }

  private func keep(_ allowed: TokenSet, _ end: Int32?, _ logits: UnsafeMutableBufferPointer<Float>) {
    for token in logits.indices {
      let token = Int32(truncatingIfNeeded: token)
      if !allowed.contains(token), token != end { logits[Int(token)] = -.infinity }
    }
  }

  private func keep(_ tokens: [Int32], _ logits: UnsafeMutableBufferPointer<Float>) {
    for token in logits.indices where !tokens.contains(Int32(truncatingIfNeeded: token)) {
      logits[token] = -.infinity
    }
  }

  /// Takes note of the next token of the answer.
  mutating func record(_ token: Int32) throws(Failure) {
    switch stage {
    case .idle:
      // The model begins a call: what is left of the marker before the name is given.
      guard token == markup.callBegin, let place = markup.begin.firstIndex(of: token) else { return }
      try follow(markup.begin[(place + 1)...], .name)
    case .markup(let tokens, let next): try follow(tokens.dropFirst(), next)
    case .name(let constraint):
      if try constraint.allowed().contains(token) {
        try constraint.accept(CollectionOfOne(token))
        name += tokenizer.bytes(of: token) ?? []
      } else {
        try follow(nameEnd.dropFirst(), .arguments)
      }
    case .arguments(let constraint):
      if try constraint.allowed().contains(token) {
        try constraint.accept(CollectionOfOne(token))
      } else {
        callCount += 1
        try follow(markup.callEnd.dropFirst(), .between)
      }
    case .between(let count):
      let (next, end) = branches(count)
      if token == next, token == end {
        stage = .between(count + 1)
      } else if token == next {
        try follow(markup.beginNext.dropFirst(count + 1), .name)
      } else {
        try follow(markup.end.dropFirst(count + 1), afterCalls)
      }
    case .ended: return
    }
  }

  private var afterCalls: Next { isRequired ? .ended : .idle }

  /// What may come behind a call and `count` tokens of what follows it: in another call, and in the end of all.
  private func branches(_ count: Int) -> (next: Int32?, end: Int32?) {
    (markup.beginNext.dropFirst(count).first, markup.end.dropFirst(count).first)
  }

  /// Behind the name of this call.
  private var nameEnd: [Int32] { markup.nameEnd(callCount) }

  private mutating func follow(_ tokens: ArraySlice<Int32>, _ next: Next) throws(Failure) {
    guard tokens.isEmpty else {
      stage = .markup(tokens, next)
      return
    }
    switch next {
    case .name:
      name = []
      stage = .name(try tools.names())
    case .arguments: stage = .arguments(try tools.arguments(of: name))
    case .between where isParallel: stage = .between(0)
    case .between: try follow(markup.end[...], afterCalls)
    case .idle: stage = .idle
    case .ended: stage = .ended
    }
  }
}

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
