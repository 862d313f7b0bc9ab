import DormouseSupport
import DormouseText

/// Turns the tokens of an answer into text that is safe to pass on: whole characters, nothing of a stop string; as one
/// text, or in the answer's parts.
struct TextOutput {
  private let tokenizer: Tokenizer?
  private var stream: TokenStream?
  private var parser: any AnswerParser
  private let hasParts: Bool
  private var stops: StopStrings
  /// What the last call found; its memory is used again, so an answer allocates only while its pieces grow.
  private var parts = AnswerParts()
  /// What the parser found, before stop strings.
  private var parsed = AnswerParts()
  private var piece: [UInt8] = []
  private var passed: [UInt8] = []

  /// - Parameters:
  ///   - tokenizer: nil for a model without one; then there is no text.
  ///   - parser: of the answer; `PlainAnswerParser` where nobody asks for what it finds.
  ///   - hasParts: whether the texts are those of the parts, in which stop strings are looked for in the content alone;
  ///     otherwise all is one text, whatever the parser finds in it.
  init(
    tokenizer: Tokenizer?, stop: [String], parser: any AnswerParser = PlainAnswerParser(), hasParts: Bool = false
  ) {
    self.tokenizer = tokenizer
    self.parser = parser
    self.hasParts = hasParts
    stream = tokenizer.map { TokenStream(tokenizer: $0, skipSpecial: true) }
    stops = StopStrings(stop) { text in tokenizer?.namesSpecial(in: text) ?? false }
  }

  /// The texts that the last call found, all in one.
  var text: [UInt8] { parts.text }

  /// The same by parts.
  var pieces: [AnswerParts.Piece] { parts.pieces }

  /// Whether the next token is one of the answer's reasoning, as far as is known.
  var isReasoning: Bool { parser.isReasoning }

  /// Leaves in `text` what `token` completes.
  /// - Returns: whether a stop string ends the answer.
  mutating func append(_ token: Int32) -> Bool {
    clear()
    stream?.append(token, to: &piece)
    parser.append(token, text: piece, to: &parsed)
    if passAll() { return true }
    // A control token has no text that passes, but a stop string may name it.
    guard stops.namesControl, let tokenizer, tokenizer.isSpecial(token) else { return false }
    return pass(tokenizer.bytes(of: token) ?? [], isControl: true)
  }

  /// Leaves no text: for a token that is none.
  mutating func clear() {
    piece.removeAll(keepingCapacity: true)
    parts.removeAll()
    parsed.removeAll()
  }

  /// Leaves in `text` what was withheld, when no more tokens come; an unfinished character may still complete a stop
  /// string.
  /// - Returns: whether it did.
  mutating func finish() -> Bool {
    clear()
    piece = stream?.finish() ?? []
    parser.finish(text: piece, to: &parsed)
    if passAll() { return true }
    parts.append(stops.finish(), to: .content)
    return false
  }

  private mutating func passAll() -> Bool {
    guard hasParts else { return pass(piece) }
    for index in parsed.pieces.indices {
      let found = parsed.pieces[index]
      if found.part == .content {
        if pass(parsed.text[found.bytes]) { return true }
      } else {
        // A stop string ends where its part does.
        parts.append(stops.finish(), to: .content)
        parts.append(parsed.text[found.bytes], to: found.part, toolIndex: found.toolIndex, toolID: found.toolID)
      }
    }
    return false
  }

  private mutating func pass(_ more: some Collection<UInt8>, isControl: Bool = false) -> Bool {
    passed.removeAll(keepingCapacity: true)
    let isStopped = stops.append(more, isControl: isControl, to: &passed)
    parts.append(passed, to: .content)
    return isStopped
  }
}
