import DormouseSupport
import Testing

@testable import DormouseText

/// What jinja2 renders, as transformers sets it up: `Fixtures/template/generate.py` wrote the expected texts.
@Suite struct TemplateReferenceTests {
  @Test func smallTemplatesRenderAsInTheReference() throws {
    let fixture = try TemplateFixtures.json("cases.json")
    let variables = try #require(fixture["variables"]?.objectValue)
    let messages = try #require(variables["messages"])
    let cases = try #require(fixture["cases"]?.arrayValue)
    #expect(cases.count >= 300)
    for entry in cases {
      let source = try #require(entry["source"]?.stringValue)
      compare(source, entry["expected"], label: source) { () throws(Failure) in
        try TemplateFixtures.render(source, messages: messages, variables: variables)
      }
    }
  }

  @Test func chatTemplatesRenderAsInTheReference() throws {
    let fixture = try TemplateFixtures.json("chat.json")
    let options = try #require(fixture["options"]?.arrayValue)
    let markup = try #require(fixture["markup"]?.objectValue)
    var templates: [String: ChatTemplate] = [:]
    for entry in try #require(fixture["cases"]?.arrayValue) {
      let name = try #require(entry["template"]?.stringValue)
      let conversation = try #require(entry["conversation"]?.stringValue)
      if templates[name] == nil {
        templates[name] = try ChatTemplate(source: try TemplateFixtures.text("chat/\(name)"), file: name)
      }
      let template = try #require(templates[name])
      let messages = try #require(fixture["conversations"]?[conversation])
      for (index, expected) in try #require(entry["expected"]?.arrayValue).enumerated() {
        let variables = options[index].objectValue ?? JSONObject()
        compare(name, expected, label: "\(name), \(conversation), options \(index)") { () throws(Failure) in
          try template.render(messages: messages, variables: variables, markupVariables: markup)
        }
      }
    }
    #expect(templates.count >= 8)
  }

  private func compare(
    _ source: String, _ expected: JSON?, label: String, _ render: () throws(Failure) -> [PromptRun]
  ) {
    do {
      let text = try render().joined
      guard let wanted = expected?.stringValue else {
        Issue.record("\(label): the reference fails, this rendered \(text.debugDescription)")
        return
      }
      #expect(ExactString(text) == ExactString(wanted), "\(label)")
    } catch {
      if let wanted = expected?.stringValue {
        Issue.record("\(label): \(error.message); expected \(wanted.debugDescription)")
      }
      // Where the reference fails too, it is the template or what it was given, and not this library.
      #expect([.invalidArgument, .malformed, .unsupported].contains(error.status), "\(label): \(error)")
    }
  }
}
