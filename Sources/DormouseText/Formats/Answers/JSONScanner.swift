/// Checks JSON (RFC 8259) byte by byte as it comes, without keeping any of it.
struct JSONScanner: Sendable {
  enum Verdict {
    case unfinished
    /// The value is whole. A number at the top is only so once something else follows: see `isWhole`.
    case finished
    case invalid
  }

  private enum Place {
    case value, firstElement, firstKey, key, colon, behindValue
    case string, escape
    case hexadecimal(Int)
    case number(NumberPart)
    /// A literal's remaining letters.
    case literal(StaticString, Int)
    case end
  }

  private enum NumberPart { case minus, zero, digits, point, fraction, exponent, sign, exponentDigits }

  /// Arrays and objects within each other at most, as the project reads them elsewhere.
  static let depthLimit = 512

  private var place = Place.value
  /// What the value stands in: whether it is an object, for each level.
  private var levels: [Bool] = []
  /// Whether the string is a member's name.
  private var isKey = false

  /// Whether a byte is part of a string.
  var isInString: Bool { if case .string = place { true } else { false } }

  /// Whether all bytes so far are one value.
  var isWhole: Bool {
    switch place {
    case .end: true
    case .number(let part): levels.isEmpty && JSONScanner.mayEnd(part)
    default: false
    }
  }

  /// Whether `text` is one value, with white space around it or not.
  static func isValid(_ text: some Sequence<UInt8>) -> Bool {
    var scanner = JSONScanner()
    for byte in text where scanner.read(byte) == .invalid { return false }
    return scanner.isWhole
  }

  mutating func read(_ byte: UInt8) -> Verdict {
    switch place {
    case .string: readString(byte)
    case .escape: readEscape(byte)
    case .hexadecimal(let left): readHexadecimal(byte, left: left)
    case .number(let part): readNumber(byte, part)
    case .literal(let letters, let index): readLiteral(byte, letters, index)
    default: JSONScanner.isSpace(byte) ? .unfinished : readStructure(byte)
    }
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

  private mutating func readStructure(_ byte: UInt8) -> Verdict {
    switch (place, byte) {
    case (.firstElement, UInt8(ascii: "]")), (.firstKey, UInt8(ascii: "}")): return endLevel()
    case (.value, _), (.firstElement, _): return beginValue(byte)
    case (.firstKey, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")):
      isKey = true
      return go(to: .string)
    case (.colon, UInt8(ascii: ":")): return go(to: .value)
    case (.behindValue, UInt8(ascii: ",")): return go(to: levels.last == true ? .key : .value)
    case (.behindValue, UInt8(ascii: "}")) where levels.last == true: return endLevel()
    case (.behindValue, UInt8(ascii: "]")) where levels.last == false: return endLevel()
    default: return .invalid
    }
  }

  private mutating func go(to next: Place) -> Verdict {
    place = next
    return .unfinished
  }

  private mutating func beginValue(_ byte: UInt8) -> Verdict {
    switch byte {
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      guard levels.count < JSONScanner.depthLimit else { return .invalid }
      levels.append(byte == UInt8(ascii: "{"))
      return go(to: byte == UInt8(ascii: "{") ? .firstKey : .firstElement)
    case UInt8(ascii: "\""):
      isKey = false
      return go(to: .string)
    case UInt8(ascii: "-"): return go(to: .number(.minus))
    case UInt8(ascii: "0"): return go(to: .number(.zero))
    case UInt8(ascii: "1")...UInt8(ascii: "9"): return go(to: .number(.digits))
    case UInt8(ascii: "t"): return go(to: .literal("true", 1))
    case UInt8(ascii: "f"): return go(to: .literal("false", 1))
    case UInt8(ascii: "n"): return go(to: .literal("null", 1))
    default: return .invalid
    }
  }

  private mutating func endValue() -> Verdict {
    place = levels.isEmpty ? .end : .behindValue
    return levels.isEmpty ? .finished : .unfinished
  }

  private mutating func endLevel() -> Verdict {
    levels.removeLast()
    return endValue()
  }

  private mutating func readString(_ byte: UInt8) -> Verdict {
    switch byte {
    case UInt8(ascii: "\""): return isKey ? go(to: .colon) : endValue()
    case UInt8(ascii: "\\"): return go(to: .escape)
    default: return byte < 0x20 ? .invalid : .unfinished
    }
  }

  private mutating func readEscape(_ byte: UInt8) -> Verdict {
    switch byte {
    case UInt8(ascii: "u"): go(to: .hexadecimal(4))
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      go(to: .string)
    default: .invalid
    }
  }

  private mutating func readHexadecimal(_ byte: UInt8, left: Int) -> Verdict {
    switch byte {
    case 0x30...0x39, 0x41...0x46, 0x61...0x66: go(to: left == 1 ? .string : .hexadecimal(left - 1))
    default: .invalid
    }
  }

  private mutating func readLiteral(_ byte: UInt8, _ letters: StaticString, _ index: Int) -> Verdict {
    guard byte == letters.withUTF8Buffer({ $0[index] }) else { return .invalid }
    return index + 1 == letters.utf8CodeUnitCount ? endValue() : go(to: .literal(letters, index + 1))
  }

  private static func mayEnd(_ part: NumberPart) -> Bool {
    switch part {
    case .zero, .digits, .fraction, .exponentDigits: true
    case .minus, .point, .exponent, .sign: false
    }
  }

  private mutating func readNumber(_ byte: UInt8, _ part: NumberPart) -> Verdict {
    switch (part, byte) {
    case (.minus, UInt8(ascii: "0")): return go(to: .number(.zero))
    case (.minus, 0x31...0x39), (.digits, 0x30...0x39): return go(to: .number(.digits))
    case (.zero, UInt8(ascii: ".")), (.digits, UInt8(ascii: ".")): return go(to: .number(.point))
    case (.point, 0x30...0x39), (.fraction, 0x30...0x39): return go(to: .number(.fraction))
    case (.zero, 0x45), (.zero, 0x65), (.digits, 0x45), (.digits, 0x65), (.fraction, 0x45), (.fraction, 0x65):
      return go(to: .number(.exponent))
    case (.exponent, UInt8(ascii: "+")), (.exponent, UInt8(ascii: "-")): return go(to: .number(.sign))
    case (.exponent, 0x30...0x39), (.sign, 0x30...0x39), (.exponentDigits, 0x30...0x39):
      return go(to: .number(.exponentDigits))
    default:
      guard JSONScanner.mayEnd(part) else { return .invalid }
      _ = endValue()
      return read(byte)
    }
  }
}
