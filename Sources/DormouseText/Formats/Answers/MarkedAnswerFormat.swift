/// A format that an `AnswerSyntax` describes, with the tokens of one model.
struct MarkedAnswerFormat: AnswerFormat {
  /// The tokens that begin the turn of the model in the prompts of all families: what stands before them is of other
  /// turns.
  private static let turnBegins = ["<｜Assistant｜>", "<|assistant|>", "<|im_middle|>"]
  /// Tokens at the end of a prompt in which reasoning that it begins is looked for where its markers are ordinary text.
  private static let promptEnd = 16

  let syntax: AnswerSyntax
  let reasoningEnd: [Int32]
  private let tokenizer: Tokenizer
  private let turnBegins: [Int32]

  init(_ syntax: AnswerSyntax, tokenizer: Tokenizer) {
    self.syntax = syntax
    self.tokenizer = tokenizer
    turnBegins = MarkedAnswerFormat.turnBegins.compactMap { tokenizer.addedTokenID(of: $0) }
    reasoningEnd =
      syntax.reasoning == nil
      ? [] : (try? tokenizer.encode(ReasoningMarker.end, parseSpecial: true, addSpecialTokens: false)) ?? []
  }

  var name: String { syntax.name }

  var callMarkup: CallMarkup? { syntax.callTexts.flatMap { CallMarkup($0, tokenizer: tokenizer) } }

  func makeParser(after prompt: [Int32], callsTools: Bool, parameters: ToolParameters) -> any AnswerParser {
    let (isReasoning, isContinued) = state(after: prompt)
    return MarkedAnswerParser(
      syntax, isReasoning: isReasoning, isContinued: isContinued, parameters: callsTools ? parameters : nil)
  }

  /// Whether the prompt leaves the reasoning open, and whether it goes on in its part already.
  private func state(after prompt: [Int32]) -> (isReasoning: Bool, isContinued: Bool) {
    guard syntax.reasoning != nil else { return (false, false) }
    guard let begin = tokenizer.addedTokenID(of: ReasoningMarker.begin),
      let end = tokenizer.addedTokenID(of: ReasoningMarker.end)
    else { return (endsWithBegin(prompt), false) }
    let last = prompt.lastIndex { $0 == begin || $0 == end || turnBegins.contains($0) }
    guard let last else { return (false, false) }
    let rest = tokenizer.text(of: prompt[(last + 1)...].prefix(MarkedAnswerFormat.promptEnd))
    // A template may write white space behind the marker, and Kimi's "assistant" stands before its own.
    return (prompt[last] == begin, !rest.allSatisfy(AnswerBuffer.isSpace))
  }

  private func endsWithBegin(_ prompt: [Int32]) -> Bool {
    let text = tokenizer.text(of: prompt.suffix(MarkedAnswerFormat.promptEnd))
    return ToolName.trimmed(text[...]).reversed().starts(with: ReasoningMarker.begin.utf8.reversed())
  }
}

/// The markers of reasoning: the same in all families.
enum ReasoningMarker {
  static let begin = "<think>"
  static let end = "</think>"
}

extension Tokenizer {
  /// The bytes of `ids`.
  fileprivate func text(of ids: ArraySlice<Int32>) -> [UInt8] {
    var bytes: [UInt8] = []
    for id in ids { appendBytes(of: id, to: &bytes) }
    return bytes
  }
}
