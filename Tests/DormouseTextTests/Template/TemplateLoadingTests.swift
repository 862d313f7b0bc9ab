import DormouseSupport
import Foundation
import Testing

@testable import DormouseText

@Suite struct TemplateLoadingTests {
  private func withFolder<Result>(_ files: [String: String], _ body: (String) throws -> Result) throws -> Result {
    let folder = NSTemporaryDirectory() + "template-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for (name, text) in files {
      let path = "\(folder)/\(name)"
      let parent = URL(fileURLWithPath: path).deletingLastPathComponent()
      try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
      try text.write(toFile: path, atomically: false, encoding: .utf8)
    }
    return try body(folder)
  }

  /// What the template of a folder with `files` renders; nil when it has none.
  private func render(_ files: [String: String], tools: JSON = .null, name: String? = nil) throws -> String? {
    try withFolder(files) { folder in
      try ChatTemplates.load(folder: folder)?.render(
        Chat(messages: [], variables: JSONObject(["tools": tools]), templateName: name)
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
    #expect(try render(["tokenizer_config.json": text], tools: []) == "0")
    #expect(try render(["tokenizer_config.json": text], tools: [["name": "x"]]) == "1")
    #expect(try render(["tokenizer_config.json": text], tools: [["name": "x"]], name: "default") == "plain")
  }

  @Test func aNameThatNoTemplateHasIsRefused() throws {
    let files = ["chat_template.jinja": "a", "additional_chat_templates/rag.jinja": "b"]
    #expect(try render(files, name: "rag") == "b")
    #expect { try render(files, name: "x\n") } throws: { error in
      (error as? Failure)?.status == .invalidArgument
        && "\(error)".hasSuffix("no chat template is called 'x\\u{a}'; there are 'default', 'rag'")
    }
  }

  /// One that cannot be read is in the way of its own chats alone.
  @Test func aBrokenTemplateLeavesTheOthers() throws {
    let files = ["chat_template.jinja": "\n{% nope %}", "additional_chat_templates/rag.jinja": "b"]
    try withFolder(files) { folder in
      let templates = try #require(try ChatTemplates.load(folder: folder))
      #expect(templates.names == ["rag"])
      let sentence = "\(folder)/chat_template.jinja: line 2: unknown tag 'nope'"
      #expect(templates.failure == Failure(.unsupported, sentence))
      #expect(templates.failures == [Failure(.unsupported, sentence)])
      #expect(throws: Failure(.unsupported, sentence)) { try templates.render(Chat(messages: [])) }
      #expect(try templates.render(Chat(messages: [], templateName: "rag")).joined == "b")
    }
  }

  /// As in jinja2, which only looks for a filter inside a branch when the branch is taken.
  @Test func aFilterThatIsNotThereMattersWhereItIsUsed() throws {
    let source = "{% if messages %}\n{{ messages | from_json }}{{ 1 is weird }}{% else %}x{{ 1 | pprint }}{% endif %}"
    let template = try ChatTemplate(source: "{{ 1 if true else 2 | wordwrap }}" + source, file: "t.jinja")
    #expect(template.missing?.message == "t.jinja: line 1: the filter 'wordwrap' is not supported in a chat template")
    func render(_ messages: JSON) throws { _ = try template.render(messages: messages) }
    #expect(throws: Failure(.unsupported, "t.jinja: line 2: no filter named 'from_json'")) { try render([["a": 1]]) }
    #expect(throws: Failure(.unsupported, "t.jinja: line 2: the filter 'pprint' is not supported in a chat template")) {
      try render([])
    }
  }

  @Test func tooManyFilesAreRefused() throws {
    var files = ["chat_template.jinja": "a"]
    for number in 0..<65 { files["additional_chat_templates/t\(number).jinja"] = "b" }
    #expect(try render(files) == "a")
    #expect { try render(files, tools: []) } throws: { "\($0)".contains("more than 64 files end in .jinja") }
  }

  @Test func aMethodThatIsNotThereIsNamed() throws {
    for (call, name) in [("encode('utf-8')", "encode"), ("isidentifier()", "isidentifier")] {
      #expect(throws: Failure(.unsupported, "test.jinja: line 1: the method str.\(name) is not supported")) {
        try TemplateFixtures.render("{{ 'x'.\(call) }}")
      }
    }
  }

  @Test(arguments: [
    "{{ x + 1 }}", "{{ 1 - x }}", "{{ x * 2 }}", "{{ x // 3 }}", "{{ x % 3 }}", "{{ x ** 2 }}", "{{ x / 2 }}",
    "{{ x is odd }}", "{{ x is divisibleby 3 }}", "{{ [1] * x }}", "{{ x * 'a' }}", "{{ range(x) }}", "{{ 'a'[:x] }}",
    "{{ 'a'.center(x) }}", "{{ x | round(-1) }}", "{{ '%x' % x }}", "{{ '{:b}'.format(x) }}", "{{ [x, 1] | sum }}",
  ])
  func nobodyCalculatesWithIntegersBeyond64Bits(_ source: String) throws {
    let variables = JSONObject(["x": .largeInteger("18446744073709551615")])
    #expect(throws: Failure(.unsupported, "test.jinja: line 1: an integer does not fit 64 bits")) {
      try TemplateFixtures.render(source, variables: variables)
    }
  }

  @Test(arguments: [
    (#"{"chat_template": 5}"#, "chat_template is an integer"),
    (#"{"chat_template": [{"name": "x"}]}"#, "chat_template[0]: expected an object"),
    (#"{"chat_template": [{"name": "x", "template": "y"}]}"#, "is called 'default'"),
    (#"{"chat_template": "\n{% if %}"}"#, "tokenizer_config.json: chat_template: line 2: "),
  ])
  func namesWhatIsWrong(_ configuration: String, _ message: String) throws {
    try withFolder(["tokenizer_config.json": configuration]) { folder in
      let templates = try #require(try ChatTemplates.load(folder: folder))
      #expect { try templates.render(Chat(messages: [])) } throws: {
        ($0 as? Failure)?.status == .malformed && "\($0)".contains(message)
      }
      #expect(templates.failure?.message.contains(message) == true)
      #expect(templates.failures == [try #require(templates.failure)])
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
