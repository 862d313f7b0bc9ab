import DormouseSupport

/// A number of a schema by its decimal digits.
struct Decimal: Equatable {
  var isNegative: Bool
  /// Digits without zeros ahead of them; "0" at least.
  var integer: String
  /// Digits without zeros behind them.
  var fraction: String

  var isZero: Bool { integer == "0" && fraction.isEmpty }
  var magnitude: Decimal { Decimal(isNegative: false, integer: integer, fraction: fraction) }

  init(isNegative: Bool, integer: String, fraction: String) {
    self.isNegative = isNegative
    self.integer = integer
    self.fraction = fraction
  }

  /// Nil for what is no number, and for one of more digits than numbers have.
  init?(_ value: JSON) {
    let text: String
    switch value {
    case .integer(let number): text = String(number)
    case .largeInteger(let digits): text = digits
    case .number(let number): text = "\(number)"
    default: return nil
    }
    guard let plain = Decimal.withoutExponent(text) else { return nil }
    self = plain
  }

  private static func withoutExponent(_ text: String) -> Decimal? {
    let parts = text.split(whereSeparator: { $0 == "e" || $0 == "E" })
    guard let mantissa = parts.first, parts.count <= 2 else { return nil }
    let exponent = parts.count == 2 ? Int(parts[1]) : 0
    guard let exponent, abs(exponent) <= 400 else { return nil }
    let isNegative = mantissa.hasPrefix("-")
    let halves = mantissa.drop(while: { $0 == "-" || $0 == "+" }).split(
      separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = halves.first else { return nil }
    var digits = Array(whole)
    var point = digits.count + exponent
    if halves.count == 2 { digits += Array(halves[1]) }
    while point < 0 {
      digits.insert("0", at: 0)
      point += 1
    }
    while digits.count < point { digits.append("0") }
    let integer = String(String(digits[..<point]).drop(while: { $0 == "0" }))
    var fraction = Array(digits[point...])
    while fraction.last == "0" { fraction.removeLast() }
    let isZero = integer.isEmpty && fraction.isEmpty
    return Decimal(
      isNegative: isNegative && !isZero, integer: integer.isEmpty ? "0" : integer, fraction: String(fraction))
  }
}
