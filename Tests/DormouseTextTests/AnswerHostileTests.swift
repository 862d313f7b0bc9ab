import DormouseSupport
import DormouseText
import Testing

/// Answers that mean harm or mean nothing: read in linear time, and given back.
@Suite struct AnswerHostileTests {
  /// Texts that are repeated to 256 KiB; others are to 4 KiB.
  private static let long: Set<String> = ["<", "\n", "<tool_cal"]

  /// Texts to be repeated, behind what begins each place that a parser can be in.
  static let repeated = [
    "<", "\n", " ", "</", "<think", "</thin", "<｜tool▁calls▁begin", "<｜DSML｜invok", "<|tool_call_beg", "<tool_cal",
    "\"", "\\", "{", "[", ">", "name=\"", "</arg_valu", "</｜DSML｜param", "`", "🙂", "<tool_call>",
    "<｜tool▁call▁begin｜>",
    "<|tool_call_begin|>", "<｜DSML｜invoke", "<think>", "</think>", "<tool_call>f<arg_key>",
  ]

  static let begins: [String: [String]] = [
    "deepseek-r1": [
      "", "<think>", "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>",
      "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n",
      "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": \"",
      "<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}", "<｜tool▁call▁begin｜>f<｜tool▁call▁begin｜>f",
    ],
    "deepseek-v4": [
      "", "x", "<｜DSML｜tool_calls>", "<｜DSML｜invoke", "<｜DSML｜invoke name=\"", "<｜DSML｜invoke name=\"f\">",
      "<｜DSML｜invoke name=\"f\"><｜DSML｜parameter",
      "<｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\" string=\"true\">",
      "<｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\" string=\"false\">", "<｜DSML｜invoke name=\"f\">{\"a\": [",
    ],
    "kimi-k2": ["", "<think>", "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\": \""],
    "glm-4.7": [
      "", "<tool_call>", "<tool_call>f", "<tool_call>f<arg_key>", "<tool_call>f<arg_key>a</arg_key>",
      "<tool_call>f<arg_key>a</arg_key><arg_value>",
    ],
  ]

  @Test(.timeLimit(.minutes(10)), arguments: begins.keys.sorted(), [1, 7])
  func readsLongTextsInLinearTime(family: String, tokenLength: Int) throws {
    let format = try AnswerFormats.named(family, tokenizer: AnswerFixtures.tokenizer([]))
    for begin in try #require(AnswerHostileTests.begins[family]) {
      for text in AnswerHostileTests.repeated {
        var parser = format.makeParser(after: [], callsTools: true)
        var parts = AnswerParts()
        parser.append(0, text: Array(begin.utf8), to: &parts)
        // Pieces of the text at any place, as long as characters stay whole.
        let scalars = Array(text.unicodeScalars.map { Array(String($0).utf8) })
        var count = 0
        var index = 0
        var given = 0
        let length = AnswerHostileTests.long.contains(text) && tokenLength > 1 ? 1 << 18 : 1 << 12
        while count < length {
          var token: [UInt8] = []
          for _ in 0..<tokenLength {
            token += scalars[index]
            index = (index + 1) % scalars.count
          }
          count += token.count
          parser.append(0, text: token, to: &parts)
          given += parts.text.count
          parts.removeAll()
        }
        parser.finish(text: [], to: &parts)
        given += parts.text.count
        // White space beside markers, and markers themselves, are left out at most.
        if !text.contains(where: { $0 == "<" || $0 == "\n" || $0 == " " }) {
          #expect(given >= count, "\(family): \(begin) \(text)")
        }
      }
    }
  }

  /// A name, a key or a head that has no end is none.
  @Test func keepsNoMoreOfAHeadThanItMayHave() throws {
    let heads = [
      ("deepseek-v3", "<｜tool▁call▁begin｜>"), ("kimi-k2", "<|tool_call_begin|>"), ("glm-4.7", "<tool_call>"),
      ("glm-4.7", "<tool_call>f<arg_key>"), ("deepseek-v3.2", "<｜DSML｜invoke name=\""),
    ]
    for (family, head) in heads {
      let format = try AnswerFormats.named(family, tokenizer: AnswerFixtures.tokenizer([]))
      var parser = format.makeParser(after: [], callsTools: true)
      var parts = AnswerParts()
      parser.append(0, text: Array(head.utf8), to: &parts)
      for _ in 0..<2000 { parser.append(0, text: Array("a".utf8), to: &parts) }
      #expect(parts.pieces.last?.part == .brokenCall)
      #expect(parts.text.count >= 1990)
    }
  }
}
