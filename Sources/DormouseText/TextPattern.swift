internal import CPCRE2
internal import DormouseSupport

/// A regular expression, or a text to look for, over UTF-8 text, matched as the reference tokenizers match.
///
/// Work is bounded: a pattern that backtracks without end, or takes too long over a whole text, fails instead of hanging
/// (`TextWork`). So that there is something to look at between, an expression sees a text in views: PCRE2 is called for a
/// few places to begin at and some bytes from there on, and says by a partial match when it needs more of them. That
/// gives the matches that the whole text has.
final class TextPattern: @unchecked Sendable {
  /// How a pattern was written.
  enum Source {
    /// In the syntax of Oniguruma, which `tokenizer.json` uses; see `PatternTranslation`.
    case expression(String)
    /// Text that stands for itself.
    case literal(String)
  }

  private enum Form {
    case expression(OpaquePointer)
    /// Not empty.
    case literal(SequenceSearch<UInt8>)
  }

  private let form: Form
  /// As in the file, for messages.
  private let source: String
  /// The member of the file that holds it; nil for a pattern of our own.
  private let field: String?

  /// - Throws: `Failure(.malformed)` when the pattern does not compile, `Failure(.unsupported)` when it uses syntax that
  ///   would mean something else here.
  init(_ source: Source, field: String? = nil) throws(Failure) {
    self.field = field
    switch source {
    case .expression(let expression):
      self.source = expression
      let options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C
        | PCRE2_USE_OFFSET_LIMIT
      let text = try PatternTranslation.translate(expression)
      // Groups inside one another are compiled by recursion.
      let code = try DeepStack.run { () throws(Failure) in
        let code = try TextPattern.compile(text, options: options, source: expression)
        // Without executable memory the call fails, and matching is interpreted.
        pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD)
        return code
      }
      form = .expression(code)
    case .literal(let literal):
      self.source = literal
      try TextPattern.checkLength(literal)
      guard literal.isEmpty else {
        form = .literal(SequenceSearch(Array(literal.utf8)))
        return
      }
      form = .expression(try TextPattern.compile("", options: PCRE2_UTF | PCRE2_USE_OFFSET_LIMIT, source: ""))
    }
  }

  deinit { if case .expression(let code) = form { pcre2_code_free_8(code) } }

  /// Bytes of a pattern at most; the published ones have up to about 900.
  static let lengthLimit = 1 << 15

  /// The text that it looks for; nil for an expression.
  var literal: [UInt8]? { if case .literal(let search) = form { search.wanted } else { nil } }

  /// For sentences.
  private var name: String { (field.map { "\($0): " } ?? "") + "pattern \(Excerpt.name(source))" }

  private static func checkLength(_ text: String) throws(Failure) {
    guard text.utf8.count <= lengthLimit else {
      throw Failure(.malformed, "the pattern has \(text.utf8.count) bytes, more than the limit of \(lengthLimit)")
    }
  }

  private static func compile(_ text: String, options: UInt32, source: String) throws(Failure) -> OpaquePointer {
    try checkLength(text)
    guard let context = pcre2_compile_context_create_8(nil) else {
      throw Failure(.outOfMemory, "no memory for a pattern")
    }
    defer { pcre2_compile_context_free_8(context) }
    pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
    var number: Int32 = 0
    var offset = 0
    let bytes = Array(text.utf8)
    guard let code = pcre2_compile_8(bytes, bytes.count, options, &number, &offset, context) else {
      if number == PCRE2_ERROR_HEAP_FAILED { throw Failure(.outOfMemory, "no memory for a pattern") }
      throw Failure(.malformed, "pattern \(Excerpt.name(source)) does not compile: \(message(for: number))")
    }
    return code
  }

  private func failure(_ number: Int32) -> Failure {
    if number == PCRE2_ERROR_NOMEMORY { return Failure(.outOfMemory, "no memory for matching") }
    let limits = [PCRE2_ERROR_MATCHLIMIT, PCRE2_ERROR_DEPTHLIMIT, PCRE2_ERROR_HEAPLIMIT]
    guard limits.contains(number) else {
      return Failure(.internalError, "\(name) cannot be matched: \(TextPattern.message(for: number))")
    }
    return Failure(.malformed, "\(name) needs too many steps on this text")
  }

  private static func message(for number: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(number, &buffer, buffer.count)
    return length > 0 ? String(decoding: buffer.prefix(Int(length)), as: UTF8.self) : "error \(number)"
  }
}

// MARK: - Matching

extension TextPattern {
  /// The first match in `text` that begins at `start` or later; nil when there is none.
  /// - Parameters:
  ///   - text: valid UTF-8.
  ///   - start: the beginning of a character, or the end of the text.
  ///   - firstView: bytes that PCRE2 is shown at first.
  fileprivate func match(
    in text: UnsafeRawBufferPointer, from start: Int, work: TextWork, firstView: Int
  ) throws(Failure) -> Range<Int>? {
    switch form {
    case .literal(let search):
      let found = search.first(in: text.assumingMemoryBound(to: UInt8.self), from: start)
      let end = found.map { $0 + search.wanted.count }
      try work.spend(4 * ((end ?? text.count) - start), by: name)
      return found.flatMap { start in end.map { start..<$0 } }
    case .expression(let code):
      return try match(code, in: text, from: start, work: work, firstView: firstView)
    }
  }

  /// Places to begin at in one call.
  private static let mostStarts = 64
  /// Places times bytes that one call looks at, where the view is not longer than this.
  private static let area = mostStarts * MatchSearch.view
  /// Steps from one place, as PCRE2 counts them: at first, and times what when they do not suffice.
  private static let firstLimit = 64
  private static let limitGrowth = 8

  private func match(
    _ code: OpaquePointer, in text: UnsafeRawBufferPointer, from first: Int, work: TextWork, firstView: Int
  ) throws(Failure) -> Range<Int>? {
    var start = first
    var view = firstView
    var limit = TextPattern.firstLimit
    while true {
      let end = TextPattern.characterBorder(start + min(view, text.count - start), in: text)
      // No match begins at the end of a view, where the pattern would see nothing.
      let border = end < text.count ? end - 1 : end
      let last = min(start + min(max(TextPattern.area / view, 1), TextPattern.mostStarts) - 1, border)
      let result = call(code, text, start...last, end: end, limit: limit, work.matching)
      try work.spend((last - start + 1) * (end - start + 1) * limit, by: name)
      switch result {
      case PCRE2_ERROR_NOMATCH:
        guard last < text.count else { return nil }
        start = TextPattern.characterBorder(last + 1, in: text)
        view = firstView
        limit = TextPattern.firstLimit
      case PCRE2_ERROR_PARTIAL: view *= 2
      case PCRE2_ERROR_MATCHLIMIT:
        // A linear pattern needs a few steps a byte; a runaway one is stopped soon even when the text is short.
        let mostSteps = min(200_000 + 64 * (text.count - start), Int(UInt32.max))
        guard limit < mostSteps else { throw failure(result) }
        limit = min(limit * TextPattern.limitGrowth, mostSteps)
      default: return try found(result, from: start, end: end, work.matching)
      }
    }
  }

  /// Has PCRE2 look for a match that begins at one of `starts`.
  /// - Parameter end: as far as it sees the text.
  private func call(
    _ code: OpaquePointer, _ text: UnsafeRawBufferPointer, _ starts: ClosedRange<Int>, end: Int, limit: Int,
    _ memory: MatchingMemory
  ) -> Int32 {
    guard let subject = text.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return PCRE2_ERROR_NOMATCH }
    pcre2_set_match_limit_8(memory.context, UInt32(clamping: limit))
    pcre2_set_offset_limit_8(memory.context, starts.upperBound)
    let options = PCRE2_NO_UTF_CHECK | (end < text.count ? PCRE2_PARTIAL_HARD : 0)
    let result = pcre2_match_8(code, subject, end, starts.lowerBound, options, memory.data, memory.context)
    guard result == PCRE2_ERROR_JIT_STACKLIMIT else { return result }
    return pcre2_match_8(
      code, subject, end, starts.lowerBound, options | PCRE2_NO_JIT, memory.data, memory.context)
  }

  /// The match, which may begin beyond the last place that was asked for where the compiled pattern has skipped places
  /// at which none can begin.
  private func found(
    _ result: Int32, from start: Int, end: Int, _ memory: MatchingMemory
  ) throws(Failure) -> Range<Int> {
    guard result >= 0, let vector = pcre2_get_ovector_pointer_8(memory.data) else { throw failure(result) }
    guard start <= vector[0], vector[0] <= vector[1], vector[1] <= end else {
      throw failure(PCRE2_ERROR_INTERNAL)
    }
    return vector[0]..<vector[1]
  }

  /// The beginning of the next character from `position` on, or the end of the text.
  fileprivate static func characterBorder(_ position: Int, in text: UnsafeRawBufferPointer) -> Int {
    var position = position
    while position < text.count, text[position] & 0xC0 == 0x80 { position += 1 }
    return position
  }
}

/// All matches of a pattern in a text, from left to right, as Oniguruma's search loop gives them: an empty match is kept
/// unless it stands where the match before it ended.
struct MatchSearch {
  /// Bytes that PCRE2 is shown at first: words are shorter.
  static let view = 128

  private let firstView: Int
  private var start = 0
  private var lastEnd = -1

  /// - Parameter firstView: for tests; what is found does not depend on it.
  init(firstView: Int = MatchSearch.view) { self.firstView = max(firstView, 1) }

  /// - Parameter text: valid UTF-8, the same in every call.
  mutating func next(
    of pattern: TextPattern, in text: UnsafeRawBufferPointer, work: TextWork
  ) throws(Failure) -> Range<Int>? {
    while start <= text.count {
      guard let match = try pattern.match(in: text, from: start, work: work, firstView: firstView) else { break }
      if match.isEmpty && match.upperBound == lastEnd {
        start = TextPattern.characterBorder(start + 1, in: text)
      } else {
        start = match.upperBound
        lastEnd = match.upperBound
        return match
      }
    }
    start = text.count + 1
    return nil
  }
}
