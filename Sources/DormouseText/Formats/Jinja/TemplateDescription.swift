internal import DormouseSupport
import Glibc

/// `str(value)` and `repr(value)`, as Python has them.
///
/// Texts inside keep their origin; brackets, quotes and numbers inside a container count as content, a lone number
/// or truth value as markup (it can spell no control token by itself, but `<|image_{{ n }}|>` needs it).
extension TemplateEvaluator {
  /// What `{{ value }}` prints.
  func text(of value: TemplateValue) throws(Failure) -> TemplateText {
    switch value {
    case .undefined: return .empty
    case .text(let text): return text
    case .none: return TemplateText("None", isMarkup: true)
    case .bool(let value): return TemplateText(value ? "True" : "False", isMarkup: true)
    case .integer(let value): return TemplateText(String(value), isMarkup: true)
    case .largeInteger(let value): return TemplateText(value.digits, isMarkup: true)
    case .float(let value): return TemplateText(TemplateEvaluator.describe(value), isMarkup: true)
    default:
      var builder = TemplateTextBuilder()
      try describe(value, into: &builder)
      return builder.text
    }
  }

  /// Appends `repr(value)`.
  func describe(_ value: TemplateValue, into builder: inout TemplateTextBuilder) throws(Failure) {
    try budget.spend(TemplateBudget.element)
    switch value {
    case .undefined: builder.append("Undefined", isMarkup: false)
    case .none, .bool, .integer, .largeInteger, .float: builder.append(try text(of: value).string, isMarkup: false)
    case .text(let text):
      if text.isSafe { builder.append("Markup(", isMarkup: false) }
      try describe(text, into: &builder)
      if text.isSafe { builder.append(")", isMarkup: false) }
    case .sequence(let sequence): try describe(sequence, into: &builder)
    case .dictionary(let dictionary): try describe(dictionary.members, into: &builder)
    case .object(let number): try describe(objects[number], into: &builder)
    case .function(let function): builder.append("<function \(function.rawValue)>", isMarkup: false)
    case .method(let method): builder.append("<method '\(method.name)'>", isMarkup: false)
    }
  }

  private func describe(_ sequence: TemplateSequence, into builder: inout TemplateTextBuilder) throws(Failure) {
    switch sequence.kind {
    case .range(let start, let stop, let step):
      builder.append("range(\(start), \(stop)\(step == 1 ? "" : ", \(step)"))", isMarkup: false)
    case .tuple:
      builder.append("(", isMarkup: false)
      try describe(sequence.items, into: &builder)
      builder.append(sequence.items.count == 1 ? ",)" : ")", isMarkup: false)
    case .list:
      builder.append("[", isMarkup: false)
      try describe(sequence.items, into: &builder)
      builder.append("]", isMarkup: false)
    case .keys, .values, .items:
      builder.append("\(sequence.kind.typeName)([", isMarkup: false)
      try describe(sequence.items, into: &builder)
      builder.append("])", isMarkup: false)
    }
  }

  private func describe(_ items: [TemplateValue], into builder: inout TemplateTextBuilder) throws(Failure) {
    for (index, item) in items.enumerated() {
      if index > 0 { builder.append(", ", isMarkup: false) }
      try describe(item, into: &builder)
    }
  }

  private func describe(
    _ members: [(key: TemplateValue, value: TemplateValue)], into builder: inout TemplateTextBuilder
  ) throws(Failure) {
    builder.append("{", isMarkup: false)
    for (index, (key, value)) in members.enumerated() {
      if index > 0 { builder.append(", ", isMarkup: false) }
      try describe(key, into: &builder)
      builder.append(": ", isMarkup: false)
      try describe(value, into: &builder)
    }
    builder.append("}", isMarkup: false)
  }

  private func describe(_ object: TemplateObject, into builder: inout TemplateTextBuilder) throws(Failure) {
    switch object {
    case .namespace: builder.append("<Namespace>", isMarkup: false)
    case .macro(let macro, _): builder.append("<Macro '\(macro.name)'>", isMarkup: false)
    case .loop(let state):
      builder.append("<LoopContext \(state.index0 + 1)/\(try length(state))>", isMarkup: false)
    case .generator, .cycler, .joiner: builder.append("<\(object.typeName) object>", isMarkup: false)
    }
  }

  /// Appends the text as a Python string literal.
  private func describe(_ text: TemplateText, into builder: inout TemplateTextBuilder) throws(Failure) {
    try budget.checkLength(builder.count + text.count)
    try budget.spend(text.count * TemplateBudget.wanted)
    let quote: Unicode.Scalar = text.scalars.contains("'") && !text.scalars.contains("\"") ? "\"" : "'"
    builder.append(quote, isMarkup: false)
    text.forEachRun { range, isMarkup in
      for position in range {
        TemplateEvaluator.escape(text[position], quote: quote, isMarkup: isMarkup, into: &builder)
      }
    }
    builder.append(quote, isMarkup: false)
  }

  private static func escape(
    _ scalar: Unicode.Scalar, quote: Unicode.Scalar, isMarkup: Bool, into builder: inout TemplateTextBuilder
  ) {
    switch scalar {
    case "\n": builder.append("\\n", isMarkup: isMarkup)
    case "\r": builder.append("\\r", isMarkup: isMarkup)
    case "\t": builder.append("\\t", isMarkup: isMarkup)
    case "\\": builder.append("\\\\", isMarkup: isMarkup)
    case quote:
      builder.append("\\", isMarkup: isMarkup)
      builder.append(scalar, isMarkup: isMarkup)
    default:
      if scalar.isPythonPrintable { return builder.append(scalar, isMarkup: isMarkup) }
      let (letter, width) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
      let digits = String(scalar.value, radix: 16)
      let zeros = String(repeating: "0", count: max(width - digits.count, 0))
      builder.append("\\\(letter)\(zeros)\(digits)", isMarkup: isMarkup)
    }
  }

  /// `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
  static func describe(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    guard value != 0 else { return value.sign == .minus ? "-0.0" : "0.0" }
    let sign = value < 0 ? "-" : ""
    let (digits, exponent) = shortestDigits(abs(value))
    if exponent < -4 || exponent >= 16 {
      let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
      let size = abs(exponent)
      return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(size < 10 ? "0" : "")\(size)"
    }
    if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
    let whole = digits.prefix(exponent + 1)
    let zeros = String(repeating: "0", count: exponent + 1 - whole.count)
    let fraction = digits.dropFirst(exponent + 1)
    return "\(sign)\(whole)\(zeros).\(fraction.isEmpty ? "0" : fraction)"
  }

  /// The significant digits of a positive number, and the exponent of the first one.
  private static func shortestDigits(_ value: Double) -> (digits: String, exponent: Int) {
    let parts = value.description.split(separator: "e")
    var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
    let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    let whole = mantissa[0]
    let fraction = mantissa.count > 1 && mantissa[1] != "0" ? mantissa[1] : ""
    let all = whole + fraction
    let leading = all.prefix { $0 == "0" }.count
    exponent += whole.count - 1 - leading
    var digits = String(all.dropFirst(leading))
    while digits.count > 1, digits.last == "0" { digits.removeLast() }
    return (digits, exponent)
  }
}
