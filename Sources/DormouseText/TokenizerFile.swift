internal import DormouseSupport

/// Reads `tokenizer.json`.
struct TokenizerFile {
  private let json: JSON

  /// - Throws: `Failure(.malformed)` or `Failure(.unsupported)` naming the member; the caller puts the file in front.
  static func parts(_ json: JSON, configuration: TokenizerConfiguration) throws(Failure) -> TokenizerParts {
    guard json.objectValue != nil else {
      throw Failure(.malformed, "the document is \(json.typeName), expected an object")
    }
    return try TokenizerFile(json: json).parts(configuration: configuration)
  }

  private func component(_ name: String) -> JSON { json[name] ?? .null }

  private func parts(configuration: TokenizerConfiguration) throws(Failure) -> TokenizerParts {
    let preTokenizer = try TokenizerComponents.preTokenizer(component("pre_tokenizer"))
    try TokenizerComponents.checkDecoder(component("decoder"))
    let model = try TokenizerModel(component("model"))
    var added = AddedTokenTable(vocabulary: model.vocabulary)
    try addTokens(to: &added)
    try added.add(configuration)
    let normalizer = try TokenizerComponents.normalizer(component("normalizer"))
    let (plain, normalized) = try added.matchers(normalizer: normalizer)
    // `add_bos_token` has no say beside a tokenizer.json, as in transformers 5.
    let processor = component("post_processor")
    let (prefix, suffix) = try TokenizerComponents.postProcessor(processor, vocabulary: added.vocabulary)
    return TokenizerParts(
      vocabulary: added.vocabulary, rules: .pairs(model.merges), prefersWholeWords: model.prefersWholeWords,
      byteIds: model.byteIds, unknownId: model.unknownId, fusesUnknown: model.fusesUnknown,
      addedIds: added.addedIds, specialIds: added.specialIds, ordinaryCount: added.ordinaryCount, plainTokens: plain,
      normalizedTokens: normalized, normalizer: normalizer,
      preTokenizer: preTokenizer, prefix: prefix, suffix: suffix, configuration: configuration)
  }

  private func addTokens(to table: inout AddedTokenTable) throws(Failure) {
    let value = component("added_tokens")
    if value.isNull { return }
    guard let items = value.arrayValue else {
      throw Failure(.malformed, "added_tokens is \(value.typeName), expected an array")
    }
    for (index, item) in items.enumerated() {
      let field = "added_tokens[\(index)]"
      let token = try AddedToken(item, field: field)
      let id = try TokenizerModel.id(item["id"] ?? .null, field: "\(field).id")
      try withContext(field) { () throws(Failure) in try table.add(token, id: id) }
    }
  }
}

/// The `model` of a `tokenizer.json`: the vocabulary and the merges.
struct TokenizerModel {
  private(set) var vocabulary: Vocabulary
  private(set) var merges: PairTable
  private(set) var byteIds: [Int32]
  let prefersWholeWords: Bool
  let unknownId: Int32?
  let fusesUnknown: Bool

  init(_ json: JSON) throws(Failure) {
    guard json.objectValue != nil else { throw Failure(.malformed, "model is \(json.typeName), expected an object") }
    if let type = json["type"], type.stringValue != "BPE" {
      throw Failure(.unsupported, "model.type is \(Excerpt.json(type)), expected \"BPE\"")
    }
    try TokenizerModel.refuseOptions(json)
    let vocabulary = try TokenizerModel.vocabulary(json)
    self.vocabulary = vocabulary
    merges = try TokenizerModel.merges(json, vocabulary: vocabulary)
    byteIds = (0..<256).map { byte in
      withUnsafeBytes(of: UInt8(truncatingIfNeeded: byte)) { vocabulary.id(ofBytes: $0) } ?? -1
    }
    prefersWholeWords = try TokenizerModel.flag("ignore_merges", json)
    fusesUnknown = try TokenizerModel.flag("fuse_unk", json)
    unknownId = try TokenizerModel.unknownId(json, vocabulary: vocabulary)
    if try TokenizerModel.flag("byte_fallback", json), byteIds.contains(-1) {
      throw Failure(.unsupported, "model.byte_fallback is only supported where every byte has a token of its own")
    }
  }

  /// Checks an id of a file.
  static func id(_ value: JSON, field: @autoclosure () -> String) throws(Failure) -> Int32 {
    guard let integer = value.integerValue, integer >= 0, integer < Vocabulary.idLimit else {
      throw Failure(
        .malformed, "\(field()) is \(Excerpt.json(value)), expected an id from 0 to \(Vocabulary.idLimit - 1)")
    }
    return Int32(truncatingIfNeeded: integer)
  }

  private static func flag(_ name: String, _ json: JSON) throws(Failure) -> Bool {
    guard let value = json[name], !value.isNull else { return false }
    guard let flag = value.boolValue else {
      throw Failure(.malformed, "model.\(name) is \(value.typeName), expected a boolean")
    }
    return flag
  }

  /// Options that byte-level models do not use, and that would change every id.
  private static func refuseOptions(_ json: JSON) throws(Failure) {
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard let value = json[name], !value.isNull, value.stringValue != "" else { continue }
      throw Failure(.unsupported, "model.\(name) is \(Excerpt.json(value)), expected null")
    }
    if let dropout = json["dropout"], !dropout.isNull, dropout.doubleValue != 0 {
      throw Failure(.unsupported, "model.dropout is \(Excerpt.json(dropout)), expected null")
    }
  }

  private static func unknownId(_ json: JSON, vocabulary: Vocabulary) throws(Failure) -> Int32? {
    guard let value = json["unk_token"], !value.isNull else { return nil }
    guard let name = value.stringValue, let id = vocabulary.id(ofName: name) else {
      throw Failure(.malformed, "model.unk_token is \(Excerpt.json(value)), which is not in model.vocab")
    }
    return id
  }

  private static func vocabulary(_ json: JSON) throws(Failure) -> Vocabulary {
    guard let members = json["vocab"]?.objectValue else {
      throw Failure(.malformed, "model.vocab: expected an object")
    }
    guard members.count <= Vocabulary.idLimit else {
      throw Failure(.malformed, "model.vocab has \(members.count) tokens, more than the limit of \(Vocabulary.idLimit)")
    }
    var tokens: [(name: String, id: Int32)] = []
    tokens.reserveCapacity(members.count)
    var idCount = 0
    for (name, value) in members {
      let id = try id(value, field: "model.vocab[\(Excerpt.name(name))]")
      tokens.append((name, id))
      idCount = max(idCount, Int(id) + 1)
    }
    var vocabulary = Vocabulary(idCount: idCount, tokenCount: tokens.count)
    do {
      for token in tokens { try vocabulary.add(name: token.name, id: token.id) }
    } catch { throw error.prefixed("model.vocab") }
    return vocabulary
  }
}

// MARK: - Merges

extension TokenizerModel {
  private static func merges(_ json: JSON, vocabulary: Vocabulary) throws(Failure) -> PairTable {
    guard let items = json["merges"]?.arrayValue else { throw Failure(.malformed, "model.merges: expected an array") }
    guard items.count <= 4 * Vocabulary.idLimit else {
      throw Failure(.malformed, "model.merges has \(items.count) entries, more than the limit")
    }
    var table = PairTable(count: items.count)
    var joined: [UInt8] = []
    for (index, item) in items.enumerated() {
      let (left, right) = try parts(of: item, index: index)
      joined.removeAll(keepingCapacity: true)
      let ids = ids(left, right, joined: &joined, vocabulary: vocabulary)
      guard let leftId = ids.left else { throw missing(left, index: index) }
      guard let rightId = ids.right else { throw missing(right, index: index) }
      guard let mergedId = ids.joined else { throw missing(left + right, index: index) }
      table.insert(leftId, rightId, Merge(rank: UInt32(truncatingIfNeeded: index), id: mergedId))
    }
    return table
  }

  private static func missing(_ token: String, index: Int) -> Failure {
    Failure(.malformed, "model.merges[\(index)]: token \(Excerpt.name(token)) is not in model.vocab")
  }

  /// The ids of both parts and of the token they make.
  private static func ids(
    _ left: String, _ right: String, joined: inout [UInt8], vocabulary: Vocabulary
  ) -> (left: Int32?, right: Int32?, joined: Int32?) {
    guard ByteAlphabet.append(left, to: &joined), case let middle = joined.count,
      ByteAlphabet.append(right, to: &joined)
    else {
      return (vocabulary.id(ofName: left), vocabulary.id(ofName: right), vocabulary.id(ofName: left + right))
    }
    return joined.withUnsafeBytes { bytes in
      let leftId = vocabulary.id(ofBytes: UnsafeRawBufferPointer(rebasing: bytes[..<middle]))
      let rightId = vocabulary.id(ofBytes: UnsafeRawBufferPointer(rebasing: bytes[middle...]))
      return (leftId, rightId, vocabulary.id(ofBytes: bytes))
    }
  }

  /// Both spellings: "a b" and ["a", "b"].
  private static func parts(of item: JSON, index: Int) throws(Failure) -> (String, String) {
    switch item {
    case .string(let text):
      let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      if parts.count == 2 { return (String(Substring(parts[0])), String(Substring(parts[1]))) }
    case .array(let values):
      if values.count == 2, let left = values[0].stringValue, let right = values[1].stringValue { return (left, right) }
    default: break
    }
    throw Failure(
      .malformed, "model.merges[\(index)] is \(Excerpt.json(item)), expected two tokens, as \"a b\" or [\"a\", \"b\"]")
  }
}
