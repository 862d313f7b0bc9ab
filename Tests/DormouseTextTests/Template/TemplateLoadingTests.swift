import DormouseSupport
import Foundation
import Testing

@testable import DormouseText

@Suite struct TemplateLoadingTests {
  private func withFolder<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
    let folder = NSTemporaryDirectory() + "template-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, text) in files { try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8) }
    return try body(folder)
  }

  /// What the template of a folder with `files` renders; nil when it has none.
  private func render(_ files: [String: String], tools: JSON = .null) throws -> String? {
    try withFolder(files) { folder in
      try ChatTemplate.load(folder: folder)?.render(
        messages: [], variables: JSONObject(["tools": tools]), markupVariables: JSONObject()
      ).joined
    }
  }

  @Test func aFolderMayHaveNone() throws {
    #expect(try render([:]) == nil)
    #expect(try render(["tokenizer_config.json": "{}"]) == nil)
    #expect(try render(["tokenizer_config.json": #"{"chat_template": null}"#]) == nil)
  }

  @Test func theFileComesFirst() throws {
    let configuration = #"{"chat_template": "from json"}"#
    #expect(try render(["tokenizer_config.json": configuration]) == "from json")
    let both = ["tokenizer_config.json": configuration, "chat_template.jinja": "from file"]
    #expect(try render(both) == "from file")
  }

  @Test func namedTemplatesAreChosenByTools() throws {
    let text = """
      {"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "{{ tools|length }}"}]}
      """
    #expect(try render(["tokenizer_config.json": text]) == "plain")
    #expect(try render(["tokenizer_config.json": text], tools: []) == "plain")
    #expect(try render(["tokenizer_config.json": text], tools: [["name": "x"]]) == "1")
  }

  @Test(arguments: [
    (#"{"chat_template": 5}"#, "chat_template is an integer"),
    (#"{"chat_template": [{"name": "x"}]}"#, "chat_template[0]: expected an object"),
    (#"{"chat_template": [{"name": "x", "template": "y"}]}"#, "is called 'default'"),
    (#"{"chat_template": "\n{% if %}"}"#, "tokenizer_config.json: chat_template: line 2: "),
  ])
  func namesWhatIsWrong(_ configuration: String, _ message: String) throws {
    try withFolder(["tokenizer_config.json": configuration]) { folder -> Void in
      #expect { try ChatTemplate.load(folder: folder) } throws: {
        ($0 as? Failure)?.status == .malformed && "\($0)".contains(message)
      }
    }
  }

  /// A message of a megabyte goes through a template that splits and strips it in well under a second (optimised);
  /// quadratic work would take hours.
  @Test func longMessagesTakeLinearTime() throws {
    let long = String(repeating: "<think>é</think> word\n", count: 50_000)
    let template = try ChatTemplate(source: try TemplateFixtures.text("chat/glm-4.5.jinja"), file: "glm-4.5.jinja")
    let start = ContinuousClock.now
    let runs = try template.render(
      messages: [["role": "user", "content": .string(long)], ["role": "assistant", "content": .string(long)]],
      variables: JSONObject(["add_generation_prompt": true]), markupVariables: JSONObject())
    #expect(runs.joined.utf8.count > long.utf8.count)
    #expect(ContinuousClock.now - start < .seconds(60))
  }
}
