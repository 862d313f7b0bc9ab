/// A text to look for.
struct TemplatePattern {
  private let search: SequenceSearch<Unicode.Scalar>

  init(_ text: TemplateText, isReversed: Bool = false) {
    search = SequenceSearch(isReversed ? text.scalars.reversed() : Array(text.scalars))
  }

  /// The first offset in `text`, from `start` on, where the pattern (which is not empty) begins.
  func first(in text: ArraySlice<Unicode.Scalar>, from start: Int) -> Int? {
    text.withUnsafeBufferPointer { search.first(in: $0, from: start) }
  }
}

/// Searching and cutting, as the methods of Python's `str` do.
extension TemplateText {
  /// The position of the first `part` from `start` on; an empty part is found at once.
  func firstIndex(of part: TemplateText, from start: Int) -> Int? {
    guard start <= count else { return nil }
    if part.isEmpty { return start }
    return TemplatePattern(part).first(in: scalars, from: start)
  }

  /// The position of the last `part`.
  func lastIndex(of part: TemplateText) -> Int? {
    if part.isEmpty { return count }
    let reversed = ArraySlice(scalars.reversed())
    guard let found = TemplatePattern(part, isReversed: true).first(in: reversed, from: 0) else { return nil }
    return count - found - part.count
  }

  func hasPrefix(_ part: TemplateText) -> Bool { count >= part.count && scalars.starts(with: part.scalars) }

  func hasSuffix(_ part: TemplateText) -> Bool {
    count >= part.count && scalars.suffix(part.count).elementsEqual(part.scalars)
  }

  /// The positions of `part` from the left, none overlapping, at most `limit` of them.
  func positions(of part: TemplateText, limit: Int) -> [Int] {
    let pattern = TemplatePattern(part)
    var result: [Int] = []
    var start = 0
    while result.count < limit, let found = pattern.first(in: scalars, from: start) {
      result.append(found)
      start = found + part.count
    }
    return result
  }

  /// The same from the right, in ascending order.
  func positionsFromEnd(of part: TemplateText, limit: Int) -> [Int] {
    let pattern = TemplatePattern(part, isReversed: true)
    let reversed = ArraySlice(scalars.reversed())
    var result: [Int] = []
    var start = 0
    while result.count < limit, let found = pattern.first(in: reversed, from: start) {
      result.append(count - found - part.count)
      start = found + part.count
    }
    return result.reversed()
  }

  /// The pieces between separators of `length` characters at `positions`.
  func pieces(at positions: [Int], length: Int) -> [TemplateText] {
    var result: [TemplateText] = []
    result.reserveCapacity(positions.count + 1)
    var start = 0
    for position in positions {
      result.append(slice(start..<position))
      start = position + length
    }
    result.append(slice(start..<count))
    return result
  }

  /// The words between white space, at most `limit` cuts from the left; the rest keeps its white space.
  func words(limit: Int) -> [TemplateText] {
    var result: [TemplateText] = []
    var index = 0
    while true {
      while index < count, self[index].isPythonSpace { index += 1 }
      guard index < count else { return result }
      guard result.count < limit else {
        result.append(slice(index..<count))
        return result
      }
      let start = index
      while index < count, !self[index].isPythonSpace { index += 1 }
      result.append(slice(start..<index))
    }
  }

  /// The same with the cuts counted from the right.
  func wordsFromEnd(limit: Int) -> [TemplateText] {
    var result: [TemplateText] = []
    var end = count
    while true {
      while end > 0, self[end - 1].isPythonSpace { end -= 1 }
      guard end > 0 else { return result.reversed() }
      guard result.count < limit else {
        result.append(slice(0..<end))
        return result.reversed()
      }
      let last = end
      while end > 0, !self[end - 1].isPythonSpace { end -= 1 }
      result.append(slice(end..<last))
    }
  }

  /// The text without the characters at its ends that `isDropped` names.
  func stripped(left: Bool, right: Bool, where isDropped: (Unicode.Scalar) -> Bool) -> TemplateText {
    var start = 0
    var end = count
    if left { while start < end, isDropped(self[start]) { start += 1 } }
    if right { while end > start, isDropped(self[end - 1]) { end -= 1 } }
    return slice(start..<end)
  }

  /// The lines, with their ends when `keepsEnds`.
  func lines(keepsEnds: Bool) -> [TemplateText] {
    var result: [TemplateText] = []
    var start = 0
    var index = 0
    while index < count {
      guard self[index].isPythonLineEnd else {
        index += 1
        continue
      }
      let end = index
      index += self[index] == "\r" && index + 1 < count && self[index + 1] == "\n" ? 2 : 1
      result.append(slice(start..<(keepsEnds ? index : end)))
      start = index
    }
    if start < count { result.append(slice(start..<count)) }
    return result
  }
}
