/// How the characters of a text are written in bytes.
protocol CharacterEncoding {
  /// Any one of these characters.
  func expression(_ set: ScalarSet, _ expressions: Expressions) -> ExpressionID
}

/// UTF-8 (RFC 3629).
struct UTF8Encoding: CharacterEncoding {
  func expression(_ set: ScalarSet, _ expressions: Expressions) -> ExpressionID {
    expressions.union(
      set.ranges.flatMap { Self.sequences($0) }.map { ranges in
        expressions.concatenation(ranges.map { expressions.bytes(ByteSet($0)) })
      })
  }

  /// Ranges of first, second, ... bytes that together are the encodings of a range of scalars.
  static func sequences(_ range: ClosedRange<UInt32>) -> [[ClosedRange<UInt8>]] {
    var result: [[ClosedRange<UInt8>]] = []
    for (first, last, length) in [(0, 0x7F, 1), (0x80, 0x7FF, 2), (0x800, 0xFFFF, 3), (0x10000, 0x10FFFF, 4)] {
      let low = max(range.lowerBound, UInt32(first))
      let high = min(range.upperBound, UInt32(last))
      if low <= high { split(bytes(low, length), bytes(high, length), [], &result) }
    }
    return result
  }

  /// Cuts the sequences from `low` to `high`, of equal length, into products of ranges.
  private static func split(
    _ low: [UInt8], _ high: [UInt8], _ prefix: [ClosedRange<UInt8>], _ result: inout [[ClosedRange<UInt8>]]
  ) {
    guard let first = low.first, let last = high.first else { return result.append(prefix) }
    let lowest = [UInt8](repeating: 0x80, count: low.count - 1)
    let highest = [UInt8](repeating: 0xBF, count: low.count - 1)
    let lowTail = Array(low.dropFirst())
    let highTail = Array(high.dropFirst())
    if first == last { return split(lowTail, highTail, prefix + [first...first], &result) }
    var from = first
    var to = last
    if lowTail != lowest {
      split(lowTail, highest, prefix + [first...first], &result)
      from += 1
    }
    if highTail != highest { to -= 1 }
    if from <= to { split(lowest, highest, prefix + [from...to], &result) }
    if highTail != highest { split(lowest, highTail, prefix + [last...last], &result) }
  }

  private static func bytes(_ scalar: UInt32, _ length: Int) -> [UInt8] {
    let tail = (0..<length - 1).reversed().map { UInt8(0x80 | scalar >> UInt32(6 * $0) & 0x3F) }
    let lead: [UInt8] = [0, 0, 0xC0, 0xE0, 0xF0]
    return [lead[length] | UInt8(truncatingIfNeeded: scalar >> UInt32(6 * (length - 1)))] + tail
  }
}

/// Inside of a JSON string: as UTF-8 where that may stand, and escaped (RFC 8259, section 7). For one `Expressions`, whose
/// expressions it keeps.
final class JSONStringEncoding: CharacterEncoding {
  /// Whether characters that need no escape may have one all the same.
  private let takesAllEscapes: Bool
  private var known: [ScalarSet: ExpressionID] = [:]

  init(takesAllEscapes: Bool) { self.takesAllEscapes = takesAllEscapes }

  static let mustEscape = ScalarSet([0...0x1F, 0x22...0x22, 0x5C...0x5C])
  private static let short: [(UInt32, Character)] = [
    (0x22, "\""), (0x5C, "\\"), (0x08, "b"), (0x0C, "f"), (0x0A, "n"), (0x0D, "r"), (0x09, "t"), (0x2F, "/"),
  ]

  func expression(_ set: ScalarSet, _ expressions: Expressions) -> ExpressionID {
    if let expression = known[set] { return expression }
    let plain = UTF8Encoding().expression(set.subtracting(Self.mustEscape), expressions)
    let letters = Self.short.filter { set.contains($0.0) && (takesAllEscapes || $0.0 != 0x2F) }
      .compactMap(\.1.asciiValue)
    let short = expressions.bytes(letters.reduce(ByteSet()) { $0.union(ByteSet($1)) })
    let escaped = takesAllEscapes ? set : set.intersection(Self.mustEscapeByNumber)
    let backslash = expressions.bytes(ByteSet(0x5C))
    let result = expressions.union([
      plain, expressions.concatenation(backslash, expressions.union([short, numbered(escaped, expressions)])),
    ])
    known[set] = result
    return result
  }

  /// Control characters that have no short escape.
  private static let mustEscapeByNumber = ScalarSet([0...0x07, 0x0B...0x0B, 0x0E...0x1F])

  /// `uXXXX`, and pairs of surrogates with the second's backslash between.
  private func numbered(_ set: ScalarSet, _ expressions: Expressions) -> ExpressionID {
    let basic = set.intersection(ScalarSet([0...0xFFFF])).ranges.map { hexadecimal($0, expressions) }
    var pairs: [ExpressionID] = []
    for range in set.intersection(ScalarSet([0x10000...0x10FFFF])).ranges {
      pairs += surrogates(range, expressions)
    }
    let letter = expressions.bytes(ByteSet(0x75))
    return expressions.concatenation(letter, expressions.union(basic + pairs))
  }

  private func surrogates(_ range: ClosedRange<UInt32>, _ expressions: Expressions) -> [ExpressionID] {
    func pair(_ high: ClosedRange<UInt32>, _ low: ClosedRange<UInt32>) -> ExpressionID {
      expressions.concatenation([
        hexadecimal(high, expressions), expressions.literal(Array("\\u".utf8)), hexadecimal(low, expressions),
      ])
    }
    func split(_ value: UInt32) -> (UInt32, UInt32) { (0xD800 + (value - 0x10000) >> 10, 0xDC00 + (value & 0x3FF)) }
    let (firstHigh, firstLow) = split(range.lowerBound)
    let (lastHigh, lastLow) = split(range.upperBound)
    if firstHigh == lastHigh { return [pair(firstHigh...firstHigh, firstLow...lastLow)] }
    var result = [pair(firstHigh...firstHigh, firstLow...0xDFFF), pair(lastHigh...lastHigh, 0xDC00...lastLow)]
    if firstHigh + 1 < lastHigh { result.append(pair(firstHigh + 1...lastHigh - 1, 0xDC00...0xDFFF)) }
    return result
  }

  /// Four hexadecimal digits, of either case, whose number is in the range: a first digit with all that may follow it,
  /// or with a part of it at either end.
  private func hexadecimal(_ range: ClosedRange<UInt32>, _ expressions: Expressions, digits: Int = 4) -> ExpressionID {
    guard digits > 0 else { return Expressions.empty }
    let unit = UInt32(1) << UInt32(4 * (digits - 1))
    func part(_ from: UInt32, _ to: UInt32, _ rest: ClosedRange<UInt32>) -> ExpressionID {
      expressions.concatenation(
        expressions.bytes(Self.digits(from...to)), hexadecimal(rest, expressions, digits: digits - 1))
    }
    let (first, last) = (range.lowerBound / unit, range.upperBound / unit)
    let (low, high) = (range.lowerBound % unit, range.upperBound % unit)
    if first == last { return part(first, last, low...high) }
    var parts: [ExpressionID] = []
    let from = low > 0 ? first + 1 : first
    let to = high < unit - 1 ? last - 1 : last
    if low > 0 { parts.append(part(first, first, low...unit - 1)) }
    if from <= to { parts.append(part(from, to, 0...unit - 1)) }
    if high < unit - 1 { parts.append(part(last, last, 0...high)) }
    return expressions.union(parts)
  }

  private static func digits(_ range: ClosedRange<UInt32>) -> ByteSet {
    range.reduce(ByteSet()) { set, digit in
      let value = UInt8(truncatingIfNeeded: digit)
      return set.union(
        value < 10 ? ByteSet(0x30 + value) : ByteSet(0x41 + value - 10).union(ByteSet(0x61 + value - 10)))
    }
  }
}
