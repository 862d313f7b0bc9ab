/// A place in a text that is read character by character.
struct ScalarCursor {
  private let scalars: [Unicode.Scalar]
  private(set) var place = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  var count: Int { scalars.count }
  var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

  /// The line, from 1.
  var line: Int { scalars[..<place].count { $0 == "\n" } + 1 }

  mutating func advance() { place = min(place + 1, scalars.count) }

  mutating func goBack(to earlier: Int) { place = max(0, min(earlier, place)) }

  func isNext(_ text: String) -> Bool { scalars[place...].starts(with: text.unicodeScalars) }

  /// Goes past `text` where it comes next.
  mutating func take(_ text: String) -> Bool {
    guard isNext(text) else { return false }
    place += text.unicodeScalars.count
    return true
  }

  /// Decimal digits; nil for none. What is beyond `limit` is told as one more.
  mutating func number(upTo limit: Int32) -> Int32? {
    var value: Int32?
    while let digit = next, ("0"..."9").contains(digit) {
      advance()
      let (tens, isBeyond) = (value ?? 0).multipliedReportingOverflow(by: 10)
      value = isBeyond || tens > limit ? limit + 1 : min(tens + Int32(digit.value - 0x30), limit + 1)
    }
    return value
  }

  /// So many hexadecimal digits, up to eight; nil where there are fewer.
  mutating func hexadecimal(_ count: Int) -> UInt32? {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let digit = next.flatMap({ Character($0).hexDigitValue }) else { return nil }
      advance()
      value = value << 4 | UInt32(digit)
    }
    return value
  }
}
