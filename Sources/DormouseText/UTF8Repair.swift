/// UTF-8 with errors, by the rule of Python's `errors="replace"` and of the Unicode Standard (table 3-7, "maximal
/// subparts"): each maximal invalid subpart becomes one U+FFFD.
enum UTF8Repair {
  /// What stands at a position.
  enum Sequence: Equatable {
    /// A whole character of so many bytes.
    case character(Int)
    /// So many bytes that start no character.
    case invalid(Int)
    /// The text ends inside a character that could still become whole; all bytes to the end belong to it.
    case incomplete(Int)
  }

  static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

  /// Examines the bytes from `start`, which must be inside `bytes`.
  static func sequence(in bytes: UnsafeRawBufferPointer, at start: Int) -> Sequence {
    let first = bytes[start]
    if first < 0x80 { return .character(1) }
    guard let length = lengthOfSequence(startingWith: first) else { return .invalid(1) }
    for offset in 1..<length {
      guard start + offset < bytes.count else { return .incomplete(offset) }
      let byte = bytes[start + offset]
      let allowed = offset == 1 ? allowedSecond(after: first) : 0x80...0xBF
      if !allowed.contains(byte) { return .invalid(offset) }
    }
    return .character(length)
  }

  /// `bytes` with every invalid subpart replaced; the end of the text ends a character too.
  static func repaired(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    let used = append(bytes, to: &output)
    if used < bytes.count { output += replacement }
    return output
  }

  /// Appends all of `bytes` that is decided: whole characters, and U+FFFD for invalid subparts.
  /// - Returns: how many bytes were used up; the rest is the beginning of a character.
  static func append(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) -> Int {
    var index = 0
    var validStart = 0
    while index < bytes.count {
      switch sequence(in: bytes, at: index) {
      case .character(let length): index += length
      case .invalid(let length):
        output += bytes[validStart..<index]
        output += replacement
        index += length
        validStart = index
      case .incomplete:
        output += bytes[validStart..<index]
        return index
      }
    }
    output += bytes[validStart..<index]
    return index
  }

  private static func lengthOfSequence(startingWith byte: UInt8) -> Int? {
    switch byte {
    case 0xC2...0xDF: 2
    case 0xE0...0xEF: 3
    case 0xF0...0xF4: 4
    default: nil
    }
  }

  /// The second byte rules out overlong forms, surrogates and everything past U+10FFFF.
  private static func allowedSecond(after first: UInt8) -> ClosedRange<UInt8> {
    switch first {
    case 0xE0: 0xA0...0xBF
    case 0xED: 0x80...0x9F
    case 0xF0: 0x90...0xBF
    case 0xF4: 0x80...0x8F
    default: 0x80...0xBF
    }
  }
}
