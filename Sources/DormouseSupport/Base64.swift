/// Base64 as RFC 4648, section 4 has it: the standard alphabet, whole groups with their padding, and no bits behind the
/// last byte.
public enum Base64 {
  /// The bytes that `text` stands for, which may have spaces, tabs and line ends anywhere, as the tools write them that
  /// wrap their lines.
  /// - Parameters:
  ///   - name: what the text is part of, for sentences.
  ///   - limit: bytes that may come out; checked before memory is taken.
  ///   - interruption: asked once a million characters.
  /// - Throws: `Failure(.invalidArgument)` naming the offending position, `Failure(.outOfMemory)`.
  public static func decode(
    _ text: some Collection<UInt8>, name: String, limit: Int, _ interruption: Interruption = .never
  ) throws(Failure) -> AlignedBuffer {
    // One call through the collection's type, whatever it is, and none for each byte.
    let outcome = text.withContiguousStorageIfAvailable { text in
      Result { () throws(Failure) in try decode(text, name: name, limit: limit, interruption) }
    }
    if let outcome { return try outcome.get() }
    let copy = Array(text)
    let ofCopy = copy.withUnsafeBufferPointer { text in
      Result { () throws(Failure) in try decode(text, name: name, limit: limit, interruption) }
    }
    return try ofCopy.get()
  }

  private static func decode(
    _ text: UnsafeBufferPointer<UInt8>, name: String, limit: Int, _ interruption: Interruption
  ) throws(Failure) -> AlignedBuffer {
    let count = text.lazy.filter { !isSpace($0) }.count
    guard count % 4 == 0 else {
      throw Failure(.invalidArgument, "\(name): base64 has groups of four characters, but there are \(count)")
    }
    let padding = text.reversed().lazy.filter { !isSpace($0) }.prefix(2).prefix { $0 == UInt8(ascii: "=") }.count
    let byteCount = count / 4 * 3 - padding
    guard byteCount <= limit else {
      throw Failure(.invalidArgument, "\(name): the data have \(byteCount) bytes, more than the limit, \(limit)")
    }
    let buffer = try AlignedBuffer(byteCount: byteCount, isZeroed: false, for: name)
    var written = 0
    var sextets = Sextets()
    var rest = count - padding
    for (position, character) in text.enumerated() {
      if position & 0xF_FFFF == 0 { try interruption.check() }
      if rest == 0 { break }
      if isSpace(character) { continue }
      rest -= 1
      guard let value = Sextets.value(of: character) else {
        throw Failure(.invalidArgument, "\(name): the byte \(character) at position \(position) is not base64")
      }
      guard let byte = sextets.add(value) else { continue }
      buffer.bytes[written] = byte
      written += 1
    }
    guard sextets.isEmpty else { throw Failure(.invalidArgument, "\(name): base64 ends in the middle of a byte") }
    return buffer
  }

  /// The bytes that `text` stands for, without spaces; nil when it is not base64.
  public static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
    var output: [UInt8] = []
    output.reserveCapacity(text.count / 4 * 3)
    var sextets = Sextets()
    for character in text.dropLast(padding) {
      guard let value = Sextets.value(of: character) else { return nil }
      if let byte = sextets.add(value) { output.append(byte) }
    }
    return sextets.isEmpty ? output : nil
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

  /// Joins the six bits of each character into bytes.
  private struct Sextets {
    private var bits: UInt32 = 0
    private var bitCount: UInt32 = 0

    /// Whether no bits are left over, but those that are 0.
    var isEmpty: Bool { bits == 0 }

    /// The byte that six more bits complete, if they do.
    mutating func add(_ value: UInt8) -> UInt8? {
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      guard bitCount >= 8 else { return nil }
      bitCount -= 8
      let byte = UInt8(truncatingIfNeeded: bits >> bitCount)
      bits &= (1 << bitCount) - 1
      return byte
    }

    static func value(of character: UInt8) -> UInt8? {
      switch character {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
      case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
      case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
      case UInt8(ascii: "+"): 62
      case UInt8(ascii: "/"): 63
      default: nil
      }
    }
  }
}
