internal import DormouseSupport

/// An integer beyond 64 bits, by its digits. Python's integers have no bounds; templates print such values, from the
/// schemas of tools for one, and hardly ever calculate with them, which is refused.
struct TemplateLargeInteger: Sendable {
  /// Decimal, behind a minus sign where it is negative; no zeros lead.
  let digits: String

  fileprivate init(digits: String) { self.digits = digits }

  static let tooLarge = Failure(.unsupported, "an integer does not fit 64 bits")

  var isNegative: Bool { digits.utf8.first == UInt8(ascii: "-") }
  var magnitude: String { isNegative ? String(digits.dropFirst()) : digits }

  /// The nearest float; nil beyond all of them.
  var number: Double? {
    guard let value = Double(digits), value.isFinite else { return nil }
    return value
  }

  func negated() -> TemplateValue { .integer(digits: isNegative ? magnitude : "-" + digits) }
}

extension TemplateValue {
  /// The integer that a document writes as `digits`.
  static func integer(digits: String) -> TemplateValue {
    Int(digits).map { .integer($0) } ?? .largeInteger(TemplateLargeInteger(digits: digits))
  }

  /// The digits of an integer, or of a float that is one and so large that every float there is.
  private var wholeDigits: String? {
    switch self {
    case .largeInteger(let value): value.digits
    case .float(let value) where value.isFinite && abs(value) >= 0x1p63: TemplateNumberFormat.fixed(value, 0)
    default: integerValue.map { String($0) }
    }
  }

  /// Whether two numbers are equal, one of which is an integer beyond 64 bits.
  func equalsLarge(_ other: TemplateValue) -> Bool {
    guard let left = wholeDigits, let right = other.wholeDigits else { return false }
    return left == right
  }

  /// Whether this number is below the other, one of them being an integer beyond 64 bits; nil where one is no number.
  func isLessLarge(than other: TemplateValue) -> Bool? {
    guard let left = wholeDigits, let right = other.wholeDigits else {
      guard let left = number, let right = other.number else { return nil }
      return left < right
    }
    let isNegative = left.hasPrefix("-")
    guard isNegative == right.hasPrefix("-") else { return isNegative }
    let (small, large) = isNegative ? (right, left) : (left, right)
    if small.utf8.count != large.utf8.count { return small.utf8.count < large.utf8.count }
    return small.utf8.lexicographicallyPrecedes(large.utf8)
  }
}
