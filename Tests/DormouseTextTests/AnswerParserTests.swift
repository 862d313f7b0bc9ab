import DormouseText
import Testing

/// The parts of an answer.
@Suite struct AnswerParserTests {
  @Test func plainAnswersAreContent() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    let ids = try tokenizer.encode("<think>é🙂</think><｜User｜>🙂", parseSpecial: true, addSpecialTokens: false).dropLast()
    var stream = TokenStream(tokenizer: tokenizer, skipSpecial: true)
    var parser: any AnswerParser = PlainAnswerParser()
    var parts = AnswerParts()
    for id in ids { parser.append(id, text: stream.append(id), to: &parts) }
    parser.finish(text: stream.finish(), to: &parts)
    #expect(try parts.text == tokenizer.decode(Array(ids), skipSpecial: true))
    parts.removeAll()
    #expect(parts.text.isEmpty)
  }
}
