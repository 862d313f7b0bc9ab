internal import DormouseSupport

/// Reads `tiktoken.model` as Kimi publishes it: one line a token, its bytes in base64 and its rank, which is its id.
/// Control tokens follow the base vocabulary; `tokenizer_config.json` names them.
struct TiktokenFile {
  /// Ids kept for control tokens behind the base vocabulary (`num_reserved_special_tokens` of `tokenization_kimi.py`).
  static let reservedCount = 256

  /// The pattern of `tokenization_kimi.py`, which is in no configuration file.
  static let pattern = [
    #"[\p{Han}]+"#,
    #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"#
      + #"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#,
    #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"#
      + #"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"#,
    #"\p{N}{1,3}"#, #" ?[^\s\p{L}\p{N}]+[\r\n]*"#, #"\s*[\r\n]+"#, #"\s+(?!\S)"#, #"\s+"#,
  ].joined(separator: "|")

  /// - Throws: `Failure(.malformed)` naming the line; the caller puts the file in front.
  static func parts(_ bytes: [UInt8], configuration: TokenizerConfiguration) throws(Failure) -> TokenizerParts {
    let base = try vocabulary(bytes)
    let byteIds: [Int32] = (0..<256).map { byte in
      withUnsafeBytes(of: UInt8(truncatingIfNeeded: byte)) { base.id(ofBytes: $0) } ?? -1
    }
    if let byte = byteIds.firstIndex(of: -1) {
      throw Failure(.malformed, "no token for the single byte \(byte); each of the 256 bytes needs one")
    }
    let added = try addedTokens(base, configuration: configuration)
    let (plain, normalized) = try added.matchers(normalizer: [])
    let (prefix, suffix) = try added.around(configuration)
    return TokenizerParts(
      vocabulary: added.vocabulary, rules: .ranks, prefersWholeWords: true, byteIds: byteIds, unknownId: nil,
      fusesUnknown: false, addedIds: added.addedIds, specialIds: added.specialIds, ordinaryCount: added.ordinaryCount, plainTokens: plain,
      normalizedTokens: normalized,
      normalizer: [], preTokenizer: [.split(try TokenizerComponents.isolating(pattern))], prefix: prefix,
      suffix: suffix, configuration: configuration)
  }

  /// The reserved ids, named as `added_tokens_decoder` says or `<|reserved_token_{id}|>`.
  private static func addedTokens(
    _ base: Vocabulary, configuration: TokenizerConfiguration
  ) throws(Failure) -> AddedTokenTable {
    var table = AddedTokenTable(vocabulary: base)
    let reserved = base.count..<base.count + reservedCount
    for (id, _) in configuration.addedTokens where !reserved.contains(Int(id)) {
      throw Failure(
        .malformed, "tokenizer_config.json: added_tokens_decoder['\(id)'] is outside the reserved ids \(reserved)")
    }
    try table.add(configuration)
    for id in reserved where !table.vocabulary.contains(Int32(id)) {
      try table.add(AddedToken(special: "<|reserved_token_\(id)|>"), id: Int32(id))
    }
    return table
  }

  private static func vocabulary(_ bytes: [UInt8]) throws(Failure) -> Vocabulary {
    let lines = bytes.split(maxSplits: Vocabulary.idLimit) { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
    guard !lines.isEmpty, lines.count <= Vocabulary.idLimit - reservedCount else {
      throw Failure(
        .malformed, "the file has \(lines.count) tokens, expected 1 to \(Vocabulary.idLimit - reservedCount)")
    }
    var vocabulary = Vocabulary(idCount: lines.count, tokenCount: lines.count)
    for (index, line) in lines.enumerated() {
      do { try add(line, count: lines.count, to: &vocabulary) } catch { throw error.prefixed("token \(index + 1)") }
    }
    return vocabulary
  }

  private static func add(_ line: ArraySlice<UInt8>, count: Int, to vocabulary: inout Vocabulary) throws(Failure) {
    let fields = line.split(separator: UInt8(ascii: " "))
    guard fields.count == 2 else {
      throw Failure(.malformed, "the line has \(fields.count) fields, expected a token in base64 and its rank")
    }
    guard let token = Base64.decode(fields[0]), !token.isEmpty else {
      let text = String(decoding: fields[0].prefix(64), as: UTF8.self)
      throw Failure(.malformed, "\(Excerpt.name(text)) is not a token in base64")
    }
    let number = String(decoding: fields[1], as: UTF8.self)
    guard let rank = Int32(number), rank >= 0, Int(rank) < count else {
      throw Failure(.malformed, "rank \(Excerpt.name(number)), expected 0 to \(count - 1)")
    }
    try vocabulary.add(bytes: token, id: rank)
  }
}
