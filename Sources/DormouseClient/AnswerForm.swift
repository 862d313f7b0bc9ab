internal import CDormouse
import FoundationEssentials

/// The form that an answer has: tokens with which no text of that form goes on are ruled out. docs/constraints.md tells
/// what may stand in each.
public enum AnswerForm: Sendable, Equatable {
  /// A value that this JSON schema allows, with members in the schema's own order.
  case jsonSchema(String)
  /// A text that the regular expression matches from its beginning to its end.
  case regex(String)
  /// A text of `root` of this grammar in GBNF.
  case grammar(String)

  /// The object that `dormouse_constraint_create` takes. A schema stands in it as it was written: the order of its members
  /// counts, and every digit.
  var json: String {
    get throws(DormouseError) {
      switch self {
      case .jsonSchema(let schema): "{\"json_schema\":\(schema)}"
      case .regex(let pattern): try AnswerForm.object("regex", pattern)
      case .grammar(let grammar): try AnswerForm.object("grammar", grammar)
      }
    }
  }

  private static func object(_ name: String, _ text: String) throws(DormouseError) -> String {
    do {
      return String(decoding: try JSONEncoder().encode([name: text]), as: UTF8.self)
    } catch {
      throw DormouseError(.invalidArgument, "\(name) can't be written as JSON: \(error)")
    }
  }

  /// The members of `configuration`, an object, and this form.
  func added(to configuration: String) throws(DormouseError) -> String {
    adding("constraint", try json, to: configuration)
  }
}

extension OpenEngine {
  /// Looks whether answers can be held to a form, before any is asked for. Works without weights too.
  /// - Throws: `invalidArgument` for what is no schema, pattern or grammar, `unsupported` for what is not enforced,
  ///   `notFound` where the model has no tokenizer.
  public func check(_ form: AnswerForm) throws(DormouseError) {
    let json = try form.json
    let constraint = try Call.open("constraint") { dormouse_constraint_create($0, handle, json, $1) }
    dormouse_constraint_free(constraint)
  }
}
