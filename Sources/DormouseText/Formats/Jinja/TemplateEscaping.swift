internal import DormouseSupport

/// Texts that the filters `safe` and `escape` have marked: the class `Markup` of markupsafe 3.0, which jinja2 uses.
/// Nothing is escaped by itself in a chat template, but what is joined to such a text is.
extension TemplateEvaluator {
  /// `escape(text)`: the three characters of HTML and the two quotes as entities; safe texts stay as they are.
  func escaped(_ text: TemplateText) throws(Failure) -> TemplateText {
    if text.isSafe { return text }
    try budget.spendProduct(text.count, 5, isText: true)
    var builder = TemplateTextBuilder()
    text.forEachRun { range, isMarkup in
      for position in range {
        switch text[position] {
        case "&": builder.append("&amp;", isMarkup: isMarkup)
        case "<": builder.append("&lt;", isMarkup: isMarkup)
        case ">": builder.append("&gt;", isMarkup: isMarkup)
        case "'": builder.append("&#39;", isMarkup: isMarkup)
        case "\"": builder.append("&#34;", isMarkup: isMarkup)
        default: builder.append(text[position], isMarkup: isMarkup)
        }
      }
    }
    return builder.text.marked(safe: true)
  }

  private func escaped(_ value: TemplateValue) throws(Failure) -> TemplateValue {
    if case .text(let text) = value { .text(try escaped(text)) } else { value }
  }

  /// A method of a safe text: what it puts into the text is escaped, and the texts that come out are safe.
  func callSafe(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    var arguments = arguments
    switch name {
    case "replace", "center", "ljust", "rjust":
      if arguments.positional.count > 1 { arguments.positional[1] = try escaped(arguments.positional[1]) }
    case "join":
      if let items = arguments.positional.first {
        arguments.positional[0] = try .list(
          try self.items(of: items).map { (item) throws(Failure) in .text(try escaped(self.text(of: item))) })
      }
    default: break
    }
    switch try callPlain(text, name, arguments) {
    case .text(let result): return .text(result.marked(safe: true))
    case .sequence(let sequence):
      let items = sequence.items.map { item in item.textValue.map { .text($0.marked(safe: true)) } ?? item }
      return .sequence(try TemplateSequence(items, sequence.kind))
    case let other: return other
    }
  }
}
