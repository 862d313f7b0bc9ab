public import DormouseSupport

/// Base64 as RFC 4648, section 4 has it: the standard alphabet, whole groups with their padding, and no bits behind the
/// last byte. Spaces, tabs and line ends may stand anywhere, as the tools write them that wrap their lines.
public enum Base64 {
  /// - Parameters:
  ///   - name: what the text is part of, for sentences.
  ///   - limit: bytes that may come out; checked before memory is taken.
  /// - Throws: `Failure(.invalidArgument)` naming the offending position, `Failure(.outOfMemory)`.
  public static func decode(
    _ text: some BidirectionalCollection<UInt8>, name: String, limit: Int, _ interruption: Interruption = .never
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
    var (bits, bitCount): (UInt32, UInt32) = (0, 0)
    var rest = count - padding
    for (position, character) in text.enumerated() {
      if position & 0xF_FFFF == 0 { try interruption.check() }
      if rest == 0 { break }
      if isSpace(character) { continue }
      rest -= 1
      let value = values[Int(character)]
      guard value < 64 else {
        throw Failure(.invalidArgument, "\(name): the byte \(character) at position \(position) is not base64")
      }
      bits = bits << 6 | UInt32(value)
      bitCount += 6
      guard bitCount >= 8 else { continue }
      bitCount -= 8
      buffer.bytes[written] = UInt8(truncatingIfNeeded: bits >> bitCount)
      written += 1
      bits &= (1 << bitCount) - 1
    }
    guard bits == 0 else { throw Failure(.invalidArgument, "\(name): base64 ends in the middle of a byte") }
    return buffer
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

  /// The value of each character, 255 for those that have none.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: 255, count: 256)
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for (value, character) in alphabet.utf8.enumerated() { values[Int(character)] = UInt8(value) }
    return values
  }()
}
