import DormouseSupport
import DormouseText
import Foundation
import Testing

@testable import DormouseEngine

/// Requests and the files of a folder against transformers: `Fixtures/template/generate_folders.py` wrote the texts.
@Suite struct TemplateFolderTests {
  /// Runs `body` with a folder of `files`, and of the shipped model's other files if asked for.
  private func withFolder<Result>(
    _ files: [String: String], ofModel: Bool = false, _ body: (String) throws -> Result
  ) throws -> Result {
    let manager = FileManager.default
    let folder = NSTemporaryDirectory() + "templates-" + UUID().uuidString
    try manager.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? manager.removeItem(atPath: folder) }
    for (name, text) in files {
      let parent = URL(fileURLWithPath: "\(folder)/\(name)").deletingLastPathComponent()
      try manager.createDirectory(at: parent, withIntermediateDirectories: true)
      try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
    }
    let own = ofModel ? ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] : []
    for name in own where files[name] == nil {
      try manager.createSymbolicLink(
        atPath: "\(folder)/\(name)", withDestinationPath: "\(Fixtures.shippedModel)/\(name)")
    }
    return try body(folder)
  }

  @Test func requestsRenderAsInTheReference() throws {
    let cases = try #require(try File.readJSON(Fixtures.path("Fixtures/template/folders.json")).arrayValue)
    #expect(cases.count >= 70)
    for entry in cases {
      let request = try #require(entry["request"])
      // Parts of other types than dormouse.h knows; the text module's own tests have them.
      if request["messages"]?.arrayValue?.contains(where: { $0["content"]?.arrayValue != nil }) == true { continue }
      var files = ["tokenizer_config.json": try #require(entry["configuration"]).text()]
      for (name, text) in try #require(entry["files"]?.objectValue) { files[name] = text.stringValue }
      let expected = try #require(entry["expected"])
      try withFolder(files) { folder in
        do {
          let resources = try TextResources(folder: folder, log: .silent)
          let text = try resources.render(try ChatRequest(json: request.text())).map(\.text).joined()
          #expect(JSON.string(text) == expected, "\(entry.text())")
        } catch {
          #expect(expected.isNull, "\(error): \(entry.text())")
        }
      }
    }
  }

  private func engine(_ folder: String, _ change: (inout EngineOptions) -> Void = { _ in }) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 1
    options.withoutWeights = true
    change(&options)
    return try Engine(path: folder, options: options)
  }

  private func configuration(_ members: [(String, JSON)]) throws -> [String: String] {
    var document = try #require(try File.readJSON(Fixtures.shippedModel + "/tokenizer_config.json").objectValue)
    for (name, value) in members { document[name] = value }
    return ["tokenizer_config.json": JSON.object(document).text()]
  }

  /// Control tokens by name are control tokens; the caller's own variables of such names are text.
  @Test func tokensByNameAreControlTokens() throws {
    let files = try configuration([
      ("sep_token", "<｜User｜>"), ("extra_special_tokens", ["image_token": "<｜Assistant｜>"]),
      ("chat_template", "{{ pad_token }}{{ sep_token }}{{ image_token }}{{ messages[0].content }}"),
    ])
    try withFolder(files, ofModel: true) { folder in
      let engine = try engine(folder)
      let content = try engine.tokenize(Array("hi".utf8))
      #expect(try engine.tokenize(messages: #"[{"role":"user","content":"hi"}]"#) == [1, 1280, 1281] + content)
      let own = #"{"messages":[{"role":"user","content":"hi"}],"template_variables":{"pad_token":"<｜User｜>"}}"#
      #expect(try engine.render(messages: own) == "<｜User｜><｜User｜><｜Assistant｜>hi")
      #expect(try engine.tokenize(messages: own).filter { $0 == 1280 }.count == 1)
    }
  }

  private static let broken: [(JSON, String, Bool)] = [
    (
      "{% if messages[0].role == 'tool' %}{{ messages | from_json }}{% endif %}{{ messages[0].content }}",
      "line 1: no filter named 'from_json'", true
    ),
    ("a\n{% include 'b' %}", "line 2: the tag 'include' is not supported in a chat template", false),
    ([["name": "rag", "template": "x"]], "none of its 1 templates is called 'default'", false),
    (5, "is an integer", false),
  ]

  /// The template of text/08: a filter that is not there in a branch that no chat takes, a tag that is not there, and a
  /// list without a default. All but chats goes on, and the log says what is wrong.
  @Test(arguments: TemplateFolderTests.broken)
  func onlyChatsFailByATemplate(_ template: JSON, _ sentence: String, _ renders: Bool) throws {
    try withFolder(try configuration([("chat_template", template)]), ofModel: true) { folder in
      let lines = Locked<[String]>([])
      let engine = try engine(folder) {
        $0.withoutWeights = false
        $0.log = Log { level, line in if level == .warning { lines.withLock { $0.append(line) } } }
      }
      let warning = try #require(lines.withLock { $0 }.first { $0.contains("chat_template") })
      #expect(warning.hasPrefix(folder + "/tokenizer_config.json: chat_template"))
      #expect(warning.contains(sentence) && warning.hasSuffix("; chats that need it are refused"))
      let text = try #require(try engine.info()["text"])
      #expect(text["tokenizer"] == true && text["chat_template"] == .bool(renders))
      #expect(text["chat_template_failure"]?.stringValue?.contains(sentence) == (renders ? nil : true))
      #expect(try engine.tokenize(Array("abc".utf8)).count > 0)
      let session = try Session(engine: engine, options: SessionOptions())
      #expect(
        try session.generate(try engine.tokenize(Array("a".utf8)), configuration: #"{"max_tokens":1}"#) { _ in 0 } == 0)
      let user = #"[{"role":"user","content":"hi"}]"#
      if renders { #expect(try engine.render(messages: user) == "hi") }
      let failing = renders ? #"[{"role":"tool","content":"hi"}]"# : user
      #expect { try engine.render(messages: failing) } throws: { "\($0)".contains(sentence) }
      #expect { try session.chat(messages: failing, configuration: nil) { _ in 0 } } throws: {
        "\($0)".contains(sentence)
      }
    }
  }

  @Test func infoNamesTheTemplates() throws {
    let files = ["chat_template.jinja": "a", "additional_chat_templates/tool_use.jinja": "b"]
    try withFolder(files, ofModel: true) { folder in
      let text = try #require(try engine(folder).info()["text"])
      #expect(text["tokenizer"] == true && text["chat_template"] == true && text["chat_template_failure"] == nil)
      #expect(text["chat_templates"] == ["default", "tool_use"] && text["end_tokens"] == [1])
    }
  }

  @Test(arguments: [
    (#""continue_final_message": true, "add_generation_prompt": true"#, "exclude each other"),
    (#""continue_final_message": 1"#, "continue_final_message is 1; expected true, false or the name"),
    (#""continue_final_message": "name""#, "continue_final_message: the final message has no 'name'"),
    (#""chat_template": 5"#, "chat_template is 5; expected a string"),
    (#""chat_template": "rag""#, "no chat template is called 'rag'; there are 'default'"),
    (#""chat_templates": "rag""#, "chat_templates is not a known member; known: messages, tools,"),
  ])
  func wrongRequestsAreRefused(_ members: String, _ sentence: String) throws {
    let engine = try engine(Fixtures.shippedModel)
    #expect { try engine.render(messages: #"{"messages":[{"role":"user","content":"a"}],\#(members)}"#) } throws: {
      error in
      (error as? Failure)?.status == .invalidArgument && "\(error)".contains(sentence)
    }
  }

  /// What the model goes on with is in the session when its answer begins.
  @Test func aSessionGoesOnWithABegunAnswer() throws {
    let engine = try engine(Fixtures.shippedModel) { $0.withoutWeights = false }
    let session = try Session(engine: engine, options: SessionOptions())
    let messages = #"[{"role":"user","content":"What is 7 plus 5?"},{"role":"assistant","content":"7 plus 5"}]"#
    let chat = #"{"messages":\#(messages),"continue_final_message":true}"#
    #expect(try engine.render(messages: chat).hasSuffix("<｜Assistant｜>7 plus 5"))
    let answer = Locked("")
    _ = try session.chat(messages: chat, configuration: #"{"temperature":0,"max_tokens":8}"#) { event in
      answer.withLock { $0 += String(decoding: event.text, as: UTF8.self) }
      return 0
    }
    #expect(answer.withLock { $0 } == " is 12.")
  }
}

extension Engine {
  fileprivate func tokenize(_ bytes: [UInt8]) throws -> [Int32] {
    try bytes.withUnsafeBytes { try tokenize($0, addSpecial: false, parseSpecial: false) }
  }
}
