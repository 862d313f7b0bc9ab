internal import DormouseSupport
import Glibc

/// Numbers as the C library prints them, which is what Python's `%` and `format` do.
enum TemplateNumberFormat {
  /// More digits than this are never asked for in earnest.
  static let longestPrecision = 400

  static func fixed(_ value: Double, _ precision: Int) -> String { print(value, "f", precision) }

  /// `value` in the conversion `letter` (one of `eEfFgG`); the precision is clamped to `longestPrecision`.
  static func print(_ value: Double, _ letter: String, _ precision: Int) -> String {
    guard value.isFinite else {
      let text = value.isNaN ? "nan" : value < 0 ? "-inf" : "inf"
      return letter == letter.uppercased() ? text.uppercased() : text
    }
    let digits = min(max(precision, 0), longestPrecision)
    var buffer = [CChar](repeating: 0, count: 1024)
    let count = withVaList([CInt(digits), value]) { vsnprintf(&buffer, buffer.count, "%.*\(letter)", $0) }
    guard count > 0, Int(count) < buffer.count else { return "" }
    return String(decoding: buffer[..<Int(count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// One conversion: how a value is to be padded and printed.
struct TemplateFormatSpecification {
  var fill: Unicode.Scalar = " "
  /// `<`, `>`, `^` or `=`; nil for the type's own.
  var alignment: Unicode.Scalar?
  /// `+` or a space; nil for the sign of negative numbers only.
  var sign: Unicode.Scalar?
  var isAlternate = false
  var grouping: Unicode.Scalar?
  var width = 0
  var precision: Int?
  var type: Unicode.Scalar?
}

extension TemplateEvaluator {
  /// `value` in `specification`; the padding has the origin `isMarkup`.
  func format(
    _ value: TemplateValue, _ specification: TemplateFormatSpecification, isMarkup: Bool
  ) throws(Failure) -> TemplateText {
    var body: TemplateText
    var isNumber = true
    switch (specification.type, value) {
    case (nil, .integer), ("d", .integer), ("d", .bool):
      body = TemplateText(formatInteger(value.integerValue ?? 0, 10, specification), isMarkup: true)
    case (nil, .largeInteger(let value)), ("d", .largeInteger(let value)):
      body = TemplateText(
        formatDigits(value.magnitude, 10, isNegative: value.isNegative, specification), isMarkup: true)
    case ("x", .largeInteger), ("X", .largeInteger), ("o", .largeInteger), ("b", .largeInteger):
      throw TemplateLargeInteger.tooLarge
    case ("x", _), ("X", _), ("o", _), ("b", _):
      guard let number = value.integerValue else { throw unknownFormat(specification, value) }
      let radix = specification.type == "o" ? 8 : specification.type == "b" ? 2 : 16
      let digits = formatInteger(number, radix, specification)
      body = TemplateText(specification.type == "X" ? digits.uppercased() : digits, isMarkup: true)
    case ("f", _), ("F", _), ("e", _), ("E", _), ("g", _), ("G", _), ("%", _):
      guard let number = value.number else { throw unknownFormat(specification, value) }
      body = TemplateText(formatFloat(number, specification), isMarkup: true)
    case (nil, .float(let number)):
      let text = specification.precision.map { TemplateNumberFormat.print(number, "g", max($0, 1)) }
      body = TemplateText(signed(text ?? TemplateEvaluator.describe(number), specification), isMarkup: true)
    case (nil, _), ("s", .text):
      isNumber = false
      body = try text(of: value)
      if let precision = specification.precision { body = body.slice(0..<max(precision, 0)) }
    default: throw unknownFormat(specification, value)
    }
    return try pad(body, specification, isNumber: isNumber, isMarkup: isMarkup)
  }

  private func unknownFormat(_ specification: TemplateFormatSpecification, _ value: TemplateValue) -> Failure {
    let type = specification.type.map { String(Character($0)) } ?? ""
    return failure("unknown format code '\(type)' for an object of type '\(typeName(of: value))'")
  }

  private func signed(_ text: String, _ specification: TemplateFormatSpecification) -> String {
    guard let sign = specification.sign, sign != "-", !text.hasPrefix("-") else { return text }
    return String(Character(sign)) + text
  }

  private func formatInteger(_ number: Int, _ radix: Int, _ specification: TemplateFormatSpecification) -> String {
    formatDigits(String(number.magnitude, radix: radix), radix, isNegative: number < 0, specification)
  }

  private func formatDigits(
    _ magnitude: String, _ radix: Int, isNegative: Bool, _ specification: TemplateFormatSpecification
  ) -> String {
    var digits = magnitude
    if let grouping = specification.grouping { digits = grouped(digits, grouping) }
    let prefix = specification.isAlternate ? [2: "0b", 8: "0o", 16: "0x"][radix] ?? "" : ""
    return signed((isNegative ? "-" : "") + prefix + digits, specification)
  }

  private func grouped(_ digits: String, _ separator: Unicode.Scalar) -> String {
    var result = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result.unicodeScalars.append(separator) }
      result.append(digit)
    }
    return result
  }

  private func formatFloat(_ number: Double, _ specification: TemplateFormatSpecification) -> String {
    let isPercent = specification.type == "%"
    let letter = isPercent ? "f" : specification.type.map { String(Character($0)) } ?? "f"
    var precision = specification.precision ?? 6
    if letter == "g" || letter == "G" { precision = max(precision, 1) }
    var text = TemplateNumberFormat.print(isPercent ? number * 100 : number, letter, precision)
    if let grouping = specification.grouping {
      let isNegative = text.hasPrefix("-")
      let body = isNegative ? text.dropFirst() : text[...]
      let whole = body.prefix { $0.isNumber }
      text = (isNegative ? "-" : "") + grouped(String(whole), grouping) + body.dropFirst(whole.count)
    }
    return signed(text, specification) + (isPercent ? "%" : "")
  }

  private func pad(
    _ body: TemplateText, _ specification: TemplateFormatSpecification, isNumber: Bool, isMarkup: Bool
  ) throws(Failure) -> TemplateText {
    guard specification.width > body.count else { return body }
    let missing = specification.width - body.count
    let fill = TemplateText(scalars: [specification.fill], isMarkup: isMarkup)
    let hasSign = isNumber && !body.isEmpty && ["-", "+", " "].contains(body[0])
    switch specification.alignment ?? (isNumber ? ">" : "<") {
    case "<": return try pad(body, fill, left: 0, right: missing, after: 0)
    case "^": return try pad(body, fill, left: missing / 2, right: missing - missing / 2, after: 0)
    case "=": return try pad(body, fill, left: missing, right: 0, after: hasSign ? 1 : 0)
    default: return try pad(body, fill, left: missing, right: 0, after: 0)
    }
  }
}
