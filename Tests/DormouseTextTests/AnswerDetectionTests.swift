import DormouseSupport
import DormouseText
import Testing

/// Which format a model writes, and what its prompt has begun.
@Suite struct AnswerDetectionTests {
  /// Lines of the published templates, and of what others publish for models that have none.
  static let templates: [(String, String?)] = [
    (
      "{{'<｜Assistant｜><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + name + '\\n```json'}}",
      "deepseek-v3"
    ),
    (
      """
      {%- if '</think>' in content -%}{%- set content = content.split('</think>')[-1] -%}{%- endif -%}
      {{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>' + tool['type'] + '<｜tool▁sep｜>' + name + '\\n' + '```json' + '\\n'}}
      """, "deepseek-r1"
    ),
    (
      """
      {{'<｜Assistant｜></think>'}}{{'<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>'+ tool['function']['name'] + \
      '<｜tool▁sep｜>' + tool['function']['arguments'] + '<｜tool▁call▁end｜>'}}
      """, "deepseek-v3.1"
    ),
    ("{%- set dsml_token = \"｜DSML｜\" -%}<{{ dsml_token }}function_calls>", "deepseek-v3.2"),
    ("<｜DSML｜tool_calls>", "deepseek-v4"),
    ("<｜DSML｜ calls>", "deepseek-v4.1"),
    ("{%- set dsml = '｜DSML｜' %}<{{ dsml }} calls>", "deepseek-v4.1"),
    ("<|tool_calls_section_begin|>{{ '<think></think>' }}", "kimi-k2"),
    ("<tool_call>{function-name}<arg_key>{arg-key-1}</arg_key>{{ '<think></think>' }}", "glm-4.7"),
    ("{{ '<think>' + reasoning + '</think>' }}", "reasoning"),
    ("{{ message.content }}", nil),
  ]

  @Test func findsTheFormatOfATemplate() throws {
    let tokenizer = try AnswerFixtures.tokenizer([])
    for (template, name) in AnswerDetectionTests.templates {
      #expect(AnswerFormats.detected(tokenizer: tokenizer, template: template)?.name == name, "\(template)")
    }
    #expect(AnswerFormats.detected(tokenizer: tokenizer, template: nil) == nil)
  }

  @Test func findsTheFormatOfTokens() throws {
    let names = [
      ["<|tool_calls_section_begin|>"]: "kimi-k2", ["<arg_key>"]: "glm-4.7", ["｜DSML｜"]: "deepseek-v3.2",
      ["｜DSML｜", "<｜latest_reminder｜>"]: "deepseek-v4", ["<think>", "</think>"]: nil,
    ]
    for (markers, name) in names {
      let tokenizer = try AnswerFixtures.tokenizer(markers)
      #expect(AnswerFormats.detected(tokenizer: tokenizer, template: nil)?.name == name)
      // Kimi K2's first template says nothing of calls.
      if markers.count == 1, name != "deepseek-v3.2" {
        #expect(AnswerFormats.detected(tokenizer: tokenizer, template: "{{ content }}")?.name == name)
      }
    }
  }

  @Test func namesAllFormats() throws {
    let tokenizer = try AnswerFixtures.tokenizer()
    for name in AnswerFormats.names {
      let format = try AnswerFormats.named(name, tokenizer: tokenizer)
      #expect(format.name == name)
      let reasons = !["plain", "deepseek-v3"].contains(name)
      #expect(format.reasoningEnd == (reasons ? [try #require(AnswerFixtures.id(of: "</think>"))] : []))
    }
    let bytes = try AnswerFormats.named("kimi-k2", tokenizer: AnswerFixtures.tokenizer([])).reasoningEnd
    #expect(bytes == "</think>".utf8.map(Int32.init))
    do {
      _ = try AnswerFormats.named("deepseek", tokenizer: tokenizer)
      Issue.record("'deepseek' is a format")
    } catch {
      #expect(error.message.hasPrefix("'deepseek' is no format of answers; there are plain, reasoning, deepseek-v3, "))
    }
  }

  /// What the answer begins with, by the end of its prompt.
  @Test(arguments: [AnswerFixtures.markers, []]) func followsThePrompt(markers: [String]) throws {
    let tokenizer = try AnswerFixtures.tokenizer(markers)
    let format = try AnswerFormats.named("deepseek-v3.1", tokenizer: tokenizer)
    func parts(_ prompt: String, _ answer: String) throws -> [[String]] {
      let prompt = try tokenizer.encode(prompt, parseSpecial: true, addSpecialTokens: false)
      let answer = try tokenizer.encode(answer, parseSpecial: true, addSpecialTokens: false)
      var stream = TokenStream(tokenizer: tokenizer, skipSpecial: true)
      var parser = format.makeParser(after: prompt, callsTools: false)
      var parts = AnswerParts()
      for id in answer { parser.append(id, text: stream.append(id), to: &parts) }
      parser.finish(text: stream.finish(), to: &parts)
      var joined = JoinedParts()
      joined.append(parts)
      return AnswerFormatTests.summary(joined)
    }
    let both = [["reasoning", "a"], ["content", "b"]]
    #expect(try parts("<｜Assistant｜><think>", "a</think>b") == both)
    #expect(try parts("<｜Assistant｜><think>\n", "a</think>b") == both)
    #expect(try parts("<｜Assistant｜><think>", "<think>a</think>b") == both)
    #expect(try parts("<｜Assistant｜>", "<think>a</think>b") == both)
    #expect(try parts("<｜Assistant｜></think>", "a</think>b") == [["content", "a</think>b"]])
    #expect(try parts("<｜Assistant｜>", "\n<think>a") == [["content", "\n"], ["reasoning", "a"]])
    let nested = [["reasoning", "a<think>b"], ["content", "c</think>d"]]
    #expect(try parts("<think>", "a<think>b</think>c</think>d") == nested)
    #expect(try parts("<｜Assistant｜>", "a <think>b</think>") == [["content", "a <think>b</think>"]])
    #expect(try parts("<think>never closed<｜Assistant｜>", "a") == [["content", "a"]])
    guard !markers.isEmpty else { return }
    let continued = [["reasoning", "<think>a"], ["content", "b"]]
    #expect(try parts("<｜Assistant｜><think>so far", "<think>a</think>b") == continued)
    #expect(try parts("<think>x</think>so far", "<think>") == [["content", "<think>"]])
    // Only a token ends it, not what looks like one.
    let begin = try #require(AnswerFixtures.id(of: "<think>"))
    let joined = JoinedParts(
      format.makeParser(after: [begin], callsTools: true), [.text("a</think>b"), .marker("</think>"), .text("c")])
    #expect(AnswerFormatTests.summary(joined) == [["reasoning", "a</think>b"], ["content", "c"]])
  }

  /// A character that the tokens before a marker have not completed stays before it.
  @Test func keepsAnUnfinishedCharacterBeforeItsMarker() throws {
    let format = try AnswerFormats.named("reasoning", tokenizer: AnswerFixtures.tokenizer())
    let begin = try #require(AnswerFixtures.id(of: "<think>"))
    let end = try #require(AnswerFixtures.id(of: "</think>"))
    var parser = format.makeParser(after: [begin], callsTools: false)
    var parts = AnswerParts()
    parser.append(end, text: Array("\u{FFFD}</think>".utf8), to: &parts)
    parser.finish(text: Array("x".utf8), to: &parts)
    var joined = JoinedParts()
    joined.append(parts)
    #expect(AnswerFormatTests.summary(joined) == [["reasoning", "\u{FFFD}"], ["content", "x"]])
  }
}
