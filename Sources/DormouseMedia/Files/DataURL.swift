public import DormouseSupport

/// A file inside a URL (RFC 2397): `data:image/png;base64,iVBORw0...`.
public enum DataURL {
  /// Whether `text` is a data URL, well formed or not. Schemes have no case.
  public static func isOne(_ text: String) -> Bool {
    text.utf8.prefix(5).map { $0 | 0x20 }.elementsEqual("data:".utf8.map { $0 | 0x20 })
  }

  /// The bytes of a URL in base64. Its media type is not looked at: what a file is follows from its bytes.
  /// - Parameters:
  ///   - name: which URL it is, for sentences.
  ///   - limit: bytes that may come out.
  /// - Throws: `Failure(.invalidArgument)` for a URL without a comma or with wrong base64, `Failure(.unsupported)` for
  ///   one whose data are percent-encoded.
  public static func decode(
    _ text: String, name: String, limit: Int, _ interruption: Interruption = .never
  ) throws(Failure) -> AlignedBuffer {
    guard isOne(text), let comma = text.utf8.firstIndex(of: UInt8(ascii: ",")) else {
      throw Failure(.invalidArgument, "\(name): a data URL has a comma in front of its data")
    }
    let head = text.utf8[..<comma].map { $0 | 0x20 }
    guard head.reversed().starts(with: ";base64".utf8.map { $0 | 0x20 }.reversed()) else {
      throw Failure(.unsupported, "\(name): data URLs are read in base64 alone, 'data:...;base64,...'")
    }
    return try Base64.decode(text.utf8[text.utf8.index(after: comma)...], name: name, limit: limit, interruption)
  }
}
