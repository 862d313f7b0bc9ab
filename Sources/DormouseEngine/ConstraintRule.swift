import DormouseGrammar
import DormouseSupport

/// Rules out the tokens with which no text of the language goes on.
struct ConstraintRule: LogitsRule {
  let constraint: Constraint

  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    let allowed = try constraint.allowed()
    for token in logits.indices where !allowed.contains(Int32(truncatingIfNeeded: token)) {
      logits[token] = -.infinity
    }
  }

  func record(_ token: Int32) throws(Failure) { try constraint.accept(CollectionOfOne(token)) }
}

/// What a config says of the answer's form, as the object that a constraint is made of.
enum ConstraintRequest {
  /// Of `constraint`, or of OpenAI's `response_format`; nil for answers of any form.
  /// - Throws: `Failure(.invalidArgument)`.
  static func read(_ fields: JSONFields) throws(Failure) -> JSONObject? {
    guard let format = try fields.fields("response_format") else { return try fields.fields("constraint")?.object }
    guard !fields.has("constraint") else {
      throw Failure(.invalidArgument, "\(fields.file): response_format and constraint exclude each other")
    }
    let type = try format.string("type")
    switch type {
    case "text": return nil
    case "json_object": return JSONObject(["json_schema": ["type": "object"]])
    case "json_schema":
      guard let schema = try format.fields("json_schema") else {
        throw Failure(.invalidArgument, "\(fields.file): response_format.json_schema is missing")
      }
      try schema.refuseMembers(besides: ["name", "description", "schema", "strict"])
      return JSONObject(["json_schema": schema.value("schema") ?? .object(JSONObject())])
    default:
      throw format.wrong("type", .string(type), expected: "text, json_object or json_schema")
    }
  }
}

extension Engine {
  /// The tokens of the model as constraints see them. Made at the first call, in a few tenths of a second for a
  /// vocabulary of 130,000, and kept.
  /// - Throws: `Failure(.notFound)` for a model without a tokenizer.
  func grammarVocabulary() throws(Failure) -> GrammarVocabulary {
    let tokenizer = try text.requireTokenizer()
    let outcome: Result<GrammarVocabulary, Failure> = keptGrammarVocabulary.withLock { kept in
      if let kept { return .success(kept) }
      do throws(Failure) {
        let made = try GrammarVocabulary(
          (0..<tokenizer.vocabularySize).map { index in
            let id = Int32(truncatingIfNeeded: index)
            return tokenizer.isSpecial(id) ? [] : tokenizer.bytes(of: id) ?? []
          })
        kept = made
        return .success(made)
      } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  /// The constraint of an answer, if it has one.
  /// - Throws: as `makeConstraint` does.
  func constraint(for request: GenerationRequest) throws(Failure) -> Constraint? {
    guard let object = request.constraint else { return nil }
    let fields = try JSONFields(
      .object(object), file: "config_json", path: "constraint.", status: .invalidArgument)
    let endTokens =
      request.ignoresEndTokens ? request.stopTokens : request.stopTokens.union(text.generation.endTokens)
    return try Constraint(fields, vocabulary: try grammarVocabulary(), endTokens: endTokens)
  }

  /// A constraint over the model's tokens; its end tokens may follow a complete text.
  /// - Parameter json: as `dormouse_constraint_create` describes it.
  /// - Throws: `Failure(.invalidArgument)`, `.unsupported` for what is not enforced, `.notFound` for a model without a
  ///   tokenizer.
  public func makeConstraint(_ json: String) throws(Failure) -> Constraint {
    try Constraint(
      try JSONFields(argument: json, name: "config_json"), vocabulary: try grammarVocabulary(),
      endTokens: text.generation.endTokens)
  }
}
