internal import DormouseSupport

/// Methods of Python's `str`, and a filter, that few templates use.
extension TemplateEvaluator {
  func callRare(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch name {
    case "format_map":
      guard case .dictionary(let mapping)? = try arguments.bind(["mapping"], of: name)[0] else {
        throw failure("format_map() needs a mapping")
      }
      let keywords = mapping.members.compactMap { key, value in key.textValue.map { (name: $0.string, value: value) } }
      return .text(try format(text, braces: TemplateCallArguments(keywords: keywords)))
    case "expandtabs":
      let size = try integer(try arguments.bind(["tabsize"], of: name)[0], "tabsize") ?? 8
      return .text(try expandTabs(text, size: max(size, 0)))
    case "translate":
      guard case .dictionary(let table)? = try arguments.bind(["table"], of: name)[0] else {
        throw Failure(.unsupported, "str.translate is supported with a mapping only")
      }
      return .text(try translate(text, table))
    default: return .dictionary(try makeTranslation(try arguments.bind(["x", "y", "z"], of: name)))
    }
  }

  private func expandTabs(_ text: TemplateText, size: Int) throws(Failure) -> TemplateText {
    var builder = TemplateTextBuilder()
    var column = 0
    for position in 0..<text.count {
      let scalar = text[position]
      guard scalar == "\t" else {
        column = scalar == "\n" || scalar == "\r" ? 0 : column + 1
        builder.append(scalar, isMarkup: text.isMarkup(at: position))
        continue
      }
      guard size > 0 else { continue }
      let width = size - column % size
      try budget.checkLength(builder.count)
      try budget.spendText(width)
      column += width
      builder.append(String(repeating: " ", count: width), isMarkup: text.isMarkup(at: position))
    }
    try budget.checkLength(builder.count)
    return builder.text
  }

  /// - Parameter table: from the numbers of characters to what stands in their place: a number, a text or None.
  private func translate(_ text: TemplateText, _ table: TemplateDictionary) throws(Failure) -> TemplateText {
    var builder = TemplateTextBuilder()
    for position in 0..<text.count {
      let scalar = text[position]
      let isMarkup = text.isMarkup(at: position)
      switch try table.value(for: .integer(Int(scalar.value))) {
      case nil: builder.append(scalar, isMarkup: isMarkup)
      case .some(.none): break
      case .text(let replacement)?:
        try budget.checkLength(builder.count + replacement.count)
        try budget.spend(replacement.count)
        builder.append(replacement)
      case let value?:
        guard let number = value.integerValue, let new = UInt32(exactly: number).flatMap(Unicode.Scalar.init) else {
          throw failure("character mapping must return integer, None or str")
        }
        builder.append(new, isMarkup: isMarkup)
      }
    }
    return builder.text
  }

  /// `str.maketrans(x, y, z)`.
  private func makeTranslation(_ values: [TemplateValue?]) throws(Failure) -> TemplateDictionary {
    var members: [(key: TemplateValue, value: TemplateValue)] = []
    if case .dictionary(let given)? = values[0], values[1] == nil {
      for (key, value) in given.members { members.append((try number(ofKey: key), value)) }
      return try .make(members)
    }
    let from = try requireText(values[0], "maketrans")
    let to = try requireText(values[1], "maketrans")
    guard from.count == to.count else {
      throw failure("the first two maketrans arguments must have equal length")
    }
    try budget.spendProduct(from.count, 2, isText: false)
    for position in 0..<from.count {
      members.append((.integer(Int(from[position].value)), .integer(Int(to[position].value))))
    }
    if let removed = values[2] {
      for scalar in try requireText(removed, "maketrans").scalars {
        members.append((.integer(Int(scalar.value)), .none))
      }
    }
    return try .make(members)
  }

  private func number(ofKey key: TemplateValue) throws(Failure) -> TemplateValue {
    guard case .text(let text) = key else { return key }
    guard text.count == 1 else { throw failure("string keys in translate table must be of length 1") }
    return .integer(Int(text[0].value))
  }

  // MARK: urlencode

  /// The filter `urlencode`: a text percent-encoded, or the pairs of a mapping as a query.
  func urlEncoded(_ value: TemplateValue) throws(Failure) -> TemplateText {
    let pairs: [TemplateValue]
    switch value {
    case .undefined, .sequence, .object: pairs = try items(of: value)
    case .dictionary(let dictionary):
      try budget.spendProduct(dictionary.count, 2, isText: false)
      pairs = try dictionary.items()
    default: return try quoted(try text(of: value), inQuery: false)
    }
    var builder = TemplateTextBuilder()
    for (index, pair) in pairs.enumerated() {
      let parts = try items(of: pair)
      guard parts.count == 2 else { throw failure("urlencode needs pairs, got \(parts.count) values") }
      if index > 0 { builder.append("&", isMarkup: false) }
      builder.append(try quoted(try text(of: parts[0]), inQuery: true))
      builder.append("=", isMarkup: false)
      builder.append(try quoted(try text(of: parts[1]), inQuery: true))
      try budget.checkLength(builder.count)
    }
    return builder.text
  }

  private func quoted(_ text: TemplateText, inQuery: Bool) throws(Failure) -> TemplateText {
    try budget.spendProduct(text.count, 12, isText: true)
    var builder = TemplateTextBuilder()
    for position in 0..<text.count {
      let scalar = text[position]
      let isMarkup = text.isMarkup(at: position)
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", "_", ".", "-", "~": builder.append(scalar, isMarkup: isMarkup)
      case "/" where !inQuery: builder.append(scalar, isMarkup: isMarkup)
      case " " where inQuery: builder.append("+", isMarkup: isMarkup)
      default:
        for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
          let digits = String(byte, radix: 16, uppercase: true)
          builder.append("%" + (byte < 16 ? "0" : "") + digits, isMarkup: isMarkup)
        }
      }
    }
    return builder.text
  }
}
