internal import DormouseSupport

/// A stretch of the text being encoded: text, or an added token that stands there.
struct Piece {
  var start: Int
  var end: Int
  /// The id of the added token, or -1 for text.
  var token: Int32 = -1

  var range: Range<Int> { start..<end }
}

/// The text while it is cut into pieces. Steps may rewrite the text too.
struct PieceList {
  /// Valid UTF-8.
  var bytes: [UInt8]
  var pieces: [Piece]
}

/// One step of a pre-tokenizer.
enum PreTokenizerStep: Sendable {
  case split(SplitStep)
  /// Puts a space in front of every piece that does not begin with one (`add_prefix_space`).
  case prefixSpace

  func apply(to list: inout PieceList, scratch: PatternScratch) throws(Failure) {
    switch self {
    case .split(let step): try step.apply(to: &list, scratch: scratch)
    case .prefixSpace: PreTokenizerStep.addPrefixSpaces(to: &list)
    }
  }

  private static func addPrefixSpaces(to list: inout PieceList) {
    let space = UInt8(ascii: " ")
    var bytes: [UInt8] = []
    bytes.reserveCapacity(list.bytes.count + list.pieces.count)
    for index in list.pieces.indices {
      let piece = list.pieces[index]
      let start = bytes.count
      if piece.token < 0, list.bytes[piece.start] != space { bytes.append(space) }
      bytes += list.bytes[piece.range]
      list.pieces[index] = Piece(start: start, end: bytes.count, token: piece.token)
    }
    list.bytes = bytes
  }
}

/// Cuts pieces where a pattern matches.
struct SplitStep: Sendable {
  /// What becomes of a match; the names are those of `tokenizer.json`.
  enum Behavior: String, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  var pattern: TextPattern
  var behavior: Behavior
  /// Whether the text between the matches counts as the match.
  var isInverted: Bool

  private struct Part {
    var start: Int
    var end: Int
    var isMatch: Bool
  }

  func apply(to list: inout PieceList, scratch: PatternScratch) throws(Failure) {
    var result: [Piece] = []
    result.reserveCapacity(list.pieces.count)
    var matches: [Range<Int>] = []
    for piece in list.pieces {
      if piece.token >= 0 {
        result.append(piece)
        continue
      }
      matches.removeAll(keepingCapacity: true)
      try findMatches(in: list.bytes, piece: piece, scratch: scratch, matches: &matches)
      let parts = join(parts(matches, count: piece.end - piece.start))
      for part in parts where part.start < part.end {
        result.append(Piece(start: piece.start + part.start, end: piece.start + part.end))
      }
    }
    list.pieces = result
  }

  private func findMatches(
    in bytes: [UInt8], piece: Piece, scratch: PatternScratch, matches: inout [Range<Int>]
  ) throws(Failure) {
    var failure: Failure?
    bytes.withUnsafeBytes { all in
      let text = UnsafeRawBufferPointer(rebasing: all[piece.range])
      do throws(Failure) { try pattern.appendMatches(in: text, scratch: scratch, to: &matches) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  /// Matches and what is between them, in order, covering all `count` bytes.
  private func parts(_ matches: [Range<Int>], count: Int) -> [Part] {
    var parts: [Part] = []
    parts.reserveCapacity(2 * matches.count + 1)
    var end = 0
    for match in matches {
      if end != match.lowerBound { parts.append(Part(start: end, end: match.lowerBound, isMatch: isInverted)) }
      parts.append(Part(start: match.lowerBound, end: match.upperBound, isMatch: !isInverted))
      end = match.upperBound
    }
    if end != count { parts.append(Part(start: end, end: count, isMatch: isInverted)) }
    return parts
  }

  private func join(_ parts: [Part]) -> [Part] {
    switch behavior {
    case .isolated: return parts
    case .removed: return parts.filter { !$0.isMatch }
    case .contiguous: return joined(parts) { previous, isMatch in previous == isMatch }
    case .mergedWithPrevious: return joined(parts) { previous, isMatch in isMatch && !previous }
    case .mergedWithNext:
      let reversed = parts.reversed().map { Part(start: -$0.end, end: -$0.start, isMatch: $0.isMatch) }
      let result = joined(reversed) { previous, isMatch in isMatch && !previous }
      return result.reversed().map { Part(start: -$0.end, end: -$0.start, isMatch: $0.isMatch) }
    }
  }

  /// Joins a part with the one before it where `isJoined(previous is a match, this is a match)` says so.
  private func joined(_ parts: [Part], _ isJoined: (Bool, Bool) -> Bool) -> [Part] {
    var result: [Part] = []
    var previous = false
    for part in parts {
      if isJoined(previous, part.isMatch), !result.isEmpty {
        result[result.count - 1].end = part.end
      } else {
        result.append(part)
      }
      previous = part.isMatch
    }
    return result
  }
}
