internal import DormouseSupport

/// Rewrites a pattern from Oniguruma's syntax, which `tokenizer.json` uses, into PCRE2's with the same meaning.
///
/// Differences that matter: `\s` is Unicode White_Space (PCRE2 adds U+180E), `\w` has marks and connectors, `\p{Han}`
/// is the script and not its extensions, `\v` is one character, `[A&&[^B]]` is an intersection (a look-ahead here).
/// Syntax whose meaning differs and that no published tokenizer uses is refused, never guessed.
struct PatternTranslation {
  private let scalars: [Unicode.Scalar]
  private var index = 0
  /// The translation, in pieces of one atom or operator each.
  private var output: [String] = []

  /// - Throws: `Failure(.unsupported)` naming the syntax, `Failure(.malformed)` for an unfinished pattern.
  static func translate(_ pattern: String) throws(Failure) -> String {
    var translation = PatternTranslation(scalars: Array(pattern.unicodeScalars))
    do {
      while let scalar = translation.next() { try translation.translate(scalar) }
    } catch {
      throw error.prefixed("pattern \(Excerpt.name(pattern))")
    }
    return translation.finished()
  }

  private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

  private func peek(_ distance: Int = 0) -> Unicode.Scalar? {
    index + distance < scalars.count ? scalars[index + distance] : nil
  }

  private mutating func next() -> Unicode.Scalar? {
    guard let scalar = peek() else { return nil }
    index += 1
    return scalar
  }

  /// Moves past `text` if it stands here.
  private mutating func take(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars[index...].starts(with: wanted) else { return false }
    index += wanted.count
    return true
  }

  /// `X+$` alone is tried again at every character of a run of X that does not end the line. Asking first that no X
  /// stands before gives the same matches, since the first try takes the last possible end in its run.
  private func finished() -> String {
    if output.count == 3, output[1] == "+", output[2] == "$", output[0].first == "[" || output[0].first == "\\" {
      return "(?<!\(output[0]))\(output[0])+$"
    }
    return output.joined()
  }

  private mutating func translate(_ scalar: Unicode.Scalar) throws(Failure) {
    switch scalar {
    case "\\": output.append(try escape(inClass: false))
    case "[": output.append(try characterClass(depth: 0))
    case "(": output.append(try group())
    case "{": output.append(try interval())
    default: output.append(String(Character(scalar)))
    }
  }

  /// Groups never capture here, since back references are refused.
  private mutating func group() throws(Failure) -> String {
    guard peek() == "?" else {
      if peek() == "*" { throw unsupported("(*") }
      return "(?:"
    }
    let isFirst = index == 1
    for opening in ["?:", "?=", "?!", "?>", "?<=", "?<!", "?i:", "?-i:"] where take(opening) { return "(" + opening }
    // Further on, a bare option reaches to the end of its group in Oniguruma and to the next bar in PCRE2.
    if isFirst, take("?i)") { return "(?i)" }
    throw unsupported("(?\(peek(1).map { String(Character($0)) } ?? "")")
  }

  /// After `{`: a repeat count, or a brace that stands for itself.
  private mutating func interval() throws(Failure) -> String {
    let start = index
    let minimum = digits()
    let hasComma = take(",")
    let maximum = hasComma ? digits() : ""
    guard take("}"), !(minimum.isEmpty && maximum.isEmpty) else {
      index = start
      return "\\{"
    }
    if peek() == "+" { throw unsupported("{...}+") }
    if peek() == "?", !hasComma { throw unsupported("{n}?") }
    return "{\(minimum.isEmpty ? "0" : minimum)\(hasComma ? "," : "")\(maximum)}"
  }

  private mutating func digits() -> String {
    var text = ""
    while let digit = peek(), ("0"..."9").contains(digit) {
      text.unicodeScalars.append(digit)
      index += 1
    }
    return text
  }

  private func unsupported(_ syntax: String) -> Failure {
    Failure(.unsupported, "\(Excerpt.name(syntax)) at character \(index) is not supported in patterns")
  }
}

// MARK: - Escapes

extension PatternTranslation {
  /// After a backslash.
  private mutating func escape(inClass: Bool) throws(Failure) -> String {
    guard let scalar = next() else { throw Failure(.malformed, "a backslash ends the pattern") }
    switch scalar {
    case "s": return "\\p{White_Space}"
    case "S": return "\\P{White_Space}"
    case "d": return "\\p{Nd}"
    case "D": return "\\P{Nd}"
    case "w": return inClass ? Self.wordItems : "[\(Self.wordItems)]"
    case "W" where !inClass: return "[^\(Self.wordItems)]"
    case "p", "P": return try property(isNegated: scalar == "P")
    case "n", "r", "t", "f", "a", "e": return "\\\(scalar)"
    case "v": return "\\x{B}"
    case "A" where !inClass, "z" where !inClass: return "\\\(scalar)"
    case "x", "u": return try codePoint(isLong: scalar == "u")
    case "a"..."z", "A"..."Z", "0"..."9": throw unsupported("\\\(scalar)")
    default: return scalar.isASCII ? "\\\(scalar)" : String(Character(scalar))
    }
  }

  /// Oniguruma's `\w`: letters, marks, decimal digits and connectors.
  private static let wordItems = "\\p{L}\\p{M}\\p{Nd}\\p{Pc}"

  private mutating func codePoint(isLong: Bool) throws(Failure) -> String {
    var text = ""
    if !isLong, take("{") {
      while let scalar = next(), scalar != "}" { text.unicodeScalars.append(scalar) }
    } else {
      for _ in 0..<(isLong ? 4 : 2) { if let scalar = next() { text.unicodeScalars.append(scalar) } }
    }
    guard let value = UInt32(text, radix: 16), Unicode.Scalar(value) != nil else {
      throw Failure(.malformed, "\(Excerpt.name(text)) at character \(index) is not the number of a character")
    }
    return "\\x{\(String(value, radix: 16, uppercase: true))}"
  }

  /// After `\p` or `\P`.
  private mutating func property(isNegated: Bool) throws(Failure) -> String {
    guard take("{") else { throw unsupported("\\p without braces") }
    let caret = take("^")
    var name = ""
    while let scalar = next(), scalar != "}" { name.unicodeScalars.append(scalar) }
    let letter = isNegated != caret ? "P" : "p"
    if Self.categories.contains(name) || Self.properties.contains(name) { return "\\\(letter){\(name)}" }
    if let short = Self.categoryNames[name] { return "\\\(letter){\(short)}" }
    guard !name.isEmpty, name.unicodeScalars.allSatisfy({ $0.properties.isAlphabetic && $0.isASCII || $0 == "_" })
    else {
      throw unsupported("\\p{\(name)}")
    }
    // PCRE2 takes a bare script name for its extensions; Oniguruma means the script itself.
    return "\\\(letter){sc:\(name)}"
  }

  private static let categories: Set<String> = [
    "C", "Cc", "Cf", "Cn", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No",
    "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "Any",
  ]

  private static let properties: Set<String> = [
    "Alphabetic", "Emoji", "Extended_Pictographic", "Ideographic", "Lowercase", "Uppercase", "White_Space",
  ]

  private static let categoryNames = [
    "Letter": "L", "Lowercase_Letter": "Ll", "Modifier_Letter": "Lm", "Other_Letter": "Lo", "Titlecase_Letter": "Lt",
    "Uppercase_Letter": "Lu", "Mark": "M", "Number": "N", "Decimal_Number": "Nd", "Punctuation": "P", "Symbol": "S",
    "Separator": "Z", "Other": "C",
  ]
}

// MARK: - Classes

extension PatternTranslation {
  /// One operand of a class: PCRE2 items, or a negated class of its own (`[^...]`).
  private struct Operand {
    var items = ""
    var isNegated = false

    var text: String { "[\(isNegated ? "^" : "")\(items)]" }
  }

  /// After `[`, up to and with the matching `]`.
  ///
  /// `[A&&[^B]]` becomes `(?:(?![B])[A])`, `[A&&B]` becomes `(?:(?=[B])[A])`.
  private mutating func characterClass(depth: Int) throws(Failure) -> String {
    let isNegated = take("^")
    var operands: [Operand] = [Operand()]
    while true {
      guard let scalar = next() else { throw Failure(.malformed, "a character class is not closed") }
      if scalar == "]" { break }
      if scalar == "&", take("&") {
        operands.append(Operand())
        if take("[") { operands[operands.count - 1] = try nestedOperand() }
        continue
      }
      operands[operands.count - 1].items += try classItem(scalar)
    }
    guard operands.allSatisfy({ !$0.items.isEmpty }) else { throw Failure(.malformed, "a character class is empty") }
    if operands.count == 1 {
      operands[0].isNegated = isNegated
      return operands[0].text
    }
    let conditions = operands.dropFirst().map { operand in
      "(?\(operand.isNegated ? "!" : "=")[\(operand.items)])"
    }
    let intersection = "(?:\(conditions.joined())\(operands[0].text))"
    return isNegated ? "(?:(?!\(intersection))\\p{Any})" : intersection
  }

  /// After `&&[`: a class of plain items, negated or not, that must end its operand.
  private mutating func nestedOperand() throws(Failure) -> Operand {
    var operand = Operand(items: "", isNegated: take("^"))
    while true {
      guard let scalar = next() else { throw Failure(.malformed, "a character class is not closed") }
      if scalar == "]" { break }
      if scalar == "&", peek() == "&" { throw unsupported("&& inside an operand of &&") }
      operand.items += try classItem(scalar)
    }
    guard peek() == "]" || (peek() == "&" && peek(1) == "&") else { throw unsupported("union of classes") }
    return operand
  }

  private mutating func classItem(_ scalar: Unicode.Scalar) throws(Failure) -> String {
    switch scalar {
    case "\\": return try escape(inClass: true)
    case "[": throw unsupported("[ inside a class")
    default: return String(Character(scalar))
    }
  }
}
