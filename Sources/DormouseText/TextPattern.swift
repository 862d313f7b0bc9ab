internal import CPCRE2
internal import DormouseSupport

/// A compiled regular expression over UTF-8 text, matched as the reference tokenizers match.
///
/// Work is bounded: a pattern that backtracks without end fails instead of hanging.
final class TextPattern: @unchecked Sendable {
  /// How a pattern was written.
  enum Source {
    /// In the syntax of Oniguruma, which `tokenizer.json` uses; see `PatternTranslation`.
    case expression(String)
    /// Text that stands for itself.
    case literal(String)
  }

  private let code: OpaquePointer
  /// As in the file, for messages.
  private let source: String

  /// - Throws: `Failure(.malformed)` when the pattern does not compile, `Failure(.unsupported)` when it uses syntax that
  ///   would mean something else here.
  init(_ source: Source) throws(Failure) {
    var options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_AUTO_CAPTURE | PCRE2_NEVER_BACKSLASH_C
    let text: String
    switch source {
    case .expression(let expression):
      self.source = expression
      text = try PatternTranslation.translate(expression)
    case .literal(let literal):
      self.source = literal
      text = literal
      options = PCRE2_UTF | PCRE2_LITERAL
    }
    // Groups inside one another are compiled by recursion.
    let (flags, name) = (options, self.source)
    code = try DeepStack.run { () throws(Failure) in
      let code = try TextPattern.compile(text, options: flags, source: name)
      // Without executable memory the call fails, and matching is interpreted.
      pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
      return code
    }
  }

  deinit { pcre2_code_free_8(code) }

  /// Bytes of a pattern at most; the published ones have up to about 900.
  static let lengthLimit = 1 << 15

  private static func compile(_ text: String, options: UInt32, source: String) throws(Failure) -> OpaquePointer {
    guard text.utf8.count <= lengthLimit else {
      throw Failure(.malformed, "the pattern has \(text.utf8.count) bytes, more than the limit of \(lengthLimit)")
    }
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

  /// The ranges of all matches in `text`, from left to right, as Oniguruma's search loop gives them: an empty match
  /// is kept unless it stands where the match before it ended.
  /// - Parameter text: valid UTF-8.
  func appendMatches(
    in text: UnsafeRawBufferPointer, scratch: PatternScratch, to matches: inout [Range<Int>]
  ) throws(Failure) {
    guard let base = text.baseAddress else { return }
    let subject = base.assumingMemoryBound(to: UInt8.self)
    var start = 0
    var lastEnd = -1
    while start <= text.count {
      guard let match = try match(subject, count: text.count, from: start, scratch: scratch) else { return }
      if match.isEmpty && match.upperBound == lastEnd {
        start = TextPattern.nextCharacter(after: start, in: text)
      } else {
        matches.append(match)
        start = match.upperBound
        lastEnd = match.upperBound
      }
    }
  }

  private func match(
    _ subject: UnsafePointer<UInt8>, count: Int, from start: Int, scratch: PatternScratch
  ) throws(Failure) -> Range<Int>? {
    // A linear pattern needs a few steps a byte; a runaway one is stopped soon even when the text is short.
    pcre2_set_match_limit_8(scratch.context, UInt32(clamping: 200_000 + 64 * (count - start)))
    var result = pcre2_match_8(code, subject, count, start, PCRE2_NO_UTF_CHECK, scratch.data, scratch.context)
    if result == PCRE2_ERROR_JIT_STACKLIMIT {
      let options = PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT
      result = pcre2_match_8(code, subject, count, start, options, scratch.data, scratch.context)
    }
    if result == PCRE2_ERROR_NOMATCH { return nil }
    guard result >= 0, let vector = pcre2_get_ovector_pointer_8(scratch.data) else { throw failure(result) }
    guard vector[0] <= vector[1], vector[1] <= count, vector[0] >= start else { throw failure(PCRE2_ERROR_INTERNAL) }
    return vector[0]..<vector[1]
  }

  private func failure(_ number: Int32) -> Failure {
    if number == PCRE2_ERROR_NOMEMORY { return Failure(.outOfMemory, "no memory for matching") }
    let limits = [PCRE2_ERROR_MATCHLIMIT, PCRE2_ERROR_DEPTHLIMIT, PCRE2_ERROR_HEAPLIMIT]
    guard limits.contains(number) else {
      return Failure(
        .internalError, "pattern \(Excerpt.name(source)) cannot be matched: \(TextPattern.message(for: number))")
    }
    return Failure(.malformed, "pattern \(Excerpt.name(source)) needs too many steps on this text")
  }

  private static func message(for number: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(number, &buffer, buffer.count)
    return length > 0 ? String(decoding: buffer.prefix(Int(length)), as: UTF8.self) : "error \(number)"
  }

  private static func nextCharacter(after start: Int, in text: UnsafeRawBufferPointer) -> Int {
    var next = start + 1
    while next < text.count, text[next] & 0xC0 == 0x80 { next += 1 }
    return next
  }
}

/// What one thread needs while it matches patterns.
final class PatternScratch {
  fileprivate let data: OpaquePointer
  fileprivate let context: OpaquePointer
  private let stack: OpaquePointer?

  /// KiB that interpreted matching may take.
  private static let heapLimit: UInt32 = 256 << 10
  /// Bytes of stack for compiled matching, taken only as far as they are needed.
  private static let stackLimit = 16 << 20

  init() throws(Failure) {
    guard let data = pcre2_match_data_create_8(1, nil) else { throw Failure(.outOfMemory, "no memory for matching") }
    guard let context = pcre2_match_context_create_8(nil) else {
      pcre2_match_data_free_8(data)
      throw Failure(.outOfMemory, "no memory for matching")
    }
    pcre2_set_heap_limit_8(context, PatternScratch.heapLimit)
    self.data = data
    self.context = context
    stack = pcre2_jit_stack_create_8(32 << 10, PatternScratch.stackLimit, nil)
    pcre2_jit_stack_assign_8(context, nil, stack.map { UnsafeMutableRawPointer($0) })
  }

  deinit {
    pcre2_match_data_free_8(data)
    pcre2_match_context_free_8(context)
    if let stack { pcre2_jit_stack_free_8(stack) }
  }
}
