import DormouseSupport
import Testing

@testable import DormouseText

/// An assistant's own `<think>...</think>`, and messages that the model goes on with.
@Suite struct TemplateReasoningTests {
  private static let reading =
    "{% for m in messages %}{% if m.reasoning_content is defined %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    + "{{ m.content }}|{% endfor %}"

  private func render(_ source: String, _ messages: [JSON], continued: String? = nil) throws -> [PromptRun] {
    let template = try ChatTemplate(source: source, file: "t.jinja")
    let templates = ChatTemplates(file: "t", entries: [("default", .success(template))], tokens: JSONObject())
    return try templates.render(Chat(messages: messages, continuedField: continued))
  }

  private static func message(_ content: String, _ role: String = "assistant") -> JSON {
    ["role": .string(role), "content": .string(content)]
  }

  @Test(arguments: [
    ("<think>x</think>b", "<think>x</think>b|"), ("<think>\nx\ny\n</think>\n\n b", "<think>x\ny</think> b|"),
    (" \n<think></think>", "<think></think>|"),
    ("<think>a</think>b<think>c</think>", "<think>a</think>b<think>c</think>|"),
  ])
  func theBeginningOfAContentIsReasoning(_ content: String, _ expected: String) throws {
    let runs = try render(Self.reading, [Self.message(content)])
    #expect(ExactString(runs.joined) == ExactString(expected))
    // The tags are the template's now, and so may be control tokens.
    #expect(runs.first == .markup(runs.count > 1 ? "<think>" : "<think></think>|"))
  }

  @Test(arguments: ["a<think>x</think>b", "<think>x", "x</think>b", "<Think>x</think>b"])
  func anythingElseStaysContent(_ content: String) throws {
    let runs = try render(Self.reading, [Self.message(content)])
    #expect(runs == [.content(content), .markup("|")])
  }

  @Test func onlyAssistantsAreReadSoAndOnlyWithoutReasoningOfTheirOwn() throws {
    let user = try render(Self.reading, [Self.message("<think>x</think>b", "user")])
    #expect(user.first == .content("<think>x</think>b"))
    let own: JSON = ["role": "assistant", "content": "<think>x</think>b", "reasoning": "r"]
    #expect(try render(Self.reading, [own]).joined == "<think>r</think><think>x</think>b|")
  }

  /// A template that knows no reasoning gets the content as it is, and as plain text.
  @Test func otherTemplatesGetTheWholeContent() throws {
    let runs = try render("{% for m in messages %}{{ m.content }}{% endfor %}", [Self.message("<think>x</think>b")])
    #expect(runs == [.content("<think>x</think>b")])
  }

  /// A template says of a content with reasoning what it says of the two apart; and of the published templates that
  /// read `reasoning_content`, those that split contents themselves (GLM's) say what they say in the reference.
  @Test func publishedTemplatesSayTheSame() throws {
    let fixture = try TemplateFixtures.json("chat.json")
    let options = try #require(fixture["options"]?.arrayValue)
    let markup = try #require(fixture["markup"]?.objectValue)
    let messages = try #require(fixture["conversations"]?["multi-turn"]?.arrayValue)
    let apart: JSON = ["role": "assistant", "reasoning_content": "sum", "content": "2"]
    let split = messages.map { $0["content"]?.stringValue?.hasPrefix("<think>") == true ? apart : $0 }
    var readers = 0
    var splitters = 0
    for entry in try #require(fixture["cases"]?.arrayValue) where entry["conversation"] == "multi-turn" {
      let name = try #require(entry["template"]?.stringValue)
      let template = try ChatTemplate(source: try TemplateFixtures.text("chat/\(name)"), file: name)
      let templates = ChatTemplates(file: name, entries: [("default", .success(template))], tokens: markup)
      let splits = name.hasPrefix("glm") || !template.readsReasoning
      readers += template.readsReasoning ? 1 : 0
      splitters += template.readsReasoning && splits ? 1 : 0
      for (index, expected) in try #require(entry["expected"]?.arrayValue).enumerated() {
        let variables = options[index].objectValue ?? JSONObject()
        let text = try templates.render(Chat(messages: messages, variables: variables)).joined
        if splits { #expect(text == expected.stringValue, "\(name), options \(index)") }
        guard template.readsReasoning else { continue }
        let other = try templates.render(Chat(messages: split, variables: variables)).joined
        #expect(text == other, "\(name), options \(index)")
      }
    }
    #expect(readers >= 4 && splitters >= 2)
  }

  @Test func whatIsGoneOnWithStaysContentAndTheRestMarkup() throws {
    let source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    let runs = try render(source, [Self.message("a<|end|>", "user"), Self.message("b <|end|>")], continued: "content")
    #expect(
      runs == [
        .markup("<|user|>"), .content("a<|end|>"), .markup("<|end|><|assistant|>"), .content("b <|end|>"),
      ])
  }

  @Test func reasoningIsSplitBeforeTheContentIsGoneOnWith() throws {
    let runs = try render(Self.reading, [Self.message("<think>x</think>The answ")], continued: "content")
    #expect(runs.joined == "<think>x</think>The answ")
    #expect(try render(Self.reading, [Self.message("<think>x")], continued: "content").joined == "<think>x")
  }

  @Test func theLastTextOfSeveralPartsIsGoneOnWith() throws {
    let source = "{% for p in messages[0].content %}{{ p.text if p.text else '<image>' }}{% endfor %}.</s>"
    let parts: JSON = [
      ["type": "text", "text": "a"], ["type": "image"], ["type": "text", "text": "b"], ["type": "image"],
    ]
    let message: JSON = ["role": "assistant", "content": parts]
    #expect(try render(source, [message], continued: "content").joined == "a<image>b")
    #expect {
      try render(source, [["role": "assistant", "content": [["type": "image"]]]], continued: "content")
    } throws: {
      ($0 as? Failure) == Failure(.invalidArgument, "continue_final_message: the final message has no text to continue")
    }
  }

  @Test(arguments: [
    ("{{ messages[0].content }}", "name", "the final message has no 'name' to continue"),
    ("{{ messages[0].content }}", "number", "t.jinja does not read 'number' of a message"),
    ("{{ messages[0].number }}", "number", "'number' of the final message is an integer, not a string"),
    ("{{ messages[0].content[:1] }}", "content", "the final message does not appear as it is in the prompt"),
  ])
  func saysWhyAMessageCannotBeGoneOnWith(_ source: String, _ field: String, _ sentence: String) throws {
    let message: JSON = ["role": "assistant", "content": "begun", "number": 5]
    #expect { try render(source, [message], continued: field) } throws: { error in
      (error as? Failure)?.status == .invalidArgument && "\(error)".hasPrefix("continue_final_message: \(sentence)")
    }
  }
}
