import DormouseSupport
import DormouseText

/// Turns the tokens of an answer into text that is safe to pass on: whole characters, nothing of a stop string.
struct TextOutput {
  private var stream: TokenStream?
  private var stops: StopStrings

  /// - Parameter tokenizer: nil for a model without one; then there is no text.
  init(tokenizer: Tokenizer?, stop: [String]) {
    stream = tokenizer.map { TokenStream(tokenizer: $0, skipSpecial: true) }
    stops = StopStrings(stop)
  }

  mutating func append(_ token: Int32) -> (text: [UInt8], isStopped: Bool) {
    let found = stops.append(stream?.append(token) ?? [])
    return (found.text, found.isFound)
  }

  /// What was withheld, when no more tokens come; an unfinished character may still complete a stop string.
  mutating func finish() -> (text: [UInt8], isStopped: Bool) {
    let last = stops.append(stream?.finish() ?? [])
    return last.isFound ? (last.text, true) : (last.text + stops.finish(), false)
  }
}
