internal import DormouseSupport

/// A stretch of the text being encoded: text, or an added token that stands there.
struct Piece {
  /// Texts are shorter than 4 GiB, and there may be a piece for every few bytes.
  private let startOffset: UInt32
  private let endOffset: UInt32
  /// The id of the added token, or -1 for text.
  let token: Int32

  init(start: Int, end: Int, token: Int32 = -1) {
    startOffset = UInt32(truncatingIfNeeded: start)
    endOffset = UInt32(truncatingIfNeeded: end)
    self.token = token
  }

  var start: Int { Int(startOffset) }
  var end: Int { Int(endOffset) }
  var range: Range<Int> { start..<end }
}

/// The text while added tokens are cut out of it. The normalizer rewrites the text too.
struct PieceList {
  /// Valid UTF-8.
  var bytes: [UInt8]
  var pieces: [Piece]
}

/// One step of a pre-tokenizer.
enum PreTokenizerStep: Sendable {
  case split(SplitStep)
  /// Puts a space in front of every piece that does not begin with one (`add_prefix_space`). Comes once at most.
  case prefixSpace

  var split: SplitStep? { if case .split(let split) = self { split } else { nil } }
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
}

/// Cuts a text by the steps of a pre-tokenizer, and hands out one word after the other: what it holds at a time is a
/// piece a step.
struct WordCutter {
  private let splits: [SplitStep]
  private let addsSpace: Bool
  private let rest: ArraySlice<PreTokenizerStep>

  init(_ steps: some Collection<PreTokenizerStep>) {
    let before = steps.prefix { $0.split != nil }
    splits = before.compactMap(\.split)
    addsSpace = before.count < steps.count
    rest = Array(steps.dropFirst(before.count + 1))[...]
  }

  /// - Parameters:
  ///   - text: valid UTF-8, not empty.
  ///   - body: gets each word, which is not empty.
  func forEachWord(
    of text: UnsafeRawBufferPointer, work: TextWork, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    guard addsSpace else { return try forEachPart(of: text, work: work, body) }
    let after = WordCutter(rest)
    try forEachPart(of: text, work: work) { (part) throws(Failure) in
      guard part.first != UInt8(ascii: " ") else { return try after.forEachWord(of: part, work: work, body) }
      let spaced = [UInt8(ascii: " ")] + part
      try spaced.withUnsafeBufferPointer { (spaced) throws(Failure) in
        try after.forEachWord(of: UnsafeRawBufferPointer(spaced), work: work, body)
      }
    }
  }

  /// The parts that the splits leave, of which each cuts what the one before it has left.
  private func forEachPart(
    of text: UnsafeRawBufferPointer, work: TextWork, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    guard let first = splits.first else { return try body(text) }
    var open = [try SplitParts(first, text, work)]
    while !open.isEmpty {
      guard let part = try open[open.count - 1].next(work) else {
        open.removeLast()
        continue
      }
      if open.count == splits.count {
        try body(part)
      } else {
        open.append(try SplitParts(splits[open.count], part, work))
      }
    }
  }
}

/// The parts into which a step cuts a piece of text, one after the other; none is empty.
private struct SplitParts {
  private let split: SplitStep
  private let text: UnsafeRawBufferPointer
  private let keepsMatches: Bool
  private let keepsRest: Bool
  private var search = MatchSearch()
  /// Where the last match ended.
  private var end = 0
  /// Found, and handed out after the text before it.
  private var match: Range<Int>?
  private var isSearched = false
  /// What is left of the parts where some are joined, last first.
  private var joined: [Range<Int>]?

  init(_ split: SplitStep, _ text: UnsafeRawBufferPointer, _ work: TextWork) throws(Failure) {
    self.split = split
    self.text = text
    keepsMatches = split.behavior != .removed || split.isInverted
    keepsRest = split.behavior != .removed || !split.isInverted
    switch split.behavior {
    case .removed, .isolated: break
    case .contiguous, .mergedWithPrevious, .mergedWithNext:
      joined = try JoinedParts.ranges(split, text, work).reversed()
    }
  }

  mutating func next(_ work: TextWork) throws(Failure) -> UnsafeRawBufferPointer? {
    guard let range = joined == nil ? try cut(work) : joined?.popLast() else { return nil }
    return UnsafeRawBufferPointer(rebasing: text[range])
  }

  private mutating func cut(_ work: TextWork) throws(Failure) -> Range<Int>? {
    while true {
      if let found = match {
        match = nil
        end = found.upperBound
        if keepsMatches, !found.isEmpty { return found }
      }
      guard !isSearched else { return nil }
      match = try search.next(of: split.pattern, in: text, work: work)
      isSearched = match == nil
      let before = end..<(match?.lowerBound ?? text.count)
      if keepsRest, !before.isEmpty { return before }
    }
  }
}

/// The parts of steps that join matches with what is beside them.
private enum JoinedParts {
  private struct Part {
    var start: Int
    var end: Int
    var isMatch: Bool
  }

  static func ranges(
    _ split: SplitStep, _ text: UnsafeRawBufferPointer, _ work: TextWork
  ) throws(Failure) -> [Range<Int>] {
    let parts = try parts(split, text, work)
    return join(parts, split.behavior).filter { $0.start < $0.end }.map { $0.start..<$0.end }
  }

  /// Matches and what is between them, in order, covering the whole text.
  private static func parts(
    _ split: SplitStep, _ text: UnsafeRawBufferPointer, _ work: TextWork
  ) throws(Failure) -> [Part] {
    var parts: [Part] = []
    var search = MatchSearch()
    var end = 0
    while let match = try search.next(of: split.pattern, in: text, work: work) {
      if end != match.lowerBound { parts.append(Part(start: end, end: match.lowerBound, isMatch: split.isInverted)) }
      parts.append(Part(start: match.lowerBound, end: match.upperBound, isMatch: !split.isInverted))
      end = match.upperBound
    }
    if end != text.count { parts.append(Part(start: end, end: text.count, isMatch: split.isInverted)) }
    return parts
  }

  private static func join(_ parts: [Part], _ behavior: SplitStep.Behavior) -> [Part] {
    switch behavior {
    // Nothing is joined: `SplitParts` cuts these as they come.
    case .isolated, .removed: return parts
    case .contiguous: return joined(parts) { previous, isMatch in previous == isMatch }
    case .mergedWithPrevious: return joined(parts) { previous, isMatch in isMatch && !previous }
    case .mergedWithNext:
      let reversed = parts.reversed().map { Part(start: -$0.end, end: -$0.start, isMatch: $0.isMatch) }
      let result = joined(reversed) { previous, isMatch in isMatch && !previous }
      return result.reversed().map { Part(start: -$0.end, end: -$0.start, isMatch: $0.isMatch) }
    }
  }

  /// Joins a part with the one before it where `isJoined(previous is a match, this is a match)` says so.
  private static func joined(_ parts: [Part], _ isJoined: (Bool, Bool) -> Bool) -> [Part] {
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
