public import DormouseSupport

/// A chat template: a program in the subset of Jinja that published models use, which turns messages into a prompt.
///
/// It runs with the semantics of jinja2 3.1 as transformers sets it up (`ImmutableSandboxedEnvironment`,
/// `trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`, `strftime_now`, `tojson` without HTML escapes).
/// Templates come with downloaded models and are not trusted: they reach nothing but the values handed in, and what
/// they may cost has limits (`TemplateLimits`).
public final class ChatTemplate: Sendable {
  private let file: String
  private let program: TemplateProgram
  private let limits: TemplateLimits
  /// The template to use when tools are given, of a model that ships one apart.
  private let toolTemplate: ChatTemplate?

  /// - Parameters:
  ///   - source: the text of the template.
  ///   - file: where it comes from, for messages.
  /// - Throws: `Failure(.malformed)` for a template that is no Jinja or breaks a limit, `Failure(.unsupported)` for
  ///   one that needs a tag, filter or test this subset lacks; the sentence names the file and the line.
  public convenience init(source: String, file: String) throws(Failure) {
    try self.init(source: source, file: file, toolSource: nil)
  }

  init(
    source: String, file: String, toolSource: String?, limits: TemplateLimits = TemplateLimits()
  ) throws(Failure) {
    self.file = file
    self.limits = limits
    program = try withContext(file) { () throws(Failure) in
      try DeepStack.run { () throws(Failure) in try TemplateParser.parse(source, limits: limits) }
    }
    toolTemplate = try toolSource.map { (source) throws(Failure) in
      try ChatTemplate(source: source, file: "\(file) (tool_use)", toolSource: nil, limits: limits)
    }
  }

  /// The prompt of `messages`.
  ///
  /// What the template itself says is markup, and so are the strings of `markupVariables`; everything from
  /// `messages` and `variables` is content, through all operations on strings. A role that is one of the chat
  /// format's own words counts as markup.
  ///
  /// - Parameters:
  ///   - messages: an array of objects in the chat format; the template's variable `messages`.
  ///   - variables: `tools`, `add_generation_prompt` and whatever else the template reads.
  ///   - markupVariables: `bos_token` and other strings the model's own files vouch for.
  /// - Returns: the prompt in runs; adjacent runs differ in origin and none is empty.
  /// - Throws: `Failure(.invalidArgument)` when the template refuses the messages (`raise_exception`) or cannot work
  ///   with them, `Failure(.malformed)` when it breaks a limit, `Failure(.unsupported)` when it needs what this
  ///   subset lacks; the sentence names the file and the line.
  public func render(
    messages: JSON, variables: JSONObject = JSONObject(), markupVariables: JSONObject = JSONObject()
  ) throws(Failure) -> [PromptRun] {
    if let toolTemplate, let tools = variables["tools"]?.arrayValue, !tools.isEmpty {
      return try toolTemplate.render(messages: messages, variables: variables, markupVariables: markupVariables)
    }
    var inputLength = 0
    var context: [TemplateValue?] = []
    for name in program.names {
      context.append(
        try withContext("\(file): the variable '\(name)'") { () throws(Failure) in
          if name == "messages" { return try .make(messages, isMarkup: false, inputLength: &inputLength) }
          if let json = markupVariables[name] { return try .make(json, isMarkup: true, inputLength: &inputLength) }
          return try variables[name].map { (json) throws(Failure) in
            try .make(json, isMarkup: false, inputLength: &inputLength)
          }
        })
    }
    let budget = TemplateBudget(limits: limits, inputLength: inputLength)
    let evaluator = TemplateEvaluator(program: program, context: context, budget: budget)
    do {
      return try DeepStack.run { () throws(Failure) in try evaluator.run().promptRuns }
    } catch {
      throw evaluator.isRaised ? error : error.prefixed("\(file): line \(evaluator.line)")
    }
  }
}
