extension [PromptRun] {
  /// The same with media in place of what a template has written for them: in markup alone, since a message may say
  /// the same words.
  /// - Parameter placeholders: of each medium, in order. The first one that is not found ends the search.
  func replacing(mediaPlaceholders placeholders: [String]) -> [PromptRun] {
    guard !placeholders.isEmpty else { return self }
    var result: [PromptRun] = []
    var rest = placeholders.enumerated().map { (index: $0, search: SequenceSearch([UInt8]($1.utf8))) }[...]
    for run in self {
      guard case .markup(let text) = run else {
        result.append(run)
        continue
      }
      [UInt8](text.utf8).withUnsafeBufferPointer { bytes in
        var start = 0
        func append(until end: Int) {
          guard start < end else { return }
          result.append(.markup(String(decoding: bytes[start..<end], as: UTF8.self)))
        }
        while let next = rest.first, let place = next.search.first(in: bytes, from: start) {
          append(until: place)
          result.append(.media(next.index))
          start = place + next.search.wanted.count
          rest = rest.dropFirst()
        }
        append(until: bytes.count)
      }
    }
    return result
  }
}
