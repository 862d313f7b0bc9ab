internal import DormouseSupport

/// The members of `tokenizer.json` other than the model, read into steps. A component that is not known here is a
/// `Failure(.unsupported)` that names it: guessing would give other ids than the model was trained on.
enum TokenizerComponents {
  /// Components inside one another, and steps of one chain, at most.
  private static let depthLimit = 8
  private static let stepLimit = 64

  /// The type of a component that must be an object.
  private static func type(of json: JSON, field: String) throws(Failure) -> String {
    guard let type = json["type"]?.stringValue else {
      throw Failure(.malformed, "\(field).type: expected a string")
    }
    return type
  }

  private static func unsupported(_ field: String, _ type: String) -> Failure {
    Failure(.unsupported, "\(field).type \(Excerpt.name(type)) is not supported")
  }

  /// The components of a `Sequence`, or the component alone; nested sequences are laid out flat.
  private static func flattened(
    _ json: JSON, field: String, member: String, depth: Int = 0
  ) throws(Failure) -> [(field: String, type: String, json: JSON)] {
    if json.isNull { return [] }
    let type = try type(of: json, field: field)
    guard type == "Sequence" else { return [(field, type, json)] }
    guard depth < depthLimit else { throw Failure(.malformed, "\(field): more than \(depthLimit) nested sequences") }
    guard let items = json[member]?.arrayValue else {
      throw Failure(.malformed, "\(field).\(member): expected an array")
    }
    var result: [(field: String, type: String, json: JSON)] = []
    for (index, item) in items.enumerated() {
      result += try flattened(item, field: "\(field).\(member)[\(index)]", member: member, depth: depth + 1)
      guard result.count <= stepLimit else { throw Failure(.malformed, "\(field): more than \(stepLimit) steps") }
    }
    return result
  }

  private static func flag(_ name: String, _ json: JSON, _ field: String, default value: Bool) throws(Failure) -> Bool {
    guard let member = json[name] else { return value }
    guard let flag = member.boolValue else {
      throw Failure(.malformed, "\(field).\(name) is \(member.typeName), expected a boolean")
    }
    return flag
  }

  private static func string(_ name: String, _ json: JSON, _ field: String) throws(Failure) -> String {
    guard let text = json[name]?.stringValue else { throw Failure(.malformed, "\(field).\(name): expected a string") }
    return text
  }

  /// `{"Regex": ...}` or `{"String": ...}`.
  private static func pattern(_ json: JSON, _ field: String) throws(Failure) -> TextPattern {
    let field = "\(field).pattern"
    if let expression = json["pattern"]?["Regex"]?.stringValue {
      return try withContext(field) { () throws(Failure) in try TextPattern(.expression(expression), field: field) }
    }
    if let literal = json["pattern"]?["String"]?.stringValue {
      return try withContext(field) { () throws(Failure) in try TextPattern(.literal(literal), field: field) }
    }
    throw Failure(.malformed, "\(field): expected an object with 'Regex' or 'String'")
  }
}

// MARK: - Normalizer

extension TokenizerComponents {
  static func normalizer(_ json: JSON) throws(Failure) -> [NormalizerStep] {
    var steps: [NormalizerStep] = []
    for (field, type, json) in try flattened(json, field: "normalizer", member: "normalizers") {
      switch type {
      case "Prepend": steps.append(.prepend(Array(try string("prepend", json, field).utf8)))
      case "Replace":
        let pattern = try pattern(json, field)
        steps.append(.replace(pattern, with: Array(try string("content", json, field).utf8)))
      case "Strip":
        let left = try flag("strip_left", json, field, default: true)
        steps.append(.strip(left: left, right: try flag("strip_right", json, field, default: true)))
      default: throw unsupported(field, type)
      }
    }
    return steps
  }
}

// MARK: - Pre-tokenizer

extension TokenizerComponents {
  /// The steps before the bytes are looked up. The last component must be `ByteLevel`: this is byte-level BPE.
  static func preTokenizer(_ json: JSON) throws(Failure) -> [PreTokenizerStep] {
    let components = try flattened(json, field: "pre_tokenizer", member: "pretokenizers")
    guard components.last?.type == "ByteLevel" else {
      throw Failure(.unsupported, "pre_tokenizer does not end in 'ByteLevel'; only byte-level BPE is supported")
    }
    var steps: [PreTokenizerStep] = []
    for (index, (field, type, json)) in components.enumerated() {
      guard type == "ByteLevel" else {
        steps.append(.split(try split(field, type, json)))
        continue
      }
      guard index == components.count - 1 else {
        throw Failure(.unsupported, "\(field).type 'ByteLevel' is only supported as the last step")
      }
      if try flag("add_prefix_space", json, field, default: true) { steps.append(.prefixSpace) }
      if try flag("use_regex", json, field, default: true) { steps.append(.split(try isolating(byteLevelPattern))) }
    }
    return steps
  }

  /// What ByteLevel splits with when `use_regex` is true: GPT-2's pattern.
  private static let byteLevelPattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// A step that makes every match of `expression` a piece.
  static func isolating(_ expression: String) throws(Failure) -> SplitStep {
    SplitStep(pattern: try TextPattern(.expression(expression)), behavior: .isolated, isInverted: false)
  }

  private static func split(_ field: String, _ type: String, _ json: JSON) throws(Failure) -> SplitStep {
    switch type {
    case "Split":
      let pattern = try pattern(json, field)
      let isInverted = try flag("invert", json, field, default: false)
      return SplitStep(pattern: pattern, behavior: try behavior(json, field), isInverted: isInverted)
    case "Digits":
      let isSingle = try flag("individual_digits", json, field, default: false)
      var step = try isolating(#"\p{N}"#)
      step.behavior = isSingle ? .isolated : .contiguous
      return step
    case "Whitespace":
      var step = try isolating(#"[\w\p{Alphabetic}\u200C\u200D]+|[^\w\p{Alphabetic}\u200C\u200D\s]+"#)
      step.behavior = .removed
      step.isInverted = true
      return step
    case "WhitespaceSplit":
      var step = try isolating(#"\s"#)
      step.behavior = .removed
      return step
    default: throw unsupported(field, type)
    }
  }

  private static func behavior(_ json: JSON, _ field: String) throws(Failure) -> SplitStep.Behavior {
    let name = try string("behavior", json, field)
    guard let behavior = SplitStep.Behavior(rawValue: name) else {
      throw Failure(.unsupported, "\(field).behavior \(Excerpt.name(name)) is not supported")
    }
    return behavior
  }
}

// MARK: - Decoder and post-processor

extension TokenizerComponents {
  /// Checks that the decoder joins the tokens' bytes and does nothing else.
  static func checkDecoder(_ json: JSON) throws(Failure) {
    let components = try flattened(json, field: "decoder", member: "decoders")
    for (field, type, _) in components where type != "ByteLevel" && type != "Fuse" { throw unsupported(field, type) }
    guard components.contains(where: { $0.type == "ByteLevel" }) else {
      throw Failure(.unsupported, "decoder has no 'ByteLevel'; only byte-level BPE is supported")
    }
  }

  /// The ids that the post-processor puts before and after a single text.
  static func postProcessor(
    _ json: JSON, vocabulary: Vocabulary
  ) throws(Failure) -> (prefix: [Int32], suffix: [Int32]) {
    var prefix: [Int32] = []
    var suffix: [Int32] = []
    for (field, type, json) in try flattened(json, field: "post_processor", member: "processors") {
      switch type {
      case "ByteLevel": continue
      case "TemplateProcessing":
        let around = try template(json, field, vocabulary: vocabulary)
        prefix = around.prefix + prefix
        suffix += around.suffix
      default: throw unsupported(field, type)
      }
    }
    return (prefix, suffix)
  }

  private static func template(
    _ json: JSON, _ field: String, vocabulary: Vocabulary
  ) throws(Failure) -> (prefix: [Int32], suffix: [Int32]) {
    guard let pieces = json["single"]?.arrayValue, pieces.count <= stepLimit else {
      throw Failure(.malformed, "\(field).single: expected an array of at most \(stepLimit) pieces")
    }
    var around: (prefix: [Int32], suffix: [Int32]) = ([], [])
    var texts = 0
    for (index, piece) in pieces.enumerated() {
      if let name = piece["SpecialToken"]?["id"]?.stringValue {
        let ids = try ids(of: name, json, field, vocabulary: vocabulary)
        if texts == 0 { around.prefix += ids } else { around.suffix += ids }
      } else if piece["Sequence"]?["id"]?.stringValue == "A" {
        texts += 1
      } else {
        throw Failure(.malformed, "\(field).single[\(index)]: expected a SpecialToken, or the Sequence 'A'")
      }
    }
    guard texts == 1 else { throw Failure(.malformed, "\(field).single has the text \(texts) times, expected once") }
    return around
  }

  private static func ids(
    of name: String, _ json: JSON, _ field: String, vocabulary: Vocabulary
  ) throws(Failure) -> [Int32] {
    guard let values = json["special_tokens"]?[name]?["ids"]?.arrayValue, values.count <= stepLimit else {
      throw Failure(.malformed, "\(field).special_tokens[\(Excerpt.name(name))].ids: expected an array of ids")
    }
    var ids: [Int32] = []
    for value in values {
      guard let integer = value.integerValue, let id = Int32(exactly: integer), vocabulary.contains(id) else {
        throw Failure(
          .malformed, "\(field).special_tokens[\(Excerpt.name(name))].ids: \(Excerpt.json(value)) is no token's id")
      }
      ids.append(id)
    }
    return ids
  }
}
