internal import DormouseSupport

/// `format % values` and `format.format(...)`.
extension TemplateEvaluator {
  /// Reads an unsigned number at `index`; it stops growing where it can no longer matter.
  private func readNumber(_ text: TemplateText, _ index: inout Int) -> Int? {
    var result: Int?
    while index < text.count, ("0"..."9").contains(text[index]) {
      result = min((result ?? 0) * 10 + Int(text[index].value) - 0x30, 1 << 40)
      index += 1
    }
    return result
  }

  // MARK: Percent

  func format(_ format: TemplateText, percent values: TemplateValue) throws(Failure) -> TemplateText {
    try budget.spendText(format.count)
    var rest: ArraySlice<TemplateValue>
    if case .sequence(let sequence) = values, sequence.kind == .tuple {
      rest = sequence.items[...]
    } else {
      rest = [values]
    }
    var builder = TemplateTextBuilder()
    var index = 0
    var usesMapping = false
    while index < format.count {
      let start = index
      while index < format.count, format[index] != "%" { index += 1 }
      builder.append(format.slice(start..<index))
      guard index < format.count else { break }
      let isMarkup = format.isMarkup(at: index)
      index += 1
      let key = try readKey(format, &index)
      let specification = try readPercent(format, &index, &rest)
      if specification.type == "%" {
        builder.append("%", isMarkup: isMarkup)
        continue
      }
      usesMapping = usesMapping || key != nil
      let value = if let key { try member(key, of: values) } else { try takeFirst(&rest) }
      let text = try convert(value, specification, isMarkup: isMarkup, escapes: format.isSafe)
      try budget.checkLength(builder.count + text.count)
      try budget.spend(text.count + TemplateBudget.step)
      builder.append(text)
    }
    if case .dictionary = values { usesMapping = true }
    guard rest.isEmpty || usesMapping else { throw failure("not all arguments converted during string formatting") }
    return builder.text.marked(safe: format.isSafe)
  }

  private func takeFirst(_ rest: inout ArraySlice<TemplateValue>) throws(Failure) -> TemplateValue {
    guard let first = rest.popFirst() else { throw failure("not enough arguments for format string") }
    return first
  }

  private func member(_ key: TemplateText, of values: TemplateValue) throws(Failure) -> TemplateValue {
    guard case .dictionary(let dictionary) = values else { throw failure("format requires a mapping") }
    guard let value = dictionary.value(for: key) else { throw failure("the mapping has no key '\(key.string)'") }
    return value
  }

  private func readKey(_ format: TemplateText, _ index: inout Int) throws(Failure) -> TemplateText? {
    guard index < format.count, format[index] == "(" else { return nil }
    let start = index + 1
    while index < format.count, format[index] != ")" { index += 1 }
    guard index < format.count else { throw failure("incomplete format key") }
    index += 1
    return format.slice(start..<index - 1)
  }

  private func readPercent(
    _ format: TemplateText, _ index: inout Int, _ rest: inout ArraySlice<TemplateValue>
  ) throws(Failure) -> TemplateFormatSpecification {
    var result = TemplateFormatSpecification()
    var isLeft = false
    while index < format.count, ["-", "+", " ", "0", "#"].contains(format[index]) {
      switch format[index] {
      case "-": isLeft = true
      case "0": result.fill = "0"
      case "#": result.isAlternate = true
      default: if result.sign != "+" { result.sign = format[index] }
      }
      index += 1
    }
    result.width = try readCount(format, &index, &rest) ?? 0
    if index < format.count, format[index] == "." {
      index += 1
      result.precision = try readCount(format, &index, &rest) ?? 0
    }
    while index < format.count, ["h", "l", "L"].contains(format[index]) { index += 1 }
    guard index < format.count else { throw failure("incomplete format") }
    result.type = format[index]
    index += 1
    result.alignment = isLeft || result.width < 0 ? "<" : result.fill == "0" ? "=" : ">"
    if result.alignment == "<" { result.fill = " " }
    result.width = abs(result.width)
    return result
  }

  private func readCount(
    _ format: TemplateText, _ index: inout Int, _ rest: inout ArraySlice<TemplateValue>
  ) throws(Failure) -> Int? {
    guard index < format.count, format[index] == "*" else { return readNumber(format, &index) }
    index += 1
    guard let count = try takeFirst(&rest).integerValue, abs(Double(count)) < 1e12 else { throw failure("* wants int") }
    return count
  }

  private func convert(
    _ value: TemplateValue, _ given: TemplateFormatSpecification, isMarkup: Bool, escapes: Bool
  ) throws(Failure) -> TemplateText {
    var specification = given
    switch given.type {
    case "s", "r", "a":
      specification.type = "s"
      if specification.alignment == "=" { (specification.alignment, specification.fill) = (">", " ") }
      var text = given.type == "s" ? try text(of: value) : try representation(of: value)
      if escapes { text = try escaped(text) }
      return try format(.text(text), specification, isMarkup: isMarkup)
    case "c":
      if let number = value.integerValue {
        guard let scalar = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else {
          throw failure("%c arg not in range(0x110000)")
        }
        return TemplateText(scalars: [scalar], isMarkup: isMarkup)
      }
      guard case .text(let text) = value, text.count == 1 else { throw failure("%c requires int or char") }
      return text
    case "d", "i", "u":
      specification.type = "d"
      if case .undefined(let undefined) = value { throw failure(undefined.message) }
      specification.precision = nil
      if value.isLargeInteger { return try format(value, specification, isMarkup: isMarkup) }
      guard let number = value.number else {
        throw failure("%d format: a real number is required, not \(typeName(of: value))")
      }
      guard let whole = value.integerValue ?? Int(exactly: number.rounded(.towardZero)) else {
        throw TemplateLargeInteger.tooLarge
      }
      return try format(.integer(whole), specification, isMarkup: isMarkup)
    case "x", "X", "o", "e", "E", "f", "F", "g", "G": return try format(value, specification, isMarkup: isMarkup)
    default: throw failure("unsupported format character '\(given.type.map { String(Character($0)) } ?? "")'")
    }
  }

  /// `repr(value)`.
  func representation(of value: TemplateValue) throws(Failure) -> TemplateText {
    var builder = TemplateTextBuilder()
    try describe(value, into: &builder)
    return builder.text
  }

  // MARK: Braces

  func format(_ format: TemplateText, braces arguments: TemplateCallArguments) throws(Failure) -> TemplateText {
    var builder = TemplateTextBuilder()
    var index = 0
    var automatic = 0
    while index < format.count {
      let scalar = format[index]
      let isMarkup = format.isMarkup(at: index)
      index += 1
      if scalar != "{", scalar != "}" {
        builder.append(scalar, isMarkup: isMarkup)
        continue
      }
      if index < format.count, format[index] == scalar {
        builder.append(scalar, isMarkup: isMarkup)
        index += 1
        continue
      }
      guard scalar == "{" else { throw failure("Single '}' encountered in format string") }
      var text = try formatField(format, &index, &automatic, arguments, isMarkup: isMarkup)
      if format.isSafe { text = try escaped(text) }
      try budget.checkLength(builder.count + text.count)
      try budget.spend(text.count + TemplateBudget.step)
      builder.append(text)
    }
    return builder.text.marked(safe: format.isSafe)
  }

  private func formatField(
    _ format: TemplateText, _ index: inout Int, _ automatic: inout Int, _ arguments: TemplateCallArguments,
    isMarkup: Bool
  ) throws(Failure) -> TemplateText {
    let start = index
    while index < format.count, format[index] != "}" {
      guard format[index] != "{" else {
        throw Failure(.unsupported, "a replacement field inside a format specification is not supported")
      }
      index += 1
    }
    guard index < format.count else { throw failure("expected '}' before end of string") }
    let field = format.slice(start..<index)
    index += 1
    let colon = field.firstIndex(of: TemplateText(":", isMarkup: true), from: 0) ?? field.count
    let name = field.slice(0..<colon)
    let mark = name.firstIndex(of: TemplateText("!", isMarkup: true), from: 0)
    var value = try fieldValue(name.slice(0..<(mark ?? name.count)), &automatic, arguments)
    if let mark {
      switch name.dropFirst(mark + 1).string {
      case "s": value = .text(try text(of: value))
      case "r", "a": value = .text(try representation(of: value))
      default: throw failure("unknown conversion specifier in a format string")
      }
    }
    return try self.format(value, try readBraces(field.dropFirst(colon + 1)), isMarkup: isMarkup)
  }

  private func fieldValue(
    _ name: TemplateText, _ automatic: inout Int, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    var index = 0
    while index < name.count, name[index] != ".", name[index] != "[" { index += 1 }
    let first = name.slice(0..<index).string
    var value: TemplateValue
    if first.isEmpty || first.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
      let position = first.isEmpty ? automatic : Int(first) ?? .max
      if first.isEmpty { automatic += 1 }
      guard position < arguments.positional.count else {
        throw failure("Replacement index \(position) out of range for positional args tuple")
      }
      value = arguments.positional[position]
    } else {
      guard let given = arguments.keywords.first(where: { $0.name == first }) else {
        throw failure("a format string names the missing argument '\(first)'")
      }
      value = given.value
    }
    while index < name.count { value = try fieldMember(name, &index, of: value) }
    return value
  }

  private func fieldMember(
    _ name: TemplateText, _ index: inout Int, of value: TemplateValue
  ) throws(Failure) -> TemplateValue {
    let isItem = name[index] == "["
    let start = index + 1
    index = start
    while index < name.count, isItem ? name[index] != "]" : name[index] != "." && name[index] != "[" { index += 1 }
    let key = name.slice(start..<index)
    guard isItem else { return try attribute(key, of: value) }
    guard index < name.count else { throw failure("Missing ']' in format string") }
    index += 1
    return try item(Int(key.string).map { .integer($0) } ?? .text(key), of: value)
  }

  private func readBraces(_ text: TemplateText) throws(Failure) -> TemplateFormatSpecification {
    var result = TemplateFormatSpecification()
    var index = 0
    let alignments: [Unicode.Scalar] = ["<", ">", "^", "="]
    if text.count > 1, alignments.contains(text[1]) {
      (result.fill, result.alignment, index) = (text[0], text[1], 2)
    } else if !text.isEmpty, alignments.contains(text[0]) {
      (result.alignment, index) = (text[0], 1)
    }
    func take(_ allowed: Unicode.Scalar...) -> Unicode.Scalar? {
      guard index < text.count, allowed.contains(text[index]) else { return nil }
      index += 1
      return text[index - 1]
    }
    result.sign = take("+", "-", " ")
    result.isAlternate = take("#") != nil
    if take("0") != nil, result.alignment == nil { (result.fill, result.alignment) = ("0", "=") }
    result.width = readNumber(text, &index) ?? 0
    result.grouping = take(",", "_")
    if take(".") != nil {
      guard let precision = readNumber(text, &index) else { throw failure("Format specifier missing precision") }
      result.precision = precision
    }
    result.type = take("s", "d", "f", "F", "e", "E", "g", "G", "x", "X", "o", "b", "%")
    guard index == text.count else { throw failure("Invalid format specifier '\(text.string)'") }
    return result
  }
}
