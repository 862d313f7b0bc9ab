public import DormouseSupport

/// A chat template: a program in the subset of Jinja that published models use, which turns messages into a prompt.
///
/// It runs with the semantics of jinja2 3.1 as transformers sets it up (`ImmutableSandboxedEnvironment`,
/// `trim_blocks`, `lstrip_blocks`, loop controls, `raise_exception`, `strftime_now`, `tojson` without HTML escapes).
/// Templates come with downloaded models and are not trusted: they reach nothing but the values handed in, and what
/// they may cost has limits (`TemplateLimits`).
public final class ChatTemplate: Sendable {
  /// Where it comes from, for sentences.
  let file: String
  let source: String
  private let program: TemplateProgram
  private let limits: TemplateLimits
  /// Whether it knows a message's `reasoning_content`.
  let readsReasoning: Bool

  /// - Parameters:
  ///   - source: the text of the template.
  ///   - file: where it comes from, for messages.
  /// - Throws: `Failure(.malformed)` for a template that is no Jinja or breaks a limit, `Failure(.unsupported)` for
  ///   one that needs a tag this subset lacks; the sentence names the file and the line. A filter or a test that it
  ///   lacks fails where it is used, as in the reference.
  public convenience init(source: String, file: String) throws(Failure) {
    try self.init(source: source, file: file, limits: TemplateLimits())
  }

  init(source: String, file: String, limits: TemplateLimits) throws(Failure) {
    self.file = file
    self.source = source
    self.limits = limits
    program = try withContext(file) { () throws(Failure) in
      try DeepStack.run { () throws(Failure) in try TemplateParser.parse(source, limits: limits) }
    }
    readsReasoning = ChatTemplate.find(Reasoning.standardField, in: source)
  }

  /// What the template asks for somewhere and this subset lacks: the sentence of a chat that comes to it.
  var missing: Failure? { program.missing?.prefixed(file) }

  /// Whether the template's text has `name` in it, which is how the reference tells whether it reads a member.
  func mentions(_ name: String) -> Bool { ChatTemplate.find(name, in: source) }

  /// Whether it uses a variable of this name.
  func reads(_ variable: String) -> Bool { program.names.contains(variable) }

  private static func find(_ name: String, in source: String) -> Bool {
    TemplateText(source, isMarkup: true).firstIndex(of: TemplateText(name, isMarkup: true), from: 0) != nil
  }

  /// The prompt of `messages`.
  ///
  /// What the template itself says is markup, and so are the strings of `markupVariables`, which give way to
  /// `variables` of the same name; everything from `messages` and `variables` is content, through all operations on
  /// strings. A role that is one of the chat
  /// format's own words counts as markup.
  ///
  /// - Parameters:
  ///   - messages: an array of objects in the chat format; the template's variable `messages`.
  ///   - variables: `tools`, `add_generation_prompt` and whatever else the template reads.
  ///   - markupVariables: `bos_token` and other strings the model's own files vouch for.
  ///   - interruption: asked between short pieces of the work.
  /// - Returns: the prompt in runs; adjacent runs differ in origin and none is empty.
  /// - Throws: `Failure(.invalidArgument)` when the template refuses the messages (`raise_exception`) or cannot work
  ///   with them, `Failure(.malformed)` when it breaks a limit, `Failure(.unsupported)` when it needs what this
  ///   subset lacks; the sentence names the file and the line. And what `interruption` says.
  public func render(
    messages: JSON, variables: JSONObject = JSONObject(), markupVariables: JSONObject = JSONObject(),
    interruption: Interruption = .never
  ) throws(Failure) -> [PromptRun] {
    try output(
      messages: messages, variables: variables, markupVariables: markupVariables, interruption: interruption
    ).promptRuns
  }

  /// The same before it is cut into runs.
  func output(
    messages: JSON, variables: JSONObject, markupVariables: JSONObject, interruption: Interruption
  ) throws(Failure) -> TemplateOutput {
    try interruption.check()
    var inputLength = 0
    var context: [TemplateValue?] = []
    for name in program.names {
      context.append(
        try withContext("\(file): the variable '\(name)'") { () throws(Failure) in
          if name == "messages" { return try .make(messages, isMarkup: false, inputLength: &inputLength) }
          if let json = variables[name] { return try .make(json, isMarkup: false, inputLength: &inputLength) }
          return try markupVariables[name].map { (json) throws(Failure) in
            try .make(json, isMarkup: true, inputLength: &inputLength)
          }
        })
    }
    let budget = TemplateBudget(limits: limits, inputLength: inputLength, interruption: interruption)
    let evaluator = TemplateEvaluator(program: program, context: context, budget: budget)
    do {
      return try DeepStack.run { () throws(Failure) in try evaluator.run() }
    } catch {
      let isNamed = evaluator.isRaised || error.status == .cancelled || error.status == .timedOut
      throw isNamed ? error : error.prefixed("\(file): line \(evaluator.line)")
    }
  }
}
