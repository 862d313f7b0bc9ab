/// A stretch of equal origin inside a text: it reaches up to `end` (exclusive) from the end of the run before it.
struct TemplateTextRun: Sendable {
  var end: Int
  var isMarkup: Bool
}

/// Shared by all the slices of one text.
final class TemplateTextStorage: Sendable {
  let scalars: [Unicode.Scalar]
  /// Ends ascend; the last one is `scalars.count`.
  let runs: [TemplateTextRun]

  init(scalars: [Unicode.Scalar], runs: [TemplateTextRun]) {
    self.scalars = scalars
    self.runs = runs
  }
}

/// A string of a template: Unicode scalars (as Python counts characters), each of which knows whether it is markup
/// (written in the template, or a token the host vouches for) or content (from messages and tools).
///
/// Equality and hashing look at the scalars only. A slice shares its text's storage.
struct TemplateText: Sendable, Hashable {
  private let storage: TemplateTextStorage
  private let start: Int
  private let end: Int
  /// Whether HTML's characters in it are meant as such or escaped already, as the filters `safe` and `escape` say
  /// (`markupsafe.Markup`): what is joined to it is escaped first.
  private(set) var isSafe = false

  static let empty = TemplateText(scalars: [], isMarkup: false)

  init(_ string: String, isMarkup: Bool) {
    var scalars: [Unicode.Scalar] = []
    scalars.reserveCapacity(string.unicodeScalars.count)
    scalars.append(contentsOf: string.unicodeScalars)
    self.init(scalars: scalars, isMarkup: isMarkup)
  }

  init(scalars: [Unicode.Scalar], isMarkup: Bool) {
    self.init(scalars: scalars, runs: [TemplateTextRun(end: scalars.count, isMarkup: isMarkup)])
  }

  fileprivate init(scalars: [Unicode.Scalar], runs: [TemplateTextRun]) {
    storage = TemplateTextStorage(scalars: scalars, runs: runs)
    start = 0
    end = scalars.count
  }

  private init(storage: TemplateTextStorage, start: Int, end: Int) {
    self.storage = storage
    self.start = start
    self.end = end
  }

  /// The same text, safe or not.
  func marked(safe isSafe: Bool) -> TemplateText {
    var result = self
    result.isSafe = isSafe
    return result
  }

  var count: Int { end - start }
  var isEmpty: Bool { end == start }
  /// Whether keeping it keeps little else.
  var isMostOfItsStorage: Bool { count >= storage.scalars.count / 2 }

  /// The characters; its indices do not begin at 0.
  var scalars: ArraySlice<Unicode.Scalar> { storage.scalars[start..<end] }

  /// The character at `position`, which must lie inside.
  subscript(position: Int) -> Unicode.Scalar { storage.scalars[start + position] }

  /// The characters of `range`, clamped to the text.
  func slice(_ range: Range<Int>) -> TemplateText {
    let clamped = range.clamped(to: 0..<count)
    return TemplateText(storage: storage, start: start + clamped.lowerBound, end: start + clamped.upperBound)
  }

  func dropFirst(_ number: Int) -> TemplateText { slice(min(max(number, 0), count)..<count) }

  /// Whether the character at `position` is markup.
  func isMarkup(at position: Int) -> Bool {
    let index = runIndex(of: start + position)
    return index < storage.runs.count && storage.runs[index].isMarkup
  }

  /// Calls `body` with each run's range (of positions in this text) and its origin.
  func forEachRun(_ body: (Range<Int>, Bool) -> Void) {
    var position = start
    var index = runIndex(of: start)
    while position < end, index < storage.runs.count {
      let runEnd = min(storage.runs[index].end, end)
      body(position - start..<runEnd - start, storage.runs[index].isMarkup)
      position = runEnd
      index += 1
    }
  }

  /// The first run that ends after `offset`.
  private func runIndex(of offset: Int) -> Int {
    var low = 0
    var high = storage.runs.count
    while low < high {
      let middle = (low + high) / 2
      if storage.runs[middle].end > offset { high = middle } else { low = middle + 1 }
    }
    return low
  }

  var string: String { TemplateText.string(scalars) }

  static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
    var utf8: [UInt8] = []
    utf8.reserveCapacity(scalars.count)
    append(scalars, to: &utf8)
    return String(decoding: utf8, as: UTF8.self)
  }

  private static func append(_ scalars: ArraySlice<Unicode.Scalar>, to utf8: inout [UInt8]) {
    for scalar in scalars {
      if scalar.isASCII {
        utf8.append(UInt8(truncatingIfNeeded: scalar.value))
      } else {
        utf8.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
  }

  /// Appends the characters of `range`, which lies inside.
  func appendUTF8(of range: Range<Int>, to utf8: inout [UInt8]) {
    TemplateText.append(storage.scalars[start + range.lowerBound..<start + range.upperBound], to: &utf8)
  }

  static func == (left: TemplateText, right: TemplateText) -> Bool { left.scalars.elementsEqual(right.scalars) }

  func hash(into hasher: inout Hasher) {
    for scalar in scalars { hasher.combine(scalar.value) }
  }

  /// Whether the characters are exactly those of `string`.
  func equals(_ string: String) -> Bool { scalars.elementsEqual(string.unicodeScalars) }
}

/// Puts a text together; adjacent runs of equal origin become one.
struct TemplateTextBuilder {
  private var scalars: [Unicode.Scalar] = []
  private var runs: [TemplateTextRun] = []

  var count: Int { scalars.count }
  var text: TemplateText { TemplateText(scalars: scalars, runs: runs) }

  mutating func append(_ text: TemplateText) {
    let base = scalars.count
    scalars.append(contentsOf: text.scalars)
    text.forEachRun { range, isMarkup in extend(to: base + range.upperBound, isMarkup: isMarkup) }
  }

  mutating func append(_ scalar: Unicode.Scalar, isMarkup: Bool) {
    scalars.append(scalar)
    extend(to: scalars.count, isMarkup: isMarkup)
  }

  mutating func append(_ string: String, isMarkup: Bool) {
    scalars.append(contentsOf: string.unicodeScalars)
    extend(to: scalars.count, isMarkup: isMarkup)
  }

  private mutating func extend(to end: Int, isMarkup: Bool) {
    guard let last = runs.last else {
      if end > 0 { runs.append(TemplateTextRun(end: end, isMarkup: isMarkup)) }
      return
    }
    if last.isMarkup == isMarkup {
      runs[runs.count - 1].end = end
    } else if end > last.end {
      runs.append(TemplateTextRun(end: end, isMarkup: isMarkup))
    }
  }
}
