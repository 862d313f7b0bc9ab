import DormouseSupport
import Testing

@Suite struct Base64Tests {
  private func decoded(_ text: String, limit: Int = 100) throws -> String {
    let buffer = try Base64.decode(text.utf8, name: "x", limit: limit)
    return withExtendedLifetime(buffer) { String(decoding: buffer.bytes, as: UTF8.self) }
  }

  /// RFC 4648, section 10.
  @Test(
    arguments: [
      ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba"),
      ("Zm9vYmFy", "foobar"), ("Zg==\n", "f"), ("Zg=\r\n=", "f"), (" Zm9v\nYm\tFy\r\n", "foobar"), ("\n\n", ""),
    ])
  func published(text: String, bytes: String) throws { #expect(try decoded(text) == bytes) }

  @Test func everyByte() throws {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    let bytes = (0..<255).map { UInt8($0) }
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let bits = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
      text += [18, 12, 6, 0].map { alphabet[bits >> $0 & 63] }
    }
    let buffer = try Base64.decode(text, name: "x", limit: 255)
    withExtendedLifetime(buffer) { #expect(Array(buffer.bytes) == bytes) }
  }

  @Test(
    arguments: [
      ("Zg=", "groups of four"), ("Zg", "groups of four"), ("Zg\n\n", "groups of four"),
      ("Zm9v\0\0\0\0", "byte 0 at position 4"),
      ("Z===", "byte 61 at position 1"), ("====", "byte 61 at position 0"), ("Zg==Zm9v", "byte 61 at position 2"),
      ("Zh==", "middle of a byte"), ("Zm9=", "middle of a byte"), ("Zm-v", "byte 45 at position 2"),
      ("Zm_v", "byte 95"), ("Zm\u{e9}", "byte 195"),
    ])
  func refused(text: String, reason: String) {
    #expect { try decoded(text) } throws: {
      ($0 as? Failure)?.status == .invalidArgument && "\($0)".hasPrefix("x: ") && "\($0)".contains(reason)
    }
  }

  @Test func decodingIsInterrupted() throws {
    let text = [UInt8](repeating: UInt8(ascii: "A"), count: 4 << 20)
    #expect(throws: Asked.failure) {
      _ = try Base64.decode(text, name: "x", limit: 4 << 20, Asked().interruption(at: 4))
    }
  }

  @Test func theLimitCountsBytes() throws {
    #expect(try decoded("Zm9vYg==", limit: 4) == "foob")
    #expect { try decoded("Zm9vYg==", limit: 3) } throws: { "\($0)".contains("4 bytes, more than the limit, 3") }
  }
}
