internal import DormouseSupport

/// A token that is looked for in the text before anything else, as `added_tokens` describes it.
struct AddedToken: Sendable, Equatable {
  var content: String
  /// Skipped when decoding with `skipSpecial`.
  var isSpecial: Bool
  /// Looked for after the normalizer has run, and not before.
  var isNormalized: Bool
  /// Takes the white space on its left with it.
  var stripsLeft: Bool
  var stripsRight: Bool
  /// Found only where no word character is next to it.
  var isSingleWord: Bool

  /// A control token, with no other flags.
  init(special content: String) {
    self.content = content
    isSpecial = true
    isNormalized = false
    stripsLeft = false
    stripsRight = false
    isSingleWord = false
  }

  /// Bytes of an added token's content at most; it bounds the work at each character of a text.
  static let contentLimit = 256

  /// Reads `{"content": ..., "special": ..., ...}`; absent flags are false, `normalized` the opposite of `special`.
  /// - Throws: `Failure(.malformed)` naming the member of `field`.
  init(_ json: JSON, field: String) throws(Failure) {
    guard let content = json["content"]?.stringValue else {
      throw Failure(.malformed, "\(field).content: expected a string")
    }
    guard content.utf8.count <= AddedToken.contentLimit else {
      throw Failure(
        .malformed, "\(field).content has \(content.utf8.count) bytes, expected at most \(AddedToken.contentLimit)")
    }
    self.content = content
    isSpecial = try AddedToken.flag("special", json, field) ?? false
    isNormalized = try AddedToken.flag("normalized", json, field) ?? !isSpecial
    stripsLeft = try AddedToken.flag("lstrip", json, field) ?? false
    stripsRight = try AddedToken.flag("rstrip", json, field) ?? false
    isSingleWord = try AddedToken.flag("single_word", json, field) ?? false
  }

  private static func flag(_ name: String, _ json: JSON, _ field: String) throws(Failure) -> Bool? {
    guard let value = json[name] else { return nil }
    guard let flag = value.boolValue else {
      throw Failure(.malformed, "\(field).\(name) is \(value.typeName), expected a boolean")
    }
    return flag
  }
}

/// Finds added tokens in text: from left to right, the longest at each place.
struct AddedTokenMatcher: Sendable {
  private struct Entry: Sendable {
    var pattern: [UInt8]
    var id: Int32
    var token: AddedToken
  }

  /// Sorted by pattern, so that narrowing a range byte by byte finds all that begin as the text does.
  private let entries: [Entry]
  private let firstBytes: [Bool]
  private let wordCharacter: TextPattern?
  /// Bytes of the longest token that is looked for.
  let longest: Int
  /// Whether a token takes white space with it.
  let stripsSpace: Bool

  /// - Parameter tokens: what to look for, the id, and the token's flags.
  init(_ tokens: [(pattern: [UInt8], id: Int32, token: AddedToken)]) throws(Failure) {
    entries = tokens.filter { !$0.pattern.isEmpty }
      .map { Entry(pattern: $0.pattern, id: $0.id, token: $0.token) }
      .sorted { $0.pattern.lexicographicallyPrecedes($1.pattern) }
    var firstBytes = [Bool](repeating: false, count: 256)
    for entry in entries { firstBytes[Int(entry.pattern[0])] = true }
    self.firstBytes = firstBytes
    longest = entries.map(\.pattern.count).max() ?? 0
    stripsSpace = entries.contains { $0.token.stripsLeft || $0.token.stripsRight }
    let hasSingleWord = entries.contains { $0.token.isSingleWord }
    wordCharacter = hasSingleWord ? try TextPattern(.expression(#"[\w\p{Alphabetic}\u200C\u200D]"#)) : nil
  }

  func token(_ id: Int32) -> AddedToken? { entries.first { $0.id == id }?.token }

  /// Cuts the added tokens out of every text piece of `list`.
  /// - Parameter markup: where a match may stand: it must lie inside one of these ranges, which are in order and apart.
  func split(_ list: inout PieceList, markup: [Range<Int>], work: TextWork) throws(Failure) {
    if entries.isEmpty || markup.isEmpty { return }
    var result: [Piece] = []
    var next = 0
    for piece in list.pieces {
      guard piece.token < 0 else {
        result.append(piece)
        continue
      }
      var end = piece.start
      while next < markup.count, markup[next].upperBound <= piece.start { next += 1 }
      var index = next
      while index < markup.count, markup[index].lowerBound < piece.end {
        let span = markup[index].clamped(to: piece.range)
        try split(list.bytes, span: span, piece: piece, end: &end, into: &result, work: work)
        index += 1
      }
      if end < piece.end { result.append(Piece(start: end, end: piece.end)) }
    }
    list.pieces = result
  }

  /// - Parameter end: where the last piece in `result` ends.
  private func split(
    _ bytes: [UInt8], span: Range<Int>, piece: Piece, end: inout Int, into result: inout [Piece], work: TextWork
  ) throws(Failure) {
    var position = span.lowerBound
    try work.spend(4 * span.count)
    while position < span.upperBound {
      guard firstBytes[Int(bytes[position])],
        let entry = try longestMatch(bytes, at: position, end: span.upperBound, work: work)
      else {
        position += 1
        continue
      }
      var match = position..<position + entry.pattern.count
      position = match.upperBound
      if entry.token.isSingleWord, try touchesWord(bytes, match, piece: piece, work: work) { continue }
      if entry.token.stripsLeft {
        var start = match.lowerBound
        // No further than to what is taken already: each character is looked at once.
        let first = max(piece.start, end)
        while start > first, let length = WhiteSpace.length(in: bytes, before: start) { start -= length }
        // White space that the token before has stripped is gone, and a token of nothing else with it.
        guard end < match.upperBound else { continue }
        match = max(start, end)..<match.upperBound
      }
      if entry.token.stripsRight {
        var stop = match.upperBound
        while stop < piece.end, let length = WhiteSpace.length(in: bytes, at: stop) { stop += length }
        try work.spend(4 * (stop - match.upperBound))
        match = match.lowerBound..<stop
      }
      if end < match.lowerBound { result.append(Piece(start: end, end: match.lowerBound)) }
      result.append(Piece(start: match.lowerBound, end: match.upperBound, token: entry.id))
      end = match.upperBound
    }
  }

  private func longestMatch(
    _ bytes: [UInt8], at start: Int, end: Int, work: TextWork
  ) throws(Failure) -> Entry? {
    var low = 0
    var high = entries.count
    var best: Entry?
    var depth = 0
    while low < high {
      if entries[low].pattern.count == depth {
        best = entries[low]
        // An entry of exactly this length sorts before the longer ones.
        low += 1
        continue
      }
      guard start + depth < end else { break }
      let byte = bytes[start + depth]
      low = firstIndex(from: low, to: high) { $0.pattern[depth] >= byte }
      high = firstIndex(from: low, to: high) { $0.pattern[depth] > byte }
      depth += 1
    }
    try work.spend(64 * (depth + 1))
    return best
  }

  private func firstIndex(from low: Int, to high: Int, _ isReached: (Entry) -> Bool) -> Int {
    var low = low
    var high = high
    while low < high {
      let middle = low + (high - low) / 2
      if isReached(entries[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private func touchesWord(
    _ bytes: [UInt8], _ match: Range<Int>, piece: Piece, work: TextWork
  ) throws(Failure) -> Bool {
    var before = match.lowerBound
    while before > piece.start {
      before -= 1
      if bytes[before] & 0xC0 != 0x80 { break }
    }
    var after = match.upperBound
    while after < piece.end {
      after += 1
      if after == piece.end || bytes[after] & 0xC0 != 0x80 { break }
    }
    if try isWord(bytes[before..<match.lowerBound], work: work) { return true }
    return try isWord(bytes[match.upperBound..<after], work: work)
  }

  private func isWord(_ character: ArraySlice<UInt8>, work: TextWork) throws(Failure) -> Bool {
    guard let wordCharacter, !character.isEmpty else { return false }
    return try Array(character).withUnsafeBufferPointer { (character) throws(Failure) in
      var search = MatchSearch()
      return try search.next(of: wordCharacter, in: UnsafeRawBufferPointer(character), work: work) != nil
    }
  }
}
