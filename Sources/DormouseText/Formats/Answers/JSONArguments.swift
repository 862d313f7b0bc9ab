/// Passes an object on that a model writes as JSON, as it is and as it comes.
struct JSONArguments: Sendable {
  private var scanner = JSONScanner()

  /// Reads on in the object, whose `{` stands first.
  /// - Parameter ends: what no string may hold, where it is a token of its own.
  /// - Returns: `finished` behind its `}`.
  mutating func read(
    _ buffer: inout AnswerBuffer, ends: [[UInt8]], _ writer: CallWriter, _ parts: inout AnswerParts
  ) -> CallProgress {
    var progress = CallProgress.unfinished
    loop: while let byte = buffer.next {
      if AnswerMarkers.isMarker(byte), !scanner.isInString || ends.contains([byte]) {
        progress = .broken
        break
      }
      switch scanner.read(byte) {
      case .unfinished: buffer.advance()
      case .finished:
        buffer.advance()
        progress = .finished
        break loop
      case .invalid:
        progress = .broken
        break loop
      }
    }
    writer.write(buffer.read, as: .toolArguments, to: &parts)
    buffer.pass()
    return progress == .unfinished && buffer.isEnded ? .broken : progress
  }
}
