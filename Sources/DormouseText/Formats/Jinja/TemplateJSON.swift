internal import DormouseSupport

extension TemplateValue {
  /// The roles of the chat format. A role that is exactly one of these words counts as markup, because templates
  /// build control tokens of it (`<|{{ message.role }}|>`); any other role is content.
  private static let roles: Set<String> = [
    "system", "user", "assistant", "tool", "developer", "function", "observation",
  ]

  /// The value of a JSON document; its strings are markup or content.
  ///
  /// - Parameter inputLength: grows by the characters of all strings.
  static func make(_ json: JSON, isMarkup: Bool, inputLength: inout Int, depth: Int = 0) throws(Failure)
    -> TemplateValue
  {
    guard depth < TemplateLimits().valueDepth else {
      throw Failure(.invalidArgument, "the input is nested more than \(TemplateLimits().valueDepth) deep")
    }
    switch json {
    case .null: return .none
    case .bool(let value): return .bool(value)
    case .integer(let value): return Int(exactly: value).map { .integer($0) } ?? .float(Double(value))
    case .largeInteger(let digits):
      inputLength += digits.utf8.count
      return .integer(digits: digits)
    case .number(let value): return .float(value)
    case .string(let value):
      let text = TemplateText(value, isMarkup: isMarkup)
      inputLength += text.count
      return .text(text)
    case .array(let values):
      var items: [TemplateValue] = []
      items.reserveCapacity(values.count)
      for value in values {
        items.append(try make(value, isMarkup: isMarkup, inputLength: &inputLength, depth: depth + 1))
      }
      inputLength += items.count
      return try .list(items)
    case .object(let object):
      var members: [(key: TemplateValue, value: TemplateValue)] = []
      for (key, value) in object {
        let isRole = key == "role" && value.stringValue.map(roles.contains) == true
        let member = try make(value, isMarkup: isMarkup || isRole, inputLength: &inputLength, depth: depth + 1)
        members.append((.text(TemplateText(key, isMarkup: isMarkup)), member))
        inputLength += key.utf8.count + 1
      }
      return .dictionary(try .make(members))
    }
  }
}

/// The filter `tojson` of transformers: Python's `json.dumps(value, ensure_ascii=False, ...)`.
struct TemplateJSONWriter {
  let evaluator: TemplateEvaluator
  let escapesNonASCII: Bool
  let indent: TemplateText?
  let itemSeparator: TemplateText
  let keySeparator: TemplateText
  let sortsKeys: Bool
  private var builder = TemplateTextBuilder()

  init(_ evaluator: TemplateEvaluator, _ arguments: TemplateCallArguments) throws(Failure) {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"]
    let values = try arguments.bind(names, of: "tojson")
    self.evaluator = evaluator
    escapesNonASCII = values[0].map(evaluator.isTrue) ?? false
    sortsKeys = values[3].map(evaluator.isTrue) ?? false
    indent = try TemplateJSONWriter.indentation(values[1], evaluator)
    var separators = (
      item: TemplateText(indent == nil ? ", " : ",", isMarkup: false), key: TemplateText(": ", isMarkup: false)
    )
    if let given = values[2], !given.isNone {
      let items = try evaluator.items(of: given)
      guard items.count == 2, case .text(let item) = items[0], case .text(let key) = items[1] else {
        throw Failure(.invalidArgument, "tojson: separators must be two strings")
      }
      separators = (item, key)
    }
    itemSeparator = separators.item
    keySeparator = separators.key
  }

  private static func indentation(
    _ value: TemplateValue?, _ evaluator: TemplateEvaluator
  ) throws(Failure) -> TemplateText? {
    guard let value, !value.isNone else { return nil }
    if case .text(let text) = value { return text }
    guard let width = value.integerValue else {
      throw Failure(.invalidArgument, "tojson: indent must be a number or a string")
    }
    try evaluator.budget.spendText(max(width, 0))
    return TemplateText(String(repeating: " ", count: max(width, 0)), isMarkup: false)
  }

  mutating func text(_ value: TemplateValue) throws(Failure) -> TemplateText {
    try write(value, level: 0)
    return builder.text
  }

  private mutating func append(_ text: TemplateText) throws(Failure) {
    try evaluator.budget.checkLength(builder.count + text.count)
    try evaluator.budget.spend(text.count + 1)
    builder.append(text)
  }

  private mutating func write(_ value: TemplateValue, level: Int) throws(Failure) {
    try evaluator.budget.spend(TemplateBudget.element)
    switch value {
    case .none: builder.append("null", isMarkup: false)
    case .bool(let value): builder.append(value ? "true" : "false", isMarkup: false)
    case .integer(let value): builder.append(String(value), isMarkup: false)
    case .largeInteger(let value): try append(TemplateText(value.digits, isMarkup: false))
    case .float(let value): builder.append(TemplateJSONWriter.number(value), isMarkup: false)
    case .text(let text): try write(text)
    case .sequence(let sequence) where sequence.kind == .list || sequence.kind == .tuple:
      builder.append("[", isMarkup: false)
      for (index, item) in sequence.items.enumerated() {
        try separate(index, level + 1)
        try write(item, level: level + 1)
      }
      if !sequence.items.isEmpty { try breakLine(level) }
      builder.append("]", isMarkup: false)
    case .dictionary(let dictionary): try write(dictionary, level: level)
    default:
      throw Failure(
        .invalidArgument, "Object of type \(evaluator.typeName(of: value)) is not JSON serializable")
    }
  }

  private static func number(_ value: Double) -> String {
    if value.isFinite { return TemplateEvaluator.describe(value) }
    return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
  }

  private mutating func write(_ dictionary: TemplateDictionary, level: Int) throws(Failure) {
    var order = Array(dictionary.keys.indices.map { TemplateValue.integer($0) })
    if sortsKeys {
      let rounds = Int.bitWidth - dictionary.count.leadingZeroBitCount + 1
      try evaluator.budget.spend(dictionary.weight * rounds)
    }
    if sortsKeys { order = try order.sorted(by: dictionary.keys, descending: false) }
    builder.append("{", isMarkup: false)
    for (index, position) in order.enumerated() {
      guard let position = position.integerValue else { continue }
      try separate(index, level + 1)
      try write(key: dictionary.keys[position])
      try append(keySeparator)
      try write(dictionary.values[position], level: level + 1)
    }
    if !order.isEmpty { try breakLine(level) }
    builder.append("}", isMarkup: false)
  }

  private mutating func write(key: TemplateValue) throws(Failure) {
    switch key {
    case .text(let text): try write(text)
    case .none, .bool, .integer, .largeInteger, .float:
      builder.append("\"", isMarkup: false)
      try write(key, level: 0)
      builder.append("\"", isMarkup: false)
    default:
      throw Failure(
        .invalidArgument,
        "keys must be str, int, float, bool or None, not \(evaluator.typeName(of: key))")
    }
  }

  private mutating func separate(_ index: Int, _ level: Int) throws(Failure) {
    if index > 0 { try append(itemSeparator) }
    try breakLine(level)
  }

  private mutating func breakLine(_ level: Int) throws(Failure) {
    guard let indent else { return }
    builder.append("\n", isMarkup: false)
    for _ in 0..<level { try append(indent) }
  }

  private mutating func write(_ text: TemplateText) throws(Failure) {
    try evaluator.budget.checkLength(builder.count + text.count)
    try evaluator.budget.spend(text.count * TemplateBudget.wanted)
    builder.append("\"", isMarkup: false)
    text.forEachRun { range, isMarkup in
      for position in range { write(text[position], isMarkup: isMarkup) }
    }
    builder.append("\"", isMarkup: false)
  }

  private mutating func write(_ scalar: Unicode.Scalar, isMarkup: Bool) {
    switch scalar {
    case "\"": builder.append("\\\"", isMarkup: isMarkup)
    case "\\": builder.append("\\\\", isMarkup: isMarkup)
    case "\n": builder.append("\\n", isMarkup: isMarkup)
    case "\r": builder.append("\\r", isMarkup: isMarkup)
    case "\t": builder.append("\\t", isMarkup: isMarkup)
    case "\u{08}": builder.append("\\b", isMarkup: isMarkup)
    case "\u{0C}": builder.append("\\f", isMarkup: isMarkup)
    default:
      guard scalar.value < 0x20 || (escapesNonASCII && scalar.value > 0x7E) else {
        return builder.append(scalar, isMarkup: isMarkup)
      }
      for unit in UTF16.encode(scalar) ?? UTF16.EncodedScalar() {
        let digits = String(unit, radix: 16)
        builder.append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits, isMarkup: isMarkup)
      }
    }
  }
}
