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
      fusesUnknown: false, specialIds: added.specialIds, ordinaryCount: added.ordinaryCount, plainTokens: plain,
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
    guard let token = Base64.decoded(fields[0]), !token.isEmpty else {
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

/// Base64 of RFC 4648, section 4, with padding.
enum Base64 {
  /// The bytes that `text` stands for; nil when it is not base64.
  static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
    var output: [UInt8] = []
    output.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var count = 0
    for character in text.dropLast(padding) {
      guard let digit = digit(character) else { return nil }
      bits = bits << 6 | digit
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      bits &= (1 << UInt32(count)) - 1
    }
    return bits == 0 ? output : nil
  }

  private static func digit(_ character: UInt8) -> UInt32? {
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }
}
