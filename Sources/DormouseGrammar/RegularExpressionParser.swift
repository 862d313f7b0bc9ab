import DormouseSupport

extension RegularExpression {
  /// - Throws: `Failure(.invalidArgument)` for what is no regular expression, `.unsupported` for what no automaton
  ///   decides; both name the place.
  static func parse(_ pattern: String) throws(Failure) -> RegularExpression {
    var parser = RegularExpressionParser(pattern)
    return try parser.parse()
  }
}

private struct RegularExpressionParser {
  private let pattern: String
  private var text: ScalarCursor
  private var depth = 0

  private static let maximumDepth = 100
  private static let maximumLength = 1 << 16
  private static let maximumRepetition: Int32 = 100_000

  init(_ pattern: String) {
    self.pattern = pattern
    text = ScalarCursor(pattern)
  }

  mutating func parse() throws(Failure) -> RegularExpression {
    guard text.count <= Self.maximumLength else {
      throw Failure(
        .invalidArgument, "a pattern of \(text.count) characters; expected at most \(Self.maximumLength)")
    }
    let result = try alternatives()
    guard text.next == nil else { throw wrong("a closing parenthesis without an opening one") }
    return result
  }

  private func wrong(_ what: String, _ status: Status = .invalidArgument) -> Failure {
    Failure(status, "pattern \(Excerpt.name(pattern)), character \(text.place + 1): \(what)")
  }

  private mutating func alternatives() throws(Failure) -> RegularExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw wrong("more than \(Self.maximumDepth) parentheses in one another") }
    var parts = [try sequence()]
    while text.take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(Failure) -> RegularExpression {
    var parts: [RegularExpression] = []
    while let scalar = text.next, scalar != "|", scalar != ")" {
      let part = try atom()
      parts.append(try quantified(part))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  // MARK: - Repetitions

  private mutating func quantified(_ part: RegularExpression) throws(Failure) -> RegularExpression {
    guard let (minimum, maximum) = try quantifier() else { return part }
    // Which of several matches is taken does not matter here.
    _ = text.take("?")
    if try quantifier() != nil { throw wrong("nothing to repeat") }
    return .repetition(part, minimum: minimum, maximum: maximum)
  }

  private mutating func quantifier() throws(Failure) -> (Int32, Int32)? {
    if text.take("*") { return (0, Expressions.unlimited) }
    if text.take("+") { return (1, Expressions.unlimited) }
    if text.take("?") { return (0, 1) }
    let start = text.place
    guard text.take("{") else { return nil }
    guard let minimum = try number() else {
      // Where no number follows it stands for itself.
      text.goBack(to: start)
      return nil
    }
    var maximum = minimum
    if text.take(",") { maximum = try number() ?? Expressions.unlimited }
    guard text.take("}") else {
      text.goBack(to: start)
      return nil
    }
    guard minimum <= maximum else { throw wrong("a repetition of at least \(minimum) and at most \(maximum)") }
    return (minimum, maximum)
  }

  private mutating func number() throws(Failure) -> Int32? {
    let number = text.number(upTo: Self.maximumRepetition)
    if let number, number > Self.maximumRepetition {
      throw wrong("more than \(Self.maximumRepetition) repetitions", .unsupported)
    }
    return number
  }

  // MARK: - Atoms

  private mutating func atom() throws(Failure) -> RegularExpression {
    guard let scalar = text.next else { throw wrong("the end") }
    text.advance()
    switch scalar {
    case "^": return .start
    case "$": return .end
    case ".": return .characters(ScalarSet.lineTerminators.complement)
    case "(": return try group()
    case "[": return .characters(try characterClass())
    case "\\": return try escape()
    case "*", "+", "?":
      text.goBack(to: text.place - 1)
      throw wrong("nothing to repeat")
    default: return .characters(ScalarSet(scalar))
    }
  }

  private mutating func group() throws(Failure) -> RegularExpression {
    var lookahead: Bool?
    if text.take("?:") {
    } else if text.take("?=") {
      lookahead = false
    } else if text.take("?!") {
      lookahead = true
    } else if text.isNext("?<=")
      || text.isNext("?<!")
    {
      throw wrong("looking behind is not supported", .unsupported)
    } else if text.take("?<") || text.take("?P<") {
      while let scalar = text.next, scalar != ">" { text.advance() }
      guard text.take(">") else { throw wrong("a group's name does not end") }
    } else if text.next == "?" {
      throw wrong("a group of this kind is not supported", .unsupported)
    }
    let inner = try alternatives()
    guard text.take(")") else { throw wrong("a parenthesis is not closed") }
    return lookahead.map { .lookahead(inner, isNegative: $0) } ?? inner
  }

  private mutating func escape() throws(Failure) -> RegularExpression {
    guard let scalar = text.next else { throw wrong("a backslash at the end") }
    switch scalar {
    case "b", "B": throw wrong("word boundaries are not supported", .unsupported)
    case "1"..."9", "k": throw wrong("references to groups are not supported", .unsupported)
    case "A":
      text.advance()
      return .start
    case "Z", "z":
      text.advance()
      return .end
    default: return .characters(try escapedSet(inClass: false))
    }
  }

  /// What a backslash, which is taken already, and what follows stand for.
  private mutating func escapedSet(inClass: Bool) throws(Failure) -> ScalarSet {
    guard let scalar = text.next else { throw wrong("a backslash at the end") }
    text.advance()
    switch scalar {
    case "d": return .digits
    case "D": return ScalarSet.digits.complement
    case "w": return .wordCharacters
    case "W": return ScalarSet.wordCharacters.complement
    case "s": return .whitespace
    case "S": return ScalarSet.whitespace.complement
    case "p", "P":
      let category = try property()
      return scalar == "p" ? category : category.complement
    case "b" where inClass: return ScalarSet("\u{8}")
    case "t": return ScalarSet("\t")
    case "n": return ScalarSet("\n")
    case "v": return ScalarSet("\u{B}")
    case "f": return ScalarSet("\u{C}")
    case "r": return ScalarSet("\r")
    case "0": return ScalarSet("\0")
    case "c":
      guard let letter = text.next, letter.properties.isAlphabetic, letter.isASCII else {
        throw wrong("no control letter")
      }
      text.advance()
      return ScalarSet([letter.value % 32...letter.value % 32])
    case "x": return try scalarSet(hexadecimal(2))
    case "u": return try unicodeEscape()
    case let other where other.isASCII && (other.properties.isAlphabetic || ("0"..."9").contains(other)):
      throw wrong("an escape that is not known, \\\(other)")
    default: return ScalarSet(scalar)
    }
  }

  private mutating func unicodeEscape() throws(Failure) -> ScalarSet {
    if text.take("{") {
      var value: UInt32 = 0
      while let digit = text.next.flatMap({ Character($0).hexDigitValue }) {
        text.advance()
        value = value * 16 + UInt32(digit)
        guard value <= 0x10FFFF else { throw wrong("a character beyond U+10FFFF") }
      }
      guard text.take("}") else { throw wrong("an escape that does not end") }
      return try scalarSet(value)
    }
    let value = try hexadecimal(4)
    guard (0xD800...0xDBFF).contains(value), text.take("\\u") else { return try scalarSet(value) }
    let low = try hexadecimal(4)
    guard (0xDC00...0xDFFF).contains(low) else { throw wrong("half a pair of surrogates") }
    return try scalarSet(0x10000 + (value - 0xD800) << 10 + (low - 0xDC00))
  }

  private func scalarSet(_ value: UInt32) throws(Failure) -> ScalarSet {
    guard let scalar = Unicode.Scalar(value) else { throw wrong("half a pair of surrogates") }
    return ScalarSet(scalar)
  }

  private mutating func hexadecimal(_ count: Int) throws(Failure) -> UInt32 {
    guard let value = text.hexadecimal(count) else { throw wrong("expected \(count) hexadecimal digits") }
    return value
  }

  private mutating func property() throws(Failure) -> ScalarSet {
    guard text.take("{") else { throw wrong("a property needs its name in braces") }
    var name = ""
    while let scalar = text.next, scalar != "}" {
      name.unicodeScalars.append(scalar)
      text.advance()
    }
    guard text.take("}") else { throw wrong("a property's name does not end") }
    for prefix in ["General_Category=", "gc="] where name.hasPrefix(prefix) {
      name = String(name.dropFirst(prefix.count))
    }
    guard let set = ScalarSet.category(Self.longNames[name] ?? name) else {
      throw wrong("the property \(Excerpt.name(name)) is not supported", .unsupported)
    }
    return set
  }

  private static let longNames = [
    "Letter": "L", "Lowercase_Letter": "Ll", "Uppercase_Letter": "Lu", "Number": "N", "Decimal_Number": "Nd",
    "Mark": "M", "Punctuation": "P", "Symbol": "S", "Separator": "Z", "Other": "C",
  ]

  // MARK: - Classes

  private mutating func characterClass() throws(Failure) -> ScalarSet {
    let isNegative = text.take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while true {
      guard text.next != nil else { throw wrong("a class is not closed") }
      if text.take("]") { break }
      let first = try classMember()
      let dash = text.place
      guard text.take("-"), text.next != nil, text.next != "]" else {
        text.goBack(to: dash)
        if text.take("-") { ranges.append(0x2D...0x2D) }
        ranges += first.ranges
        continue
      }
      let last = try classMember()
      guard let low = first.only, let high = last.only else {
        // As where no `u` flag is given, the dash stands for itself.
        ranges += first.ranges + last.ranges + [0x2D...0x2D]
        continue
      }
      guard low <= high else { throw wrong("a range whose end is before its beginning") }
      ranges.append(low...high)
    }
    let set = ScalarSet(ranges)
    return isNegative ? set.complement : set
  }

  private mutating func classMember() throws(Failure) -> ScalarSet {
    if text.take("\\") { return try escapedSet(inClass: true) }
    guard let scalar = text.next else { throw wrong("a class is not closed") }
    text.advance()
    return ScalarSet(scalar)
  }
}

extension ScalarSet {
  /// The only member of a set of one.
  fileprivate var only: UInt32? {
    guard ranges.count == 1, let range = ranges.first, range.count == 1 else { return nil }
    return range.lowerBound
  }
}
