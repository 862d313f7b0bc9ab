import DormouseGrammar
import DormouseSupport
import DormouseText

/// Keeps an answer to letters of some scripts. What is no letter (digits, punctuation, emoji) and what stands as code
/// between backticks is free, and so are the tokens by which a format marks parts and calls.
struct LanguageRule {
  /// One of each part of the answer that is kept to them.
  private let constraints: [AnswerPart: Constraint]
  /// Added tokens, which may come anywhere.
  private let free: Set<Int32>

  /// - Parameters:
  ///   - scripts: Unicode's names.
  ///   - parts: which are kept to them.
  /// - Throws: `Failure(.invalidArgument)` for a name that is none.
  init(
    scripts: [String], parts: Set<AnswerPart>, vocabulary: GrammarVocabulary, tokenizer: Tokenizer,
    endTokens: Set<Int32>
  ) throws(Failure) {
    let expression = JSON.string(try LanguageRule.expression(scripts))
    let fields = try JSONFields(
      .object(JSONObject(["regex": expression])), file: "language", status: .internalError)
    let constraint = try Constraint(fields, vocabulary: vocabulary, endTokens: endTokens)
    constraints = Dictionary(uniqueKeysWithValues: parts.map { ($0, constraint.clone()) })
    free = tokenizer.addedTokens
  }

  /// Texts in Markdown whose letters outside of code are of `scripts`; one may end within its code.
  private static func expression(_ scripts: [String]) throws(Failure) -> String {
    var allowed = LetterRanges()
    for script in scripts { allowed = allowed.union(try WritingScripts.letters(of: script)) }
    var others = ""
    for range in try WritingScripts.allLetters().subtracting(allowed).ranges {
      for value in Set([range.lowerBound, range.upperBound]).sorted() {
        if let scalar = Unicode.Scalar(value) {
          if value != range.lowerBound { others += "-" }
          others.unicodeScalars.append(scalar)
        }
      }
    }
    let inFence = "(?:[^`]|`{1,2}[^`])*"
    return "(?:[^`\(others)]|`[^`\\n]*`|```\(inFence)```)*(?:`[^`\\n]*|```\(inFence)`{0,2})?"
  }

  /// Rules out what is of other scripts.
  /// - Parameter part: which the next token belongs to.
  func apply(to logits: UnsafeMutableBufferPointer<Float>, in part: AnswerPart) throws(Failure) {
    guard let constraint = constraints[part] else { return }
    logits.ruleOut(allBut: try constraint.allowed(), free)
  }

  /// Takes note of the next token of the answer. One that does not go on with the part's text begins or ends it.
  func record(_ token: Int32, in part: AnswerPart) throws(Failure) {
    guard let constraint = constraints[part], !free.contains(token), try constraint.allowed().contains(token) else {
      return
    }
    try constraint.accept(CollectionOfOne(token))
  }
}

/// What is asked of an answer's scripts, and what is expected of them.
struct AnswerLanguage {
  var rule: LanguageRule?
  var consistency = ScriptConsistency()
}

extension Engine {
  /// Characters at the end of a message that tell which scripts it is in.
  private static let lettersLookedAt = 1 << 14

  /// - Parameter userText: the user's last message; nil for a text that is only gone on with.
  /// - Throws: `Failure(.invalidArgument)` for scripts of a message that there is not.
  func language(for request: GenerationRequest, userText: String?) throws(Failure) -> AnswerLanguage {
    let scripts: [String]
    switch request.language?.choice {
    case .scripts(let names): scripts = names
    case .same where userText == nil:
      throw Failure(.invalidArgument, "config_json: language.answer 'same' needs a chat with a message of the user")
    case .same, nil:
      scripts =
        try userText.map { (text) throws(Failure) in
          try WritingScripts.scripts(of: String(text.unicodeScalars.suffix(Self.lettersLookedAt)))
        } ?? []
    }
    var language = AnswerLanguage(rule: nil, consistency: try ScriptConsistency(scripts: scripts))
    // What has a form has the letters that the form says.
    let parts = (request.language?.parts ?? []).subtracting(request.constraint == nil ? [] : [.content])
    guard !parts.isEmpty, !scripts.isEmpty else { return language }
    language.rule = try LanguageRule(
      scripts: scripts, parts: parts, vocabulary: try grammarVocabulary(), tokenizer: try text.requireTokenizer(),
      endTokens: request.ignoresEndTokens ? request.stopTokens : request.stopTokens.union(text.generation.endTokens))
    return language
  }
}
