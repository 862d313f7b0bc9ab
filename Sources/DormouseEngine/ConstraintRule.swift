import DormouseGrammar
import DormouseSupport

/// Rules out the tokens with which no text of the language goes on.
struct ConstraintRule: LogitsRule {
  let constraint: Constraint

  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    logits.ruleOut(allBut: try constraint.allowed())
  }

  func record(_ token: Int32) throws(Failure) { try constraint.accept(CollectionOfOne(token)) }
}

extension UnsafeMutableBufferPointer<Float> {
  /// Rules out all tokens but these, and logits that no token stands behind.
  func ruleOut(allBut allowed: TokenSet) {
    // Many at a time: most words of a mask allow nothing, or everything.
    for (index, word) in allowed.words.enumerated() where word != .max {
      let first = 32 * index
      for bit in 0..<Swift.max(0, Swift.min(32, count - first)) where word >> UInt32(bit) & 1 == 0 {
        self[first + bit] = -.infinity
      }
    }
    for index in Swift.min(32 * allowed.words.count, count)..<count { self[index] = -.infinity }
  }

  /// The same, but for some tokens beside them.
  func ruleOut(allBut allowed: TokenSet, _ others: some Sequence<Int32>) {
    let kept = others.compactMap { indices.contains(Int($0)) ? (token: Int($0), logit: self[Int($0)]) : nil }
    ruleOut(allBut: allowed)
    for (token, logit) in kept { self[token] = logit }
  }
}

/// What a config says of the answer's form.
struct ConstraintRequest: Sendable, Equatable {
  /// As `dormouse_constraint_create` takes it.
  let object: JSONObject
  /// Where it stands in the config, with the final dot.
  let path: String

  /// Of `constraint`, or of OpenAI's `response_format`; nil for answers of any form.
  /// - Throws: `Failure(.invalidArgument)`.
  static func read(_ fields: JSONFields) throws(Failure) -> ConstraintRequest? {
    guard let format = try fields.fields("response_format") else {
      return try fields.fields("constraint").map { ConstraintRequest(object: $0.object, path: $0.path) }
    }
    guard !fields.has("constraint") else {
      throw Failure(.invalidArgument, "\(fields.file): response_format and constraint exclude each other")
    }
    func schema(_ value: JSON) -> ConstraintRequest {
      ConstraintRequest(object: JSONObject(["json_schema": value]), path: format.path)
    }
    let type = try format.string("type")
    switch type {
    case "text": return nil
    case "json_object": return schema(["type": "object"])
    case "json_schema":
      guard let named = try format.fields("json_schema") else {
        throw Failure(.invalidArgument, "\(fields.file): response_format.json_schema is missing")
      }
      try named.refuseMembers(besides: ["name", "description", "schema", "strict"])
      return schema(named.value("schema") ?? .object(JSONObject()))
    default:
      throw format.wrong("type", .string(type), expected: "text, json_object or json_schema")
    }
  }
}
