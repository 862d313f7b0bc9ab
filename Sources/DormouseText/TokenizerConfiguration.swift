internal import DormouseSupport

/// What `tokenizer_config.json` says about tokens.
struct TokenizerConfiguration: Sendable {
  var beginningOfSequence: AddedToken?
  var endOfSequence: AddedToken?
  var padding: AddedToken?
  /// nil where the file does not say.
  var addsBeginningOfSequence: Bool?
  var addsEndOfSequence: Bool?
  /// `added_tokens_decoder`, by id.
  var addedTokens: [(id: Int32, token: AddedToken)] = []
  /// The tokens named as special, which need not be in the vocabulary.
  var namedTokens: [AddedToken] = []
  /// What templates call tokens by: the names and texts of `bos_token` and its like, of every other member that ends in
  /// `_token`, and of `extra_special_tokens` where that is an object; an empty text is one.
  var templateTokens: [(name: String, content: String)] = []

  /// The names that every tokenizer of transformers knows (`SPECIAL_TOKENS_ATTRIBUTES`).
  private static let standardNames = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// A tokenizer without such a file.
  init() {}

  /// - Throws: `Failure(.malformed)` naming the member; the caller puts the file in front.
  init(_ json: JSON) throws(Failure) {
    guard json.objectValue != nil else {
      throw Failure(.malformed, "the document is \(json.typeName), expected an object")
    }
    beginningOfSequence = try TokenizerConfiguration.token("bos_token", json)
    endOfSequence = try TokenizerConfiguration.token("eos_token", json)
    padding = try TokenizerConfiguration.token("pad_token", json)
    addsBeginningOfSequence = try TokenizerConfiguration.flag("add_bos_token", json)
    addsEndOfSequence = try TokenizerConfiguration.flag("add_eos_token", json)
    addedTokens = try TokenizerConfiguration.addedTokens(json)
    for name in TokenizerConfiguration.standardNames { try addNamed(name, json[name], field: name) }
    for (name, value) in json.objectValue ?? JSONObject() where TokenizerConfiguration.isOwnName(name, value) {
      try addNamed(name, value, field: name)
    }
    for (name, value) in json["extra_special_tokens"]?.objectValue ?? JSONObject() {
      try addNamed(name, value, field: "extra_special_tokens[\(Excerpt.name(name))]")
    }
    for field in ["additional_special_tokens", "extra_special_tokens"] {
      for (index, value) in (json[field]?.arrayValue ?? []).enumerated() {
        namedTokens.append(try TokenizerConfiguration.token(value, field: "\(field)[\(index)]"))
      }
    }
  }

  /// Whether a member is a token of this tokenizer's own, such as `image_token`; `add_bos_token` is none.
  private static func isOwnName(_ name: String, _ value: JSON) -> Bool {
    guard name.hasSuffix("_token"), !standardNames.contains(name) else { return false }
    return value.stringValue != nil || value["__type"]?.stringValue == "AddedToken"
  }

  private mutating func addNamed(_ name: String, _ value: JSON?, field: String) throws(Failure) {
    guard let value, !value.isNull else { return }
    if value.stringValue?.isEmpty == true { return templateTokens.append((name, "")) }
    let token = try TokenizerConfiguration.token(value, field: field)
    namedTokens.append(token)
    templateTokens.append((name, token.content))
  }

  private static func token(_ name: String, _ json: JSON) throws(Failure) -> AddedToken? {
    guard let value = json[name], !value.isNull else { return nil }
    let token = try token(value, field: name)
    return token.content.isEmpty ? nil : token
  }

  /// A string, or an object with `content` and flags.
  private static func token(_ value: JSON, field: String) throws(Failure) -> AddedToken {
    if let content = value.stringValue {
      guard content.utf8.count <= AddedToken.contentLimit else {
        throw Failure(
          .malformed, "\(field) has \(content.utf8.count) bytes, expected at most \(AddedToken.contentLimit)")
      }
      return AddedToken(special: content)
    }
    guard value.objectValue != nil else {
      throw Failure(.malformed, "\(field) is \(value.typeName), expected a string or an object with 'content'")
    }
    var token = try AddedToken(value, field: field)
    token.isSpecial = true
    return token
  }

  private static func flag(_ name: String, _ json: JSON) throws(Failure) -> Bool? {
    guard let value = json[name], !value.isNull else { return nil }
    guard let flag = value.boolValue else {
      throw Failure(.malformed, "\(name) is \(value.typeName), expected a boolean")
    }
    return flag
  }

  private static func addedTokens(_ json: JSON) throws(Failure) -> [(id: Int32, token: AddedToken)] {
    guard let value = json["added_tokens_decoder"], !value.isNull else { return [] }
    guard let members = value.objectValue else {
      throw Failure(.malformed, "added_tokens_decoder is \(value.typeName), expected an object")
    }
    var tokens: [(id: Int32, token: AddedToken)] = []
    for (key, value) in members {
      guard let id = Int32(key), id >= 0, Int(id) < Vocabulary.idLimit else {
        throw Failure(
          .malformed,
          "added_tokens_decoder[\(Excerpt.name(key))]: expected an id from 0 to \(Vocabulary.idLimit - 1) as key")
      }
      tokens.append((id, try AddedToken(value, field: "added_tokens_decoder[\(Excerpt.name(key))]")))
    }
    return tokens.sorted { $0.id < $1.id }
  }
}
