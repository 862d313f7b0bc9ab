/// The printable alphabet in which byte-level BPE spells bytes (GPT-2's `bytes_to_unicode`): printable Latin-1
/// characters stand for themselves, the other 68 bytes for U+0100 onwards.
enum ByteAlphabet {
  /// Appends the bytes that `token` spells.
  /// - Returns: false, with nothing appended, when a character is outside the alphabet.
  static func append(_ token: String, to bytes: inout [UInt8]) -> Bool {
    let start = bytes.count
    for scalar in token.unicodeScalars {
      guard scalar.value < UInt32(byteOfScalar.count), case let byte = byteOfScalar[Int(scalar.value)], byte >= 0 else {
        bytes.removeSubrange(start...)
        return false
      }
      bytes.append(UInt8(truncatingIfNeeded: byte))
    }
    return true
  }

  /// Appends what the ByteLevel decoder makes of `token`: the bytes it spells, or its UTF-8 when it has a character
  /// outside the alphabet.
  static func appendDecoded(_ token: String, to bytes: inout [UInt8]) {
    if !append(token, to: &bytes) { bytes += token.utf8 }
  }

  /// Index: scalar value; value: the byte, or -1.
  private static let byteOfScalar: [Int16] = {
    var table = [Int16](repeating: -1, count: 256 + 68)
    var next = 256
    for byte in 0..<256 {
      if isPrintable(byte) {
        table[byte] = Int16(byte)
      } else {
        table[next] = Int16(byte)
        next += 1
      }
    }
    return table
  }()

  private static func isPrintable(_ byte: Int) -> Bool {
    (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
  }
}
