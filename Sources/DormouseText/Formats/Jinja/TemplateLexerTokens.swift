internal import DormouseSupport

/// The tokens inside tags: names, numbers, strings, operators.
extension TemplateLexer {
  private static let symbols = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
  ]

  /// The token at the position, which is no white space, and its end.
  func scanToken() throws(Failure) -> (TemplateToken.Kind, Int) {
    let scalar = source[position]
    if scalar.isASCII, isDigit(position) { return try scanNumber() }
    if scalar.isPythonWord || scalar.properties.isXIDContinue { return try scanName() }
    if scalar == "'" || scalar == "\"" { return try scanText(quote: scalar) }
    for symbol in TemplateLexer.symbols where starts(with: symbol, at: position) {
      return (.symbol(symbol), position + symbol.unicodeScalars.count)
    }
    throw failure("unexpected character '\(scalar)'")
  }

  private func isDigit(_ offset: Int) -> Bool {
    guard let scalar = character(at: offset) else { return false }
    return ("0"..."9").contains(scalar)
  }

  private func scanName() throws(Failure) -> (TemplateToken.Kind, Int) {
    var end = position
    while let scalar = character(at: end), scalar.isPythonWord || scalar.properties.isXIDContinue { end += 1 }
    let first = source[position]
    guard first == "_" || first.properties.isXIDStart else { throw failure("invalid character in identifier") }
    return (.name(TemplateText.string(source[position..<end])), end)
  }

  /// The end of digits with single underscores between them.
  private func digitsEnd(_ offset: Int, _ isDigit: (Unicode.Scalar) -> Bool) -> Int {
    var index = offset
    while let scalar = character(at: index) {
      if isDigit(scalar) {
        index += 1
      } else if scalar == "_", index > offset, let next = character(at: index + 1), isDigit(next) {
        index += 2
      } else {
        break
      }
    }
    return index
  }

  private func scanNumber() throws(Failure) -> (TemplateToken.Kind, Int) {
    let decimal: (Unicode.Scalar) -> Bool = { ("0"..."9").contains($0) }
    let whole = digitsEnd(position, decimal)
    var end = whole
    if character(at: end) == ".", isDigit(end + 1) { end = digitsEnd(end + 1, decimal) }
    if character(at: end) == "e" || character(at: end) == "E" {
      let sign = character(at: end + 1)
      let digits = end + (sign == "+" || sign == "-" ? 2 : 1)
      if isDigit(digits) { end = digitsEnd(digits, decimal) }
    }
    let isAfterDot = position > 0 && source[position - 1] == "."
    if end > whole, !isAfterDot {
      guard let value = Double(digits(position..<end)) else { throw failure("not a number") }
      return (.float(value), end)
    }
    return try scanInteger(decimalEnd: whole)
  }

  private func scanInteger(decimalEnd: Int) throws(Failure) -> (TemplateToken.Kind, Int) {
    var radix = 10
    var begin = position
    var end = decimalEnd
    if source[position] == "0" {
      end = digitsEnd(position) { $0 == "0" }
      let isDigitOf: (Int) -> (Unicode.Scalar) -> Bool = { radix in
        { scalar in Int(String(Character(scalar)), radix: radix) != nil && scalar.isASCII }
      }
      for (letters, value) in [("bB", 2), ("oO", 8), ("xX", 16)] {
        guard let next = character(at: position + 1), letters.unicodeScalars.contains(next) else { continue }
        let first = character(at: position + 2) == "_" ? position + 3 : position + 2
        let last = digitsEnd(first, isDigitOf(value))
        if last > first { (radix, begin, end) = (value, first, last) }
      }
    }
    guard let value = Int(digits(begin..<end), radix: radix) else {
      throw failure("the integer \(digits(begin..<end)) does not fit 64 bits")
    }
    return (.integer(value), end)
  }

  private func digits(_ range: Range<Int>) -> String {
    TemplateText.string(ArraySlice(source[range].filter { $0 != "_" }))
  }

  private func scanText(quote: Unicode.Scalar) throws(Failure) -> (TemplateToken.Kind, Int) {
    var result: [Unicode.Scalar] = []
    var index = position + 1
    while let scalar = character(at: index) {
      if scalar == quote { return (.text(TemplateText(scalars: result, isMarkup: true)), index + 1) }
      if scalar == "\\" {
        index = try scanEscape(index + 1, into: &result)
      } else {
        result.append(scalar)
        index += 1
      }
    }
    throw failure("unexpected character '\(quote)': the string has no end")
  }

  /// Decodes the escape whose backslash stands before `offset`; an unknown one keeps its backslash, as in Python.
  private func scanEscape(_ offset: Int, into result: inout [Unicode.Scalar]) throws(Failure) -> Int {
    guard let scalar = character(at: offset) else { throw failure("the string has no end") }
    switch scalar {
    case "\n": break
    case "\\", "'", "\"": result.append(scalar)
    case "a": result.append("\u{07}")
    case "b": result.append("\u{08}")
    case "f": result.append("\u{0C}")
    case "n": result.append("\n")
    case "r": result.append("\r")
    case "t": result.append("\t")
    case "v": result.append("\u{0B}")
    case "x": return try scanCodePoint(offset + 1, count: 2, into: &result)
    case "u": return try scanCodePoint(offset + 1, count: 4, into: &result)
    case "U": return try scanCodePoint(offset + 1, count: 8, into: &result)
    case "N": throw Failure(.unsupported, "line \(line): the escape \\N{...} is not supported")
    case "0"..."7": return scanOctal(offset, into: &result)
    default: result += ["\\", scalar]
    }
    return offset + 1
  }

  private func scanCodePoint(
    _ offset: Int, count: Int, into result: inout [Unicode.Scalar]
  ) throws(Failure) -> Int {
    let end = min(offset + count, source.count)
    let text = TemplateText.string(source[min(offset, end)..<end])
    guard text.utf8.count == count, text.utf8.allSatisfy({ $0 != 0x2B && $0 != 0x2D }),
      let value = UInt32(text, radix: 16), let scalar = Unicode.Scalar(value)
    else { throw failure("the escape for the character '\(text)' is not valid") }
    result.append(scalar)
    return end
  }

  private func scanOctal(_ offset: Int, into result: inout [Unicode.Scalar]) -> Int {
    var value: UInt32 = 0
    var index = offset
    while index < offset + 3, let scalar = character(at: index), ("0"..."7").contains(scalar) {
      value = value * 8 + (scalar.value - 0x30)
      index += 1
    }
    if let scalar = Unicode.Scalar(value) { result.append(scalar) }
    return index
  }
}
