public import DormouseSupport

/// Where the bytes of an image, video or audio come from.
public enum MediaSource: Sendable {
  case file(RootedFile)
  case bytes(AlignedBuffer)

  /// What a message calls a medium: a data URL, a file URL, or a path.
  /// - Parameters:
  ///   - name: which medium of the messages it is, for sentences.
  ///   - byteLimit: bytes that a data URL may have.
  /// - Throws: `Failure(.unsupported)` for URLs of other schemes: nothing is fetched; else as `DataURL` and `MediaRoots`.
  public init(reference: String, name: String, roots: MediaRoots, byteLimit: Int, _ interruption: Interruption = .never)
    throws(Failure)
  {
    if DataURL.isOne(reference) {
      self = .bytes(try DataURL.decode(reference, name: name, limit: byteLimit, interruption))
    } else if let path = try MediaSource.filePath(reference, name) {
      self = .file(try withContext(name) { () throws(Failure) in try roots.open(path) })
    } else {
      throw Failure(
        .unsupported, "\(name): \(Excerpt.name(reference)) is not fetched; give a file of this host or a data URL")
    }
  }

  /// The path of a file URL or of a plain path; nil for any other URL.
  private static func filePath(_ reference: String, _ name: String) throws(Failure) -> String? {
    guard let scheme = scheme(reference) else { return reference }
    guard scheme == "file" else { return nil }
    let rest = reference.utf8.dropFirst("file:".utf8.count)
    // file:/path, file:///path, file://localhost/path (RFC 8089)
    for authority in ["//localhost/", "///", "/"] where rest.starts(with: authority.utf8) {
      let path = rest.dropFirst(authority.utf8.count - 1)
      guard !path.starts(with: "//".utf8) else { break }
      return try decodedPercents(path, name)
    }
    throw Failure(.invalidArgument, "\(name): \(Excerpt.name(reference)) is no file URL of this machine")
  }

  /// The scheme of a URL in lower case (RFC 3986, 3.1); nil for what is none, a path with a colon in it among others.
  private static func scheme(_ reference: String) -> String? {
    guard let colon = reference.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let scheme = reference.utf8[..<colon].map { $0 | 0x20 }
    guard let first = scheme.first, isLetter(first),
      scheme.allSatisfy({ isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) })
    else { return nil }
    return String(decoding: scheme, as: UTF8.self)
  }

  private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
  private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

  private static func decodedPercents(_ path: some Collection<UInt8>, _ name: String) throws(Failure) -> String {
    var bytes: [UInt8] = []
    var rest = path[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16),
        digits.first != UInt8(ascii: "+")
      else { throw Failure(.invalidArgument, "\(name): a file URL has a '%' that begins no character") }
      guard value != 0 else {
        throw Failure(.invalidArgument, "\(name): a file URL with '%00': a path with a NUL character names no file")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(.invalidArgument, "\(name): a file URL is not UTF-8")
    }
    return text
  }
}
