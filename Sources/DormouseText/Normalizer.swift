internal import DormouseSupport

/// One step of a normalizer. Those that need tables of Unicode's normal forms are not among them.
enum NormalizerStep: Sendable {
  case prepend([UInt8])
  case replace(TextPattern, with: [UInt8])
  case strip(left: Bool, right: Bool)

  /// A piece of text on its way through the normalizer.
  struct Text {
    var bytes: [UInt8]
    /// By byte: whether it belongs to markup, where control tokens may stand.
    var isMarkup: [Bool]
  }

  /// Runs all `steps`, which may make a text 16 times as long at most: a few replacements that each double it would
  /// otherwise fill any memory.
  static func apply(_ steps: [NormalizerStep], to text: inout Text, work: TextWork) throws(Failure) {
    let limit = limit(text.bytes.count)
    for step in steps {
      try work.spend(text.bytes.count)
      try step.apply(to: &text, limit: limit, work: work)
    }
  }

  /// Bytes at most that a text of `count` bytes may become.
  static func limit(_ count: Int) -> Int { 4096 + 16 * count }

  /// Refuses a text of `count` bytes that is longer than the normalizer may make it.
  static func check(_ count: Int, limit: Int) throws(Failure) {
    guard count <= limit else {
      throw Failure(.malformed, "the normalizer makes a text \(count) bytes long, more than the limit of \(limit)")
    }
  }

  private func apply(to text: inout Text, limit: Int, work: TextWork) throws(Failure) {
    switch self {
    case .prepend(let prefix):
      guard let first = text.isMarkup.first else { return }
      try NormalizerStep.check(text.bytes.count + prefix.count, limit: limit)
      text.bytes.insert(contentsOf: prefix, at: 0)
      text.isMarkup.insert(contentsOf: [Bool](repeating: first, count: prefix.count), at: 0)
    case .replace(let pattern, let replacement):
      try NormalizerStep.replace(pattern, with: replacement, in: &text, limit: limit, work: work)
    case .strip(let left, let right):
      let range = WhiteSpace.stripped(text.bytes, left: left, right: right)
      text.bytes = Array(text.bytes[range])
      text.isMarkup = Array(text.isMarkup[range])
    }
  }

  private static func replace(
    _ pattern: TextPattern, with replacement: [UInt8], in text: inout Text, limit: Int, work: TextWork
  ) throws(Failure) {
    let matches = try matches(of: pattern, in: text.bytes, work: work)
    let added = matches.count.multipliedReportingOverflow(by: replacement.count)
    let removed = matches.reduce(0) { $0 + $1.count }
    try check(added.overflow ? .max : added.partialValue + (text.bytes.count - removed), limit: limit)
    var result = Text(bytes: [], isMarkup: [])
    var end = 0
    for match in matches {
      result.bytes += text.bytes[end..<match.lowerBound]
      result.isMarkup += text.isMarkup[end..<match.lowerBound]
      let isMarkup = text.isMarkup[match].allSatisfy { $0 }
      result.bytes += replacement
      result.isMarkup += [Bool](repeating: isMarkup, count: replacement.count)
      end = match.upperBound
    }
    result.bytes += text.bytes[end...]
    result.isMarkup += text.isMarkup[end...]
    text = result
  }
}

extension NormalizerStep {
  private static func matches(
    of pattern: TextPattern, in bytes: [UInt8], work: TextWork
  ) throws(Failure) -> [Range<Int>] {
    try bytes.withUnsafeBufferPointer { (bytes) throws(Failure) in
      var matches: [Range<Int>] = []
      var search = MatchSearch()
      while let match = try search.next(of: pattern, in: UnsafeRawBufferPointer(bytes), work: work) {
        matches.append(match)
      }
      return matches
    }
  }

  /// Whether it can't make a text shorter.
  var keepsLength: Bool {
    switch self {
    case .prepend: true
    case .replace(let pattern, let replacement): pattern.literal.map { $0.count <= replacement.count } ?? false
    case .strip: false
    }
  }
}

/// Unicode White_Space in UTF-8 text.
enum WhiteSpace {
  /// `bytes` without the white space at its ends.
  static func stripped(_ bytes: [UInt8], left: Bool, right: Bool) -> Range<Int> {
    var start = 0
    var end = bytes.count
    while left, start < end, let length = length(in: bytes, at: start) { start += length }
    while right, start < end, let length = length(in: bytes, before: end) { end -= length }
    return start..<end
  }

  /// The bytes of the white space character at `start`, or nil.
  static func length(in bytes: [UInt8], at start: Int) -> Int? {
    guard start < bytes.count else { return nil }
    switch bytes[start] {
    case 0x09...0x0D, 0x20: return 1
    case 0xC2: return start + 1 < bytes.count && (bytes[start + 1] == 0x85 || bytes[start + 1] == 0xA0) ? 2 : nil
    case 0xE1...0xE3:
      guard start + 2 < bytes.count else { return nil }
      let value = UInt32(bytes[start]) << 16 | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2])
      return isThreeByteSpace(value) ? 3 : nil
    default: return nil
    }
  }

  /// The bytes of the white space character that ends before `end`, or nil.
  static func length(in bytes: [UInt8], before end: Int) -> Int? {
    for length in 1...3 where end >= length {
      if let found = self.length(in: bytes, at: end - length), found == length { return length }
    }
    return nil
  }

  /// The three bytes of U+1680, U+2000...U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
  private static func isThreeByteSpace(_ value: UInt32) -> Bool {
    switch value {
    case 0xE19A80, 0xE28080...0xE2808A, 0xE280A8, 0xE280A9, 0xE280AF, 0xE2819F, 0xE38080: true
    default: false
    }
  }
}
