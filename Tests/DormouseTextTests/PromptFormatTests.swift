import DormouseSupport
import Testing

@testable import DormouseText

/// Media among the runs of a prompt.
@Suite struct PromptFormatTests {
  private func render(_ source: String, _ content: String, _ placeholders: [String]) throws -> [PromptRun] {
    let template = try ChatTemplate(source: source, file: "t.jinja")
    let format: any PromptFormat = ChatTemplates(
      file: "t", entries: [("default", .success(template))], tokens: JSONObject())
    let chat = Chat(messages: [["role": "user", "content": .string(content)]], mediaPlaceholders: placeholders)
    return try format.render(chat, interruption: .never)
  }

  @Test func placeholdersOfTheTemplateBecomeMedia() throws {
    let source = "<a>{{ messages[0].content }}<p><é></a><p>"
    #expect(
      try render(source, "<p>x<é>", ["<p>", "<é>", "<p>"]) == [
        .markup("<a>"), .content("<p>x<é>"), .media(0), .media(1), .markup("</a>"), .media(2),
      ])
    // In the order of the media; one that is not shown, and those behind it, are left out.
    #expect(
      try render(source, "x", ["<é>", "<é>", "<p>"])
        == [.markup("<a>"), .content("x"), .markup("<p>"), .media(0), .markup("</a><p>")])
    let text: [PromptRun] = [.markup("<a>"), .content("x"), .markup("<p><é></a><p>")]
    #expect(try render(source, "x", []) == text)
    #expect(try render(source, "x", [""]) == text)
  }

  @Test func aPlaceholderAcrossTheBorderOfContentIsText() throws {
    #expect(
      try render("<{{ messages[0].content }}>", "p>|<p", ["<p>"])
        == [.markup("<"), .content("p>|<p"), .markup(">")])
    #expect(try render("{{ '<' }}{{ 'p>' }}", "", ["<p>"]) == [.media(0)])
  }

  /// The ids around media are those of a prompt in which their tokens are written out, as the reference's processors do.
  @Test(arguments: [
    ("deepseek-v2", "<｜▁pad▁｜>"), ("deepseek-v3", "<｜▁pad▁｜>"), ("glm-4", "[MASK]"), ("kimi", "[BOS]"),
    ("mixed", "<｜User｜>"), ("mixed", "</think>"),
  ])
  func idsAreThoseOfTokensWrittenOut(name: String, token: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let id = try #require(tokenizer.id(of: token))
    let strings = try TokenizerFixtures.strings()
    let words = ["", " ", "\n\n ", "a", " b\u{3000}", "<", "x "]
    var random = RandomGenerator(seed: 5)
    for round in 0..<400 {
      let runs = (0..<8).map { _ -> PromptRun in
        switch random.next() % 4 {
        case 0: .content(strings[Int(random.next() % UInt64(strings.count))])
        case 1: .content(words[Int(random.next() % UInt64(words.count))])
        case 2: .markup(words[Int(random.next() % UInt64(words.count))])
        default: .media(0)
        }
      }
      let written = try tokenizer.encode(runs.map { $0 == .media(0) ? .markup(token) : $0 })
      let expected = written.first?.split(separator: id, omittingEmptySubsequences: false).map { Array($0) }
      #expect(try tokenizer.encode(runs, mediaTokens: [id]) == expected, "round \(round): \(runs)")
    }
  }
}
