/// What a family writes around the names and arguments of calls, as text with its markers.
struct CallTexts: Sendable {
  /// Before the first call.
  var sectionBegin: String
  /// Behind the last one.
  var sectionEnd: String
  var callBegin: String
  /// Between calls.
  var separator = ""
  /// Between the marker and the name.
  var nameBegin = ""
  /// Between the name and the arguments of the call of a number.
  var nameEnd: @Sendable (Int) -> String
  var callEnd: String
}

extension CallMarkup {
  /// As a model's tokenizer has them; nil where it can't.
  init?(_ texts: CallTexts, tokenizer: Tokenizer) {
    @Sendable func tokens(_ text: String) -> [Int32] {
      (try? tokenizer.encode(text, parseSpecial: true, addSpecialTokens: false)) ?? []
    }
    let next = tokens(texts.separator + texts.callBegin + texts.nameBegin)
    self.init(
      begin: tokens(texts.sectionBegin + texts.callBegin + texts.nameBegin),
      callBegin: tokenizer.addedTokenID(of: texts.callBegin), beginNext: next,
      nameEnd: { tokens(texts.nameEnd($0)) }, callEnd: tokens(texts.callEnd), end: tokens(texts.sectionEnd))
    guard !next.isEmpty, !callEnd.isEmpty, !nameEnd(0).isEmpty else { return nil }
  }
}
