public import DormouseSupport

/// The chat templates of a model's folder: one called `default`, and perhaps others to choose by name.
///
/// A template that cannot be read fails the chats that need it, and nothing else.
public struct ChatTemplates: PromptFormat {
  /// What a name stands for: a template, or why there is none.
  typealias Entry = Result<ChatTemplate, Failure>

  static let defaultName = "default"
  static let toolsName = "tool_use"

  /// What holds them, for sentences.
  let file: String
  private let entries: [ExactString: Entry]
  /// The texts of `bos_token` and its like, by the names that templates have for them.
  private let tokens: JSONObject

  init(file: String, entries: [(name: String, entry: Entry)], tokens: JSONObject) {
    self.file = file
    self.tokens = tokens
    // As in the reference, the last of a name counts.
    self.entries = Dictionary(entries.map { (ExactString($0.name), $0.entry) }) { $1 }
  }

  /// The names of the templates that can be read, in order.
  public var names: [String] {
    entries.filter { (try? $0.value.get()) != nil }.map(\.key.string).sorted()
  }

  /// Why a chat that names no template cannot be rendered; nil where it can.
  public var failure: Failure? {
    do throws(Failure) { _ = try choose(nil, hasTools: false) } catch { return error }
    return nil
  }

  /// What chats may fail by, a sentence each: for a log.
  public var failures: [Failure] {
    var result: [Failure] = []
    for (_, entry) in entries.sorted(by: { $0.key.string < $1.key.string }) {
      switch entry {
      case .success(let template): if let missing = template.missing { result.append(missing) }
      case .failure(let failure): result.append(failure)
      }
    }
    if entries[ExactString(ChatTemplates.defaultName)] == nil, let failure { result.append(failure) }
    return result
  }

  /// The text of the template of chats without tools.
  public var source: String? { (try? choose(nil, hasTools: false))?.source }

  public func reads(_ variable: String, templateName: String?, hasTools: Bool) -> Bool {
    (try? choose(templateName, hasTools: hasTools))?.reads(variable) ?? false
  }

  /// The template of a chat: the one called `name`; without a name `tool_use` where there are tools, else `default`.
  /// - Throws: `Failure(.invalidArgument)` for a name that no template has, or what is wrong with the template.
  func choose(_ name: String?, hasTools: Bool) throws(Failure) -> ChatTemplate {
    if let name {
      guard let entry = entries[ExactString(name)] else {
        let known = entries.keys.map(\.string).sorted().map(Excerpt.name).joined(separator: ", ")
        throw Failure(
          .invalidArgument, "\(file): no chat template is called \(Excerpt.name(name)); there are \(known)")
      }
      return try entry.get()
    }
    if hasTools, let entry = entries[ExactString(ChatTemplates.toolsName)] { return try entry.get() }
    guard let entry = entries[ExactString(ChatTemplates.defaultName)] else {
      throw Failure(
        .malformed, "\(file): none of its \(entries.count) templates is called '\(ChatTemplates.defaultName)'")
    }
    return try entry.get()
  }

  /// The prompt of `chat`, in runs as `ChatTemplate.render` gives them, with media in place of their placeholders.
  ///
  /// As in transformers (`render_jinja_template`), `tools` and `documents` are None where there are none, a message's
  /// reasoning has all the names that templates know, and a message to be continued stays open.
  /// - Throws: what `ChatTemplate.render` throws; `Failure(.invalidArgument)` for a name that no template has, or a
  ///   message that cannot be continued.
  public func render(_ chat: Chat, interruption: Interruption = .never) throws(Failure) -> [PromptRun] {
    try textRuns(of: chat, interruption: interruption).replacing(mediaPlaceholders: chat.mediaPlaceholders)
  }

  private func textRuns(of chat: Chat, interruption: Interruption) throws(Failure) -> [PromptRun] {
    let tools = chat.variables["tools"] ?? .null
    let template = try choose(chat.templateName, hasTools: !tools.isNull)
    var variables = chat.variables
    variables["tools"] = tools
    variables["documents"] = variables["documents"] ?? .null
    var messages = chat.messages
    if template.readsReasoning { messages = messages.map(Reasoning.splitContent) }
    messages = messages.map(Reasoning.fillFields)
    guard let field = chat.continuedField else {
      return try template.render(
        messages: .array(messages), variables: variables, markupVariables: tokens, interruption: interruption)
    }
    let continuation = try ContinuedMessage(field, of: messages, template: template)
    let output = try template.output(
      messages: .array(continuation.messages), variables: variables, markupVariables: tokens, interruption: interruption
    )
    return TemplateOutput(try continuation.cut(output.text)).promptRuns
  }
}
