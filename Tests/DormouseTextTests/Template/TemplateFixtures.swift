import DormouseSupport

@testable import DormouseText

/// The fixtures of the chat template, found beside the sources.
enum TemplateFixtures {
  static let folder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    return parts.joined(separator: "/") + "/Fixtures/template"
  }()

  static func json(_ name: String) throws -> JSON { try File.readJSON("\(folder)/\(name)") }

  static func text(_ name: String) throws -> String {
    String(decoding: try File(path: "\(folder)/\(name)").readAll(limit: 1 << 20), as: UTF8.self)
  }

  /// The text of a rendered prompt.
  static func render(
    _ source: String, messages: JSON = [], variables: JSONObject = JSONObject(), markup: JSONObject = JSONObject()
  ) throws(Failure) -> [PromptRun] {
    try ChatTemplate(source: source, file: "test.jinja").render(
      messages: messages, variables: variables, markupVariables: markup)
  }
}

extension PromptRun {
  var isMarkup: Bool { if case .markup = self { true } else { false } }
}

extension [PromptRun] {
  var joined: String { map(\.text).joined() }
}
