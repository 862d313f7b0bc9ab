/// The markers of a format that are added tokens of the model's tokenizer, and so known by their ids.
///
/// In an `AnswerBuffer` each stands as a byte of its own that UTF-8 never has. Markers that the tokenizer writes in
/// ordinary tokens stand as their text.
struct AnswerMarkers: Sendable {
  private struct Marker {
    var id: Int32
    var text: [UInt8]
    /// Whether its token gave its text: a control token does not, and then nothing is to be given back.
    var isShown = true
  }

  /// The bytes that UTF-8 never has, from here on.
  private static let firstByte: UInt8 = 0xF5
  private var markers: [Marker] = []

  /// - Parameter texts: at most eleven.
  init(_ texts: [String], tokenizer: Tokenizer) {
    for text in texts.prefix(11) {
      guard let id = tokenizer.addedTokenID(of: text) else { continue }
      markers.append(Marker(id: id, text: Array(text.utf8)))
    }
  }

  static func isMarker(_ byte: UInt8) -> Bool { byte >= firstByte }

  /// What stands in a buffer for a text that is one marker, or holds the marker `inner`.
  func bytes(of text: String) -> [UInt8] {
    var bytes = Array(text.utf8)
    for (index, marker) in markers.enumerated() where bytes.count >= marker.text.count {
      let starts = 0...bytes.count - marker.text.count
      guard let start = starts.first(where: { bytes[$0...].starts(with: marker.text) }) else { continue }
      bytes.replaceSubrange(start..<start + marker.text.count, with: [AnswerMarkers.firstByte + UInt8(index)])
    }
    return bytes
  }

  /// Adds a token and its text to `buffer`.
  mutating func append(_ token: Int32, text: [UInt8], to buffer: inout AnswerBuffer) {
    guard let index = markers.firstIndex(where: { $0.id == token }) else { return buffer.append(text) }
    let own = markers[index].text
    // Before its text may stand U+FFFD, for a character that the tokens before it began.
    markers[index].isShown = text.suffix(own.count).elementsEqual(own)
    buffer.append(markers[index].isShown ? text.dropLast(own.count) : text[...])
    buffer.append(CollectionOfOne(AnswerMarkers.firstByte + UInt8(index)))
  }

  /// Calls `body` with the text of `bytes`, run by run.
  func forEachRun(of bytes: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>) -> Void) {
    var rest = bytes
    while let end = rest.firstIndex(where: AnswerMarkers.isMarker) {
      body(rest[..<end])
      let index = Int(rest[end] - AnswerMarkers.firstByte)
      if markers.indices.contains(index), markers[index].isShown { body(markers[index].text[...]) }
      rest = rest[(end + 1)...]
    }
    body(rest)
  }

  /// The text of `bytes`.
  func text(of bytes: ArraySlice<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    forEachRun(of: bytes) { text += $0 }
    return text
  }
}

extension Tokenizer {
  /// The id of the added token with this text; nil where it is none, or an ordinary token.
  func addedTokenID(of text: String) -> Int32? { id(of: text).flatMap { parts.addedToken($0) == nil ? nil : $0 } }
}
