import DormouseSupport
import DormouseText

/// Turns the tokens of an answer into text that is safe to pass on: whole characters, nothing of a stop string.
struct TextOutput {
  private let tokenizer: Tokenizer?
  private var stream: TokenStream?
  private var parser: any AnswerParser = PlainAnswerParser()
  private var stops: StopStrings
  /// What the last call found; its memory is used again, so an answer allocates only while its pieces grow.
  private(set) var text: [UInt8] = []
  private var piece: [UInt8] = []
  private var parts = AnswerParts()

  /// - Parameter tokenizer: nil for a model without one; then there is no text.
  init(tokenizer: Tokenizer?, stop: [String]) {
    self.tokenizer = tokenizer
    stream = tokenizer.map { TokenStream(tokenizer: $0, skipSpecial: true) }
    stops = StopStrings(stop) { text in tokenizer?.namesSpecial(in: text) ?? false }
  }

  /// Leaves in `text` what `token` completes.
  /// - Returns: whether a stop string ends the answer.
  mutating func append(_ token: Int32) -> Bool {
    clear()
    stream?.append(token, to: &piece)
    parser.append(token, text: piece, to: &parts)
    if stops.append(parts.text, to: &text) { return true }
    // A control token has no text that passes, but a stop string may name it.
    guard stops.namesControl, let tokenizer, tokenizer.isSpecial(token) else { return false }
    return stops.append(tokenizer.bytes(of: token) ?? [], isControl: true, to: &text)
  }

  /// Leaves no text: for a token that is none.
  mutating func clear() {
    text.removeAll(keepingCapacity: true)
    piece.removeAll(keepingCapacity: true)
    parts.removeAll()
  }

  /// Leaves in `text` what was withheld, when no more tokens come; an unfinished character may still complete a stop
  /// string.
  /// - Returns: whether it did.
  mutating func finish() -> Bool {
    clear()
    parser.finish(text: stream?.finish() ?? [], to: &parts)
    if stops.append(parts.text, to: &text) { return true }
    text += stops.finish()
    return false
  }
}
