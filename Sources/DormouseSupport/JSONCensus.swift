/// What json-c tolerates, changes or loses, found in the text itself.
///
/// json-c keeps the last of two equal keys without a word, ends a key at its first NUL, takes strings in single quotes,
/// control characters in strings, ill-formed UTF-8 such as surrogates, numbers such as `1.` and `-01`, and clamps
/// integers. The census walks the text once, before json-c allocates anything; it is right for valid documents, and
/// reads invalid ones without harm.
struct JSONCensus {
  /// Object members: in a valid document every colon outside a string belongs to one.
  private(set) var members = 0
  /// Arrays and objects.
  private(set) var containers = 0
  /// All values at most: one more than there are commas in each container, and the document itself.
  var values: Int { commas + containers + 1 }
  private var commas = 0
  /// The values, in document order, of the integers that json-c gives as its smallest or largest one: those beyond its
  /// types by their digits.
  private(set) var extremeIntegers: [JSON] = []
  private var problem: (offset: Int, sentence: String)?
  private let bytes: UnsafeRawBufferPointer

  init(of bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    var lastString = 0..<0
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      switch byte {
      case UInt8(ascii: "\""):
        lastString = JSONCensus.string(in: bytes, after: index)
        checkString(lastString)
        index = lastString.upperBound
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
        let end = numberEnd(from: index)
        checkNumber(index..<end)
        index = end - 1
      case UInt8(ascii: "{"), UInt8(ascii: "["): containers += 1
      case UInt8(ascii: ","): commas += 1
      case UInt8(ascii: ":"):
        members += 1
        if holdsNul(lastString) { note(lastString.lowerBound, "the key holds a NUL character") }
      case UInt8(ascii: "'"): note(index, "a string must stand in double quotes")
      case 0x0B, 0x0C: note(index, "a control character outside a string")
      default: break
      }
      index += 1
    }
  }

  /// Throws the first thing found that JSON does not allow.
  func check() throws(Failure) {
    guard let problem else { return }
    throw Failure(.malformed, "not valid JSON at byte \(problem.offset): \(problem.sentence)")
  }

  /// The range between the quotes of the string whose first quote is at `quote`; up to the end where none follows.
  static func string(in bytes: UnsafeRawBufferPointer, after quote: Int) -> Range<Int> {
    var index = quote + 1
    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
      index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
    }
    return min(quote + 1, bytes.count)..<min(index, bytes.count)
  }

  private mutating func note(_ offset: Int, _ sentence: String) {
    if problem == nil { problem = (offset, sentence) }
  }

  private mutating func checkString(_ range: Range<Int>) {
    var isASCII = true
    for index in range {
      let byte = bytes[index]
      if byte < 0x20 { return note(index, "a control character in a string must be escaped") }
      isASCII = isASCII && byte < 0x80
    }
    if !isASCII, String(validating: bytes[range], as: UTF8.self) == nil {
      note(range.lowerBound, "the string is not valid UTF-8")
    }
  }

  /// Whether the inside of a string has the escape of U+0000.
  private func holdsNul(_ range: Range<Int>) -> Bool {
    var index = range.lowerBound
    while index < range.upperBound {
      guard bytes[index] == UInt8(ascii: "\\") else {
        index += 1
        continue
      }
      if bytes[min(index + 1, range.upperBound)..<range.upperBound].starts(with: "u0000".utf8) { return true }
      index += 2
    }
    return false
  }
}

extension JSONCensus {
  private func numberEnd(from start: Int) -> Int {
    var end = start
    while end < bytes.count {
      switch bytes[end] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
        UInt8(ascii: "e"), UInt8(ascii: "E"):
        end += 1
      default: return end
      }
    }
    return end
  }

  /// Holds a number to `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
  private mutating func checkNumber(_ range: Range<Int>) {
    var rest = bytes[range]
    take(&rest) { $0 == UInt8(ascii: "-") }
    let leading = rest.first
    let wholeDigits = takeDigits(&rest)
    var isWellFormed = wholeDigits == 1 || (wholeDigits > 1 && leading != UInt8(ascii: "0"))
    let isInteger = rest.isEmpty
    if take(&rest, { $0 == UInt8(ascii: ".") }) { isWellFormed = isWellFormed && takeDigits(&rest) > 0 }
    if take(&rest, { $0 | 0x20 == UInt8(ascii: "e") }) {
      take(&rest) { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
      isWellFormed = isWellFormed && takeDigits(&rest) > 0
    }
    guard isWellFormed, rest.isEmpty else { return note(range.lowerBound, "not a number as JSON writes it") }
    // Int64.min has 19 digits, UInt64.max 20.
    if isInteger, wholeDigits >= 19 { recordIfExtreme(String(decoding: bytes[range], as: UTF8.self)) }
  }

  @discardableResult
  private func take(_ rest: inout Slice<UnsafeRawBufferPointer>, _ matches: (UInt8) -> Bool) -> Bool {
    guard let first = rest.first, matches(first) else { return false }
    rest.removeFirst()
    return true
  }

  private func takeDigits(_ rest: inout Slice<UnsafeRawBufferPointer>) -> Int {
    var count = 0
    while take(&rest, { UInt8(ascii: "0") <= $0 && $0 <= UInt8(ascii: "9") }) { count += 1 }
    return count
  }

  private mutating func recordIfExtreme(_ text: String) {
    if text.utf8.first == UInt8(ascii: "-") {
      guard let value = Int64(text) else { return extremeIntegers.append(.largeInteger(text)) }
      if value == .min { extremeIntegers.append(.integer(value)) }
    } else if UInt64(text) ?? .max == .max {
      extremeIntegers.append(.largeInteger(text))
    }
  }
}
