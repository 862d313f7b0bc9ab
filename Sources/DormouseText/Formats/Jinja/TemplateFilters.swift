internal import DormouseSupport

/// The filters of jinja2 that concern one value; those over items are in `TemplateItemFilters.swift`.
extension TemplateEvaluator {
  func apply(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch filter {
    case .d, .default: return try applyDefault(value, arguments)
    case .tojson:
      var writer = try TemplateJSONWriter(self, arguments)
      return .text(try writer.text(value))
    case .abs, .int, .float, .round: return try applyNumeric(filter, value, arguments)
    case .trim, .upper, .lower, .capitalize, .title, .replace, .indent, .center, .truncate, .wordcount, .format,
      .string, .safe, .e, .escape, .forceescape, .urlencode:
      return try applyText(filter, value, arguments)
    case .count, .length: return .integer(try length(of: value, arguments))
    case .attr:
      guard case .text(let name)? = try arguments.bind(["name"], of: "attr")[0] else {
        throw failure("attr needs a name")
      }
      if case .dictionary = value, let found = try? attribute(name, of: value), case .method = found { return found }
      if case .dictionary = value { return .undefined(named: name.string) }
      return try attribute(name, of: value)
    default: return try applyToItems(filter, value, arguments)
    }
  }

  private func applyDefault(
    _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["default_value", "boolean"], of: "default")
    let replacesFalse = values[1].map(isTrue) ?? false
    guard value.isUndefined || (replacesFalse && !isTrue(value)) else { return value }
    return values[0] ?? .emptyText
  }

  private func length(of value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> Int {
    _ = try arguments.bind([], of: "length")
    switch value {
    case .undefined: return 0
    case .text(let text): return text.count
    case .sequence(let sequence): return sequence.items.count
    case .dictionary(let dictionary): return dictionary.count
    case .object(let number):
      if case .loop(let state) = objects[number] { return try length(state) }
    default: break
    }
    throw failure("object of type '\(typeName(of: value))' has no len()")
  }

  // MARK: Texts

  private func applyText(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    if filter == .urlencode {
      _ = try arguments.bind([], of: "urlencode")
      return .text(try urlEncoded(value))
    }
    let text = try text(of: value)
    try budget.spendText(text.count)
    switch filter {
    case .trim:
      let characters = try arguments.bind(["chars"], of: "trim")[0]
      return .text(try strip(text, characters, left: true, right: true).marked(safe: text.isSafe))
    case .replace:
      let values = try arguments.bind(["old", "new", "count"], of: "replace")
      guard let old = values[0], let new = values[1] else { throw failure("replace needs two strings") }
      let limit = values[2].map(\.isNone) == false ? try integer(values[2], "count") ?? -1 : -1
      let replaced = try replace(text, try self.text(of: old), try self.text(of: new), limit: limit)
      return .text(replaced.marked(safe: false))
    case .indent: return .text(try indent(text, arguments).marked(safe: text.isSafe))
    case .center:
      let width = try integer(try arguments.bind(["width"], of: "center")[0], "width") ?? 80
      let padded = TemplateCallArguments(positional: [.integer(width)])
      return try callText(text, "center", padded)
    case .truncate: return .text(try truncate(text, arguments))
    case .wordcount:
      try budget.spend(text.count * TemplateBudget.examined)
      return .integer(wordCount(text))
    case .format: return .text(try formatFilter(text, arguments))
    case .e, .escape: return .text(try escaped(text))
    case .forceescape: return .text(try escaped(text.marked(safe: false)))
    default:
      _ = try arguments.bind([], of: filter.rawValue)
      if filter != .string, filter != .safe { try budget.spend(text.count * TemplateBudget.mapped) }
      return .text(changeCase(filter, text))
    }
  }

  private func changeCase(_ filter: TemplateFilter, _ text: TemplateText) -> TemplateText {
    switch filter {
    case .upper: text.uppercased().marked(safe: text.isSafe)
    case .lower: text.lowercased().marked(safe: text.isSafe)
    case .capitalize: text.capitalized().marked(safe: text.isSafe)
    case .title: text.filterTitlecased()
    case .safe: text.marked(safe: true)
    default: text
    }
  }

  private func wordCount(_ text: TemplateText) -> Int {
    var count = 0
    var isInWord = false
    for scalar in text.scalars {
      let isWord = scalar.isPythonWord
      if isWord, !isInWord { count += 1 }
      isInWord = isWord
    }
    return count
  }

  private func indent(_ text: TemplateText, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateText {
    let values = try arguments.bind(["width", "first", "blank"], of: "indent")
    let indentation: TemplateText
    if case .text(let given)? = values[0] {
      indentation = given
    } else {
      let width = max(try integer(values[0], "width") ?? 4, 0)
      try budget.spendText(width)
      indentation = TemplateText(String(repeating: " ", count: width), isMarkup: true)
    }
    let indentsBlank = values[2].map(isTrue) ?? false
    // As in the reference, a last line feed leaves an empty last line.
    var lines = text.lines(keepsEnds: false)
    if text.isEmpty || text[text.count - 1].isPythonLineEnd { lines.append(.empty) }
    try budget.spendProduct(lines.count, indentation.count + 1, isText: true)
    var builder = TemplateTextBuilder()
    for (index, line) in lines.enumerated() {
      if index > 0 { builder.append("\n", isMarkup: false) }
      let isIndented = index == 0 ? values[1].map(isTrue) ?? false : indentsBlank || !line.isEmpty
      if isIndented { builder.append(indentation) }
      builder.append(line)
    }
    return builder.text
  }

  private func truncate(_ text: TemplateText, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateText {
    let values = try arguments.bind(["length", "killwords", "end", "leeway"], of: "truncate")
    let length = try integer(values[0], "length") ?? 255
    let end =
      try values[2].map { (value) throws(Failure) in try requireText(value, "truncate") }
      ?? TemplateText("...", isMarkup: true)
    let leeway = values[3].map(\.isNone) == false ? try integer(values[3], "leeway") ?? 5 : 5
    guard length >= end.count, leeway >= 0 else { throw failure("truncate: length or leeway is too small") }
    if text.count <= length || text.count - length <= leeway { return text }
    var result = text.slice(0..<length - end.count)
    if values[1].map(isTrue) != true, let space = result.lastIndex(of: TemplateText(" ", isMarkup: true)) {
      result = result.slice(0..<space)
    }
    var builder = TemplateTextBuilder()
    builder.append(result)
    builder.append(text.isSafe ? try escaped(end) : end)
    return builder.text.marked(safe: text.isSafe)
  }

  private func formatFilter(_ text: TemplateText, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateText {
    guard arguments.positional.isEmpty || arguments.keywords.isEmpty else {
      throw failure("format cannot handle positional and keyword arguments at the same time")
    }
    if arguments.keywords.isEmpty { return try format(text, percent: try .tuple(arguments.positional)) }
    let members = arguments.keywords.map { (key: TemplateValue.markup($0.name), value: $0.value) }
    return try format(text, percent: .dictionary(try .make(members)))
  }

  // MARK: Numbers

  private func applyNumeric(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch filter {
    case .abs:
      _ = try arguments.bind([], of: "abs")
      if case .float(let number) = value { return .float(abs(number)) }
      if case .largeInteger(let number) = value { return number.isNegative ? number.negated() : value }
      guard let number = value.integerValue else {
        throw failure("bad operand type for abs(): '\(typeName(of: value))'")
      }
      return number < 0 ? try sign(.integer(number), isNegative: true) : .integer(number)
    case .int: return try toInteger(value, arguments)
    case .float:
      let missing = try arguments.bind(["default"], of: "float")[0] ?? .float(0)
      if case .undefined(let undefined) = value { throw failure(undefined.message) }
      if let number = value.number { return .float(number) }
      try budget.spend((value.textValue?.count ?? 0) * TemplateBudget.examined)
      return value.textValue.flatMap { TemplateEvaluator.parseFloat($0.string) }.map { .float($0) } ?? missing
    default: return try round(value, arguments)
    }
  }

  private func toInteger(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["default", "base"], of: "int")
    let missing = values[0] ?? .integer(0)
    switch value {
    case .undefined(let undefined): throw failure(undefined.message)
    case .bool, .integer: return .integer(value.integerValue ?? 0)
    case .largeInteger: return value
    case .float(let number):
      guard number.isFinite else { return missing }
      return try truncated(number)
    case .text(let text):
      try budget.spend(text.count * TemplateBudget.examined)
      let string = text.string
      if let number = TemplateEvaluator.parseInteger(string, base: try integer(values[1], "base") ?? 10) {
        return .integer(number)
      }
      guard let number = TemplateEvaluator.parseFloat(string), number.isFinite else { return missing }
      return try truncated(number)
    default: return missing
    }
  }

  private func truncated(_ number: Double) throws(Failure) -> TemplateValue {
    guard let whole = Int(exactly: number.rounded(.towardZero)) else {
      throw TemplateLargeInteger.tooLarge
    }
    return .integer(whole)
  }

  /// `int(string, base)`; nil for what Python refuses.
  static func parseInteger(_ string: String, base: Int) -> Int? {
    guard base == 0 || (2...36).contains(base) else { return nil }
    var scalars = Array(
      TemplateText(string, isMarkup: false).stripped(left: true, right: true) { $0.isPythonSpace }.scalars)
    var isNegative = false
    if let first = scalars.first, first == "-" || first == "+" {
      isNegative = first == "-"
      scalars.removeFirst()
    }
    var radix = base
    if scalars.count > 2, scalars[0] == "0" {
      let prefixes: [Unicode.Scalar: Int] = ["b": 2, "B": 2, "o": 8, "O": 8, "x": 16, "X": 16]
      if let prefix = prefixes[scalars[1]], base == prefix || base == 0 {
        radix = prefix
        scalars.removeFirst(2)
      }
    }
    guard let digits = plainDigits(scalars) else { return nil }
    return Int((isNegative ? "-" : "") + digits, radix: radix == 0 ? 10 : radix)
  }

  /// Digits without the single underscores that may stand between them; nil when one stands elsewhere.
  private static func plainDigits(_ scalars: [Unicode.Scalar]) -> String? {
    var result = ""
    var isAfterDigit = false
    for scalar in scalars {
      if scalar == "_" {
        guard isAfterDigit else { return nil }
        isAfterDigit = false
      } else {
        guard scalar != "+", scalar != "-" else { return nil }
        result.unicodeScalars.append(scalar)
        isAfterDigit = true
      }
    }
    return isAfterDigit ? result : nil
  }

  /// `float(string)`; nil for what Python refuses.
  static func parseFloat(_ string: String) -> Double? {
    let text = TemplateText(string, isMarkup: false).stripped(left: true, right: true) { $0.isPythonSpace }.string
    let lower = text.lowercased()
    let word = lower.hasPrefix("-") || lower.hasPrefix("+") ? String(lower.dropFirst()) : lower
    if ["inf", "infinity", "nan"].contains(word) {
      return word == "nan" ? .nan : lower.hasPrefix("-") ? -.infinity : .infinity
    }
    guard word.utf8.allSatisfy({ (0x30...0x39).contains($0) || [0x2E, 0x65, 0x2B, 0x2D].contains($0) }),
      word.utf8.contains(where: { (0x30...0x39).contains($0) })
    else { return nil }
    return Double(text)
  }

  private func round(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["precision", "method"], of: "round")
    let precision = try integer(values[0], "precision") ?? 0
    let method = values[1]?.textValue?.string ?? "common"
    guard ["common", "ceil", "floor"].contains(method) else { throw failure("method must be common, ceil or floor") }
    guard (-300...300).contains(precision) else { throw failure("the precision \(precision) is out of range") }
    if case .undefined(let undefined) = value { throw failure(undefined.message) }
    if value.isLargeInteger, method == "common" {
      if precision >= 0 { return value }
      throw TemplateLargeInteger.tooLarge
    }
    guard let number = value.number else {
      throw failure("type \(typeName(of: value)) doesn't define __round__ method")
    }
    if method == "common" {
      guard case .float(let float) = value else { return try roundWhole(value.integerValue ?? 0, precision) }
      return .float(TemplateEvaluator.rounded(float, precision))
    }
    guard case .float(let factor) = try calculate(.power, .float(10), .integer(precision)) else { return value }
    let scaled = (number * factor).rounded(method == "ceil" ? .up : .down)
    return .float(scaled / factor)
  }

  private func roundWhole(_ number: Int, _ precision: Int) throws(Failure) -> TemplateValue {
    guard precision < 0 else { return .integer(number) }
    guard precision > -19, case .integer(let unit) = try calculate(.power, .integer(10), .integer(-precision)) else {
      return .integer(0)
    }
    let rest = number % unit
    let down = number - rest
    let (twice, overflow) = abs(rest).multipliedReportingOverflow(by: 2)
    let isUp = overflow || twice > unit || (twice == unit && (down / unit) % 2 != 0)
    guard isUp else { return .integer(down) }
    return try calculate(.add, .integer(down), .integer(number < 0 ? -unit : unit))
  }

  /// `round(number, precision)`: to even by the exact decimal expansion.
  static func rounded(_ number: Double, _ precision: Int) -> Double {
    guard number.isFinite else { return number }
    if precision == 0 { return number.rounded(.toNearestOrEven) }
    if precision < 0 {
      var factor = 1.0
      for _ in 0..<(-precision) { factor *= 10 }
      return (number / factor).rounded(.toNearestOrEven) * factor
    }
    return Double(TemplateNumberFormat.fixed(number, precision)) ?? number
  }
}
