internal import DormouseSupport

/// Collects the added tokens of a tokenizer from its files.
struct AddedTokenTable {
  private(set) var vocabulary: Vocabulary
  private var tokens: [Int32: AddedToken] = [:]
  /// Of the vocabulary without what was added: one more than the largest id.
  private let baseCount: Int

  init(vocabulary: Vocabulary) {
    self.vocabulary = vocabulary
    baseCount = vocabulary.count
  }

  /// One more than the largest id of a token that is no added one: any text may hold it.
  var ordinaryCount: Int {
    let last = (0..<baseCount).last { tokens[Int32($0)] == nil && vocabulary.contains(Int32($0)) }
    return last.map { $0 + 1 } ?? 0
  }

  var addedIds: Set<Int32> { Set(tokens.keys) }

  var specialIds: Set<Int32> { Set(tokens.filter { $0.value.isSpecial }.keys) }

  /// Adds `token`, or changes its flags when it is there already. Once special it stays special, as in the
  /// `tokenizers` package. Like there, an empty one is ignored: no text holds it.
  /// - Throws: `Failure(.malformed)` when the token has another id, or the id another token.
  mutating func add(_ token: AddedToken, id: Int32) throws(Failure) {
    if token.content.isEmpty { return }
    if let known = vocabulary.id(ofName: token.content) {
      guard known == id else {
        throw Failure(.malformed, "token \(Excerpt.name(token.content)) has id \(id) here and id \(known) elsewhere")
      }
    } else {
      try vocabulary.add(control: token.content, id: id)
    }
    let wasSpecial = tokens[id]?.isSpecial ?? false
    tokens[id] = token
    tokens[id]?.isSpecial = token.isSpecial || wasSpecial
  }

  /// Adds what `tokenizer_config.json` names. A token that it names is special, whatever `added_tokens` says; one
  /// without an id in any file is left out: the model has no embedding for it.
  mutating func add(_ configuration: TokenizerConfiguration) throws(Failure) {
    for (id, token) in configuration.addedTokens {
      do { try add(token, id: id) } catch {
        throw error.prefixed("tokenizer_config.json: added_tokens_decoder['\(id)']")
      }
    }
    for token in configuration.namedTokens {
      guard let id = vocabulary.id(ofName: token.content) else { continue }
      if tokens[id] != nil { tokens[id]?.isSpecial = true } else { try add(token, id: id) }
    }
  }

  /// What finds the tokens before and after the normalizer.
  func matchers(normalizer: [NormalizerStep]) throws(Failure) -> (AddedTokenMatcher, AddedTokenMatcher) {
    var plain: [(pattern: [UInt8], id: Int32, token: AddedToken)] = []
    var normalized: [(pattern: [UInt8], id: Int32, token: AddedToken)] = []
    let work = try TextWork(byteCount: tokens.reduce(0) { $0 + $1.value.content.utf8.count })
    for (id, token) in tokens {
      var text = NormalizerStep.Text(bytes: Array(token.content.utf8), isMarkup: [])
      guard token.isNormalized else {
        plain.append((text.bytes, id, token))
        continue
      }
      text.isMarkup = [Bool](repeating: true, count: text.bytes.count)
      try NormalizerStep.apply(normalizer, to: &text, work: work)
      guard text.bytes.count <= 4 * AddedToken.contentLimit else {
        throw Failure(.malformed, "added token \(Excerpt.name(token.content)) becomes too long in the normalizer")
      }
      normalized.append((text.bytes, id, token))
    }
    return (try AddedTokenMatcher(plain), try AddedTokenMatcher(normalized))
  }

  /// What stands around a text where no `tokenizer.json` says so: what `add_bos_token` and `add_eos_token` ask for.
  func around(_ configuration: TokenizerConfiguration) throws(Failure) -> (prefix: [Int32], suffix: [Int32]) {
    let begins = configuration.addsBeginningOfSequence == true
    let ends = configuration.addsEndOfSequence == true
    let prefix = begins ? try id(of: configuration.beginningOfSequence, field: "bos_token") : []
    return (prefix, ends ? try id(of: configuration.endOfSequence, field: "eos_token") : [])
  }

  private func id(of token: AddedToken?, field: String) throws(Failure) -> [Int32] {
    guard let token else { return [] }
    guard let id = vocabulary.id(ofName: token.content) else {
      throw Failure(
        .malformed, "tokenizer_config.json: \(field) \(Excerpt.name(token.content)) is not in the vocabulary")
    }
    return [id]
  }
}
