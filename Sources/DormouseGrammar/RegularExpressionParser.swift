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
  private let scalars: [Unicode.Scalar]
  private var place = 0
  private var depth = 0

  private static let maximumDepth = 100
  private static let maximumLength = 1 << 16
  private static let maximumRepetition: Int32 = 100_000

  init(_ pattern: String) {
    self.pattern = pattern
    scalars = Array(pattern.unicodeScalars)
  }

  mutating func parse() throws(Failure) -> RegularExpression {
    guard scalars.count <= Self.maximumLength else {
      throw Failure(
        .invalidArgument, "a pattern of \(scalars.count) characters; expected at most \(Self.maximumLength)")
    }
    let result = try alternatives()
    guard place == scalars.count else { throw wrong("a closing parenthesis without an opening one") }
    return result
  }

  private func wrong(_ what: String, _ status: Status = .invalidArgument) -> Failure {
    Failure(status, "pattern \(Excerpt.name(pattern)), character \(place + 1): \(what)")
  }

  private var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

  private mutating func take(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars[place...].starts(with: wanted) else { return false }
    place += wanted.count
    return true
  }

  private mutating func alternatives() throws(Failure) -> RegularExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else { throw wrong("more than \(Self.maximumDepth) parentheses in one another") }
    var parts = [try sequence()]
    while take("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(Failure) -> RegularExpression {
    var parts: [RegularExpression] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      let part = try atom()
      parts.append(try quantified(part))
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  // MARK: - Repetitions

  private mutating func quantified(_ part: RegularExpression) throws(Failure) -> RegularExpression {
    guard let (minimum, maximum) = try quantifier() else { return part }
    // Which of several matches is taken does not matter here.
    _ = take("?")
    if try quantifier() != nil { throw wrong("nothing to repeat") }
    return .repetition(part, minimum: minimum, maximum: maximum)
  }

  private mutating func quantifier() throws(Failure) -> (Int32, Int32)? {
    if take("*") { return (0, Expressions.unlimited) }
    if take("+") { return (1, Expressions.unlimited) }
    if take("?") { return (0, 1) }
    let start = place
    guard take("{") else { return nil }
    guard let minimum = try number() else {
      // Where no number follows it stands for itself.
      place = start
      return nil
    }
    var maximum = minimum
    if take(",") { maximum = try number() ?? Expressions.unlimited }
    guard take("}") else {
      place = start
      return nil
    }
    guard minimum <= maximum else { throw wrong("a repetition of at least \(minimum) and at most \(maximum)") }
    return (minimum, maximum)
  }

  private mutating func number() throws(Failure) -> Int32? {
    var value: Int32?
    while let digit = next, ("0"..."9").contains(digit) {
      place += 1
      value = (value ?? 0) * 10 + Int32(digit.value - 0x30)
      if let value, value > Self.maximumRepetition {
        throw wrong("more than \(Self.maximumRepetition) repetitions", .unsupported)
      }
    }
    return value
  }

  // MARK: - Atoms

  private mutating func atom() throws(Failure) -> RegularExpression {
    guard let scalar = next else { throw wrong("the end") }
    place += 1
    switch scalar {
    case "^": return .start
    case "$": return .end
    case ".": return .characters(ScalarSet.lineTerminators.complement)
    case "(": return try group()
    case "[": return .characters(try characterClass())
    case "\\": return try escape()
    case "*", "+", "?":
      place -= 1
      throw wrong("nothing to repeat")
    default: return .characters(ScalarSet(scalar))
    }
  }

  private mutating func group() throws(Failure) -> RegularExpression {
    var lookahead: Bool?
    if take("?:") {
    } else if take("?=") {
      lookahead = false
    } else if take("?!") {
      lookahead = true
    } else if scalars[place...].starts(with: "?<=".unicodeScalars)
      || scalars[place...].starts(with: "?<!".unicodeScalars)
    {
      throw wrong("looking behind is not supported", .unsupported)
    } else if take("?<") || take("?P<") {
      while let scalar = next, scalar != ">" { place += 1 }
      guard take(">") else { throw wrong("a group's name does not end") }
    } else if next == "?" {
      throw wrong("a group of this kind is not supported", .unsupported)
    }
    let inner = try alternatives()
    guard take(")") else { throw wrong("a parenthesis is not closed") }
    return lookahead.map { .lookahead(inner, isNegative: $0) } ?? inner
  }

  private mutating func escape() throws(Failure) -> RegularExpression {
    guard let scalar = next else { throw wrong("a backslash at the end") }
    switch scalar {
    case "b", "B": throw wrong("word boundaries are not supported", .unsupported)
    case "1"..."9", "k": throw wrong("references to groups are not supported", .unsupported)
    case "A":
      place += 1
      return .start
    case "Z", "z":
      place += 1
      return .end
    default: return .characters(try escapedSet(inClass: false))
    }
  }

  /// What a backslash, which is taken already, and what follows stand for.
  private mutating func escapedSet(inClass: Bool) throws(Failure) -> ScalarSet {
    guard let scalar = next else { throw wrong("a backslash at the end") }
    place += 1
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
      guard let letter = next, letter.properties.isAlphabetic, letter.isASCII else { throw wrong("no control letter") }
      place += 1
      return ScalarSet([letter.value % 32...letter.value % 32])
    case "x": return try scalarSet(hexadecimal(2))
    case "u": return try unicodeEscape()
    case let other where other.isASCII && (other.properties.isAlphabetic || ("0"..."9").contains(other)):
      throw wrong("an escape that is not known, \\\(other)")
    default: return ScalarSet(scalar)
    }
  }

  private mutating func unicodeEscape() throws(Failure) -> ScalarSet {
    if take("{") {
      var value: UInt32 = 0
      while let digit = next.flatMap({ Character($0).hexDigitValue }) {
        place += 1
        value = value * 16 + UInt32(digit)
        guard value <= 0x10FFFF else { throw wrong("a character beyond U+10FFFF") }
      }
      guard take("}") else { throw wrong("an escape that does not end") }
      return try scalarSet(value)
    }
    let value = try hexadecimal(4)
    guard (0xD800...0xDBFF).contains(value), take("\\u") else { return try scalarSet(value) }
    let low = try hexadecimal(4)
    guard (0xDC00...0xDFFF).contains(low) else { throw wrong("half a pair of surrogates") }
    return try scalarSet(0x10000 + (value - 0xD800) << 10 + (low - 0xDC00))
  }

  private func scalarSet(_ value: UInt32) throws(Failure) -> ScalarSet {
    guard let scalar = Unicode.Scalar(value) else { throw wrong("half a pair of surrogates") }
    return ScalarSet(scalar)
  }

  private mutating func hexadecimal(_ count: Int) throws(Failure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let digit = next.flatMap({ Character($0).hexDigitValue }) else {
        throw wrong("expected \(count) hexadecimal digits")
      }
      place += 1
      value = value * 16 + UInt32(digit)
    }
    return value
  }

  private mutating func property() throws(Failure) -> ScalarSet {
    guard take("{") else { throw wrong("a property needs its name in braces") }
    var name = ""
    while let scalar = next, scalar != "}" {
      name.unicodeScalars.append(scalar)
      place += 1
    }
    guard take("}") else { throw wrong("a property's name does not end") }
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
    let isNegative = take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while true {
      guard next != nil else { throw wrong("a class is not closed") }
      if take("]") { break }
      let first = try classMember()
      let dash = place
      guard take("-"), next != nil, next != "]" else {
        place = dash
        if take("-") { ranges.append(0x2D...0x2D) }
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
    if take("\\") { return try escapedSet(inClass: true) }
    guard let scalar = next else { throw wrong("a class is not closed") }
    place += 1
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
