internal import DormouseSupport

/// The methods of Python's `str`.
extension TemplateEvaluator {
  func callText(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    try budget.spendText(text.count)
    return text.isSafe ? try callSafe(text, name, arguments) : try callPlain(text, name, arguments)
  }

  func callPlain(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch name {
    case "strip", "lstrip", "rstrip":
      let characters = try arguments.bind(["chars"], of: name)[0]
      return .text(try strip(text, characters, left: name != "rstrip", right: name != "lstrip"))
    case "split", "rsplit": return try split(text, arguments, fromEnd: name == "rsplit")
    case "splitlines":
      let keepsEnds = try arguments.bind(["keepends"], of: name)[0].map(isTrue) ?? false
      return try list(text.lines(keepsEnds: keepsEnds))
    case "startswith", "endswith": return try matchesEdge(text, arguments, atEnd: name == "endswith")
    case "find", "rfind", "index", "rindex", "count": return try search(text, name, arguments)
    case "replace": return .text(try callReplace(text, arguments))
    case "join":
      guard let items = try arguments.bind(["iterable"], of: name)[0] else { throw failure("join() needs a list") }
      return .text(try join(try self.items(of: items), separator: text, convertsItems: false))
    case "format": return .text(try format(text, braces: arguments))
    case "removeprefix", "removesuffix", "partition", "rpartition": return try cut(text, name, arguments)
    case "center", "ljust", "rjust", "zfill": return .text(try pad(text, name, arguments))
    case "format_map", "expandtabs", "translate", "maketrans": return try callRare(text, name, arguments)
    case "encode", "isidentifier": throw Failure(.unsupported, "the method str.\(name) is not supported")
    default:
      _ = try arguments.bind([], of: name)
      try budget.spend(text.count * TemplateBudget.mapped)
      return try callCase(text, name)
    }
  }

  private func callCase(_ text: TemplateText, _ name: String) throws(Failure) -> TemplateValue {
    switch name {
    case "upper": .text(text.uppercased())
    case "lower": .text(text.lowercased())
    case "casefold": .text(text.casefolded())
    case "capitalize": .text(text.capitalized())
    case "title": .text(text.titlecased())
    case "swapcase": .text(text.swapcased())
    case "isupper": .bool(text.isUppercase)
    case "islower": .bool(text.isLowercase)
    case "istitle": .bool(text.isTitlecase)
    case "isascii": .bool(text.scalars.allSatisfy(\.isASCII))
    case "isprintable": .bool(text.scalars.allSatisfy(\.isPythonPrintable))
    case "isspace": .bool(!text.isEmpty && text.scalars.allSatisfy(\.isPythonSpace))
    case "isalpha": .bool(!text.isEmpty && text.scalars.allSatisfy(\.isPythonAlphabetic))
    case "isalnum": .bool(!text.isEmpty && text.scalars.allSatisfy(\.isPythonAlphanumeric))
    case "isdigit": .bool(!text.isEmpty && text.scalars.allSatisfy(\.isPythonDigit))
    case "isdecimal": .bool(!text.isEmpty && text.scalars.allSatisfy(\.isPythonDecimal))
    case "isnumeric": .bool(!text.isEmpty && text.scalars.allSatisfy(\.isPythonNumeric))
    default: throw Failure(.unsupported, "the method str.\(name) is not supported")
    }
  }

  func list(_ texts: [TemplateText]) throws(Failure) -> TemplateValue {
    try budget.spend(texts.count * TemplateBudget.element)
    return try .list(texts.map { .text($0) })
  }

  /// A text argument, which must be given.
  func requireText(_ value: TemplateValue?, _ name: String) throws(Failure) -> TemplateText {
    guard let value else { throw failure("\(name)() needs a string argument") }
    guard case .text(let text) = value else {
      throw failure("\(name)() argument must be str, not \(typeName(of: value))")
    }
    return text
  }

  func strip(
    _ text: TemplateText, _ characters: TemplateValue?, left: Bool, right: Bool
  ) throws(Failure) -> TemplateText {
    guard let characters, !characters.isNone else {
      return text.stripped(left: left, right: right) { $0.isPythonSpace }
    }
    let given = try requireText(characters, "strip")
    try budget.spend(given.count * TemplateBudget.mapped + text.count * TemplateBudget.examined)
    let dropped = Set(given.scalars)
    return text.stripped(left: left, right: right) { dropped.contains($0) }
  }

  private func split(
    _ text: TemplateText, _ arguments: TemplateCallArguments, fromEnd: Bool
  ) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["sep", "maxsplit"], of: fromEnd ? "rsplit" : "split")
    let given = try integer(values[1], "maxsplit") ?? -1
    let limit = given < 0 ? Int.max : given
    guard let separator = values[0], !separator.isNone else {
      return try list(fromEnd ? text.wordsFromEnd(limit: limit) : text.words(limit: limit))
    }
    let part = try requireText(separator, "split")
    guard !part.isEmpty else { throw failure("empty separator") }
    try spendSearch(text, part)
    let positions = fromEnd ? text.positionsFromEnd(of: part, limit: limit) : text.positions(of: part, limit: limit)
    return try list(text.pieces(at: positions, length: part.count))
  }

  /// The cost of looking for `part`.
  private func spendSearch(_ text: TemplateText, _ part: TemplateText) throws(Failure) {
    try budget.spend(text.count + part.count * TemplateBudget.wanted)
  }

  /// An integer argument; nil when it was not given.
  func integer(_ value: TemplateValue?, _ name: String) throws(Failure) -> Int? {
    guard let value else { return nil }
    if value.isLargeInteger { throw TemplateLargeInteger.tooLarge }
    guard let number = value.integerValue else {
      throw failure("\(name) must be an integer, not \(typeName(of: value))")
    }
    return number
  }

  /// The part of `text` that the arguments `start` and `end` name, and where it begins.
  private func window(
    _ text: TemplateText, _ start: TemplateValue?, _ end: TemplateValue?
  ) throws(Failure) -> (part: TemplateText, offset: Int)? {
    func position(_ value: TemplateValue?, _ missing: Int) throws(Failure) -> Int {
      guard let value, !value.isNone, let index = try integer(value, "position") else { return missing }
      return index < 0 ? max(index + text.count, 0) : index
    }
    let first = try position(start, 0)
    let last = min(try position(end, text.count), text.count)
    guard first <= last else { return nil }
    return (text.slice(first..<last), first)
  }

  private func matchesEdge(
    _ text: TemplateText, _ arguments: TemplateCallArguments, atEnd: Bool
  ) throws(Failure) -> TemplateValue {
    let name = atEnd ? "endswith" : "startswith"
    let values = try arguments.bind(["prefix", "start", "end"], of: name)
    var choices: [TemplateText] = []
    if case .sequence(let sequence)? = values[0], sequence.kind == .tuple {
      try budget.spend(sequence.weight)
      for item in sequence.items { choices.append(try requireText(item, name)) }
    } else {
      choices = [try requireText(values[0], name)]
    }
    guard let (part, _) = try window(text, values[1], values[2]) else { return .bool(false) }
    return .bool(choices.contains { atEnd ? part.hasSuffix($0) : part.hasPrefix($0) })
  }

  private func search(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["sub", "start", "end"], of: name)
    let part = try requireText(values[0], name)
    try spendSearch(text, part)
    guard let (inside, offset) = try window(text, values[1], values[2]) else {
      if name == "count" { return .integer(0) }
      if name.hasSuffix("index") { throw failure("substring not found") }
      return .integer(-1)
    }
    if name == "count" {
      return .integer(part.isEmpty ? inside.count + 1 : inside.positions(of: part, limit: .max).count)
    }
    let found = name.hasPrefix("r") ? inside.lastIndex(of: part) : inside.firstIndex(of: part, from: 0)
    if let found { return .integer(found + offset) }
    guard !name.hasSuffix("index") else { throw failure("substring not found") }
    return .integer(-1)
  }

  private func callReplace(_ text: TemplateText, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateText {
    let values = try arguments.bind(["old", "new", "count"], of: "replace")
    let old = try requireText(values[0], "replace")
    let new = try requireText(values[1], "replace")
    return try replace(text, old, new, limit: try integer(values[2], "count") ?? -1)
  }

  /// `text.replace(old, new, limit)`; a negative limit means all.
  func replace(
    _ text: TemplateText, _ old: TemplateText, _ new: TemplateText, limit: Int
  ) throws(Failure) -> TemplateText {
    let limit = limit < 0 ? Int.max : limit
    try spendSearch(text, old)
    let positions =
      old.isEmpty
      ? Array((0...text.count).prefix(limit)) : text.positions(of: old, limit: limit)
    guard !positions.isEmpty else { return text }
    try budget.spendProduct(positions.count, new.count, isText: true)
    try budget.spendText(text.count + positions.count)
    try budget.spend(positions.count * TemplateBudget.element)
    var builder = TemplateTextBuilder()
    var start = 0
    for position in positions {
      builder.append(text.slice(start..<position))
      builder.append(new)
      start = position + old.count
    }
    builder.append(text.slice(start..<text.count))
    return builder.text
  }

  /// Joins `items`; those that are no strings are converted by the filter and refused by the method.
  func join(
    _ items: [TemplateValue], separator: TemplateText, convertsItems: Bool
  ) throws(Failure) -> TemplateText {
    var builder = TemplateTextBuilder()
    for (index, item) in items.enumerated() {
      if index > 0 { builder.append(separator) }
      if item.textValue == nil, !convertsItems {
        throw failure("sequence item \(index): expected str instance, \(typeName(of: item)) found")
      }
      let text = try text(of: item)
      try budget.checkLength(builder.count + text.count + separator.count)
      try budget.spend(text.count + separator.count + TemplateBudget.step)
      builder.append(text)
    }
    return builder.text
  }

  private func cut(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    let part = try requireText(try arguments.bind(["part"], of: name)[0], name)
    try spendSearch(text, part)
    switch name {
    case "removeprefix": return .text(text.hasPrefix(part) ? text.dropFirst(part.count) : text)
    case "removesuffix":
      return .text(text.hasSuffix(part) && !part.isEmpty ? text.slice(0..<text.count - part.count) : text)
    default:
      guard !part.isEmpty else { throw failure("empty separator") }
      let found = name == "partition" ? text.firstIndex(of: part, from: 0) : text.lastIndex(of: part)
      guard let found else {
        let parts: [TemplateText] = name == "partition" ? [text, .empty, .empty] : [.empty, .empty, text]
        return try .tuple(parts.map { .text($0) })
      }
      return try .tuple([
        .text(text.slice(0..<found)), .text(text.slice(found..<found + part.count)),
        .text(text.dropFirst(found + part.count)),
      ])
    }
  }

  private func pad(
    _ text: TemplateText, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateText {
    let values = try arguments.bind(["width", "fillchar"], of: name)
    guard let width = try integer(values[0], "width") else { throw failure("\(name)() needs a width") }
    let fill =
      name == "zfill"
      ? TemplateText("0", isMarkup: true)
      : try values[1].map { (value) throws(Failure) in try requireText(value, name) }
        ?? TemplateText(" ", isMarkup: true)
    guard fill.count == 1 else { throw failure("the fill character must be exactly one character long") }
    let missing = width > text.count ? width - text.count : 0
    // Python puts the odd character of center() to the left when the width is odd.
    let left = name == "ljust" ? 0 : name == "center" ? missing / 2 + (missing & width & 1) : missing
    let hasSign = name == "zfill" && !text.isEmpty && (text[0] == "-" || text[0] == "+")
    return try pad(text, fill, left: left, right: missing - left, after: hasSign ? 1 : 0)
  }

  /// Puts `fill` `left` times in front of the character at `after`, and `right` times behind the text.
  func pad(
    _ text: TemplateText, _ fill: TemplateText, left: Int, right: Int, after: Int
  ) throws(Failure) -> TemplateText {
    try budget.spendText(left)
    try budget.spendText(right)
    var builder = TemplateTextBuilder()
    builder.append(text.slice(0..<after))
    for _ in 0..<left { builder.append(fill) }
    builder.append(text.dropFirst(after))
    for _ in 0..<right { builder.append(fill) }
    return builder.text
  }
}
