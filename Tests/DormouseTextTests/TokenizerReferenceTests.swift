import DormouseSupport
import DormouseText
import Testing

/// Every id and every decoded text equals that of `tokenizers` or `tiktoken`.
@Suite struct TokenizerReferenceTests {
  @Test(arguments: TokenizerFixtures.names)
  func everyStringHasTheReferencesIds(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let expected = try TokenizerFixtures.json("\(name)/expected.json")
    let strings = try TokenizerFixtures.strings()
    let ids = try #require(expected["ids"]?.arrayValue)
    #expect(strings.count == ids.count && strings.count >= 2000)
    for (index, text) in strings.enumerated() {
      let wanted = try TokenizerFixtures.ids(ids[index])
      #expect(
        try tokenizer.encode(text, parseSpecial: true, addSpecialTokens: false) == wanted,
        "string \(index): \(text.debugDescription)")
      let plain = try expected["plain"]?[String(index)].map { try TokenizerFixtures.ids($0) } ?? wanted
      #expect(
        try tokenizer.encode(text, parseSpecial: false, addSpecialTokens: false) == plain,
        "string \(index): \(text.debugDescription)")
    }
  }

  @Test(arguments: TokenizerFixtures.names)
  func everyStringDecodesAsInTheReference(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let expected = try TokenizerFixtures.json("\(name)/expected.json")
    let ids = try #require(expected["ids"]?.arrayValue)
    for (index, text) in try TokenizerFixtures.strings().enumerated() {
      let ids = try TokenizerFixtures.ids(ids[index])
      let decoded = ExactString(expected["decoded"]?[String(index)]?.stringValue ?? text)
      #expect(TokenizerFixtures.text(try tokenizer.decode(ids, skipSpecial: false)) == decoded, "string \(index)")
      let skipped = expected["skipped"]?[String(index)]?.stringValue.map { ExactString($0) } ?? decoded
      #expect(TokenizerFixtures.text(try tokenizer.decode(ids, skipSpecial: true)) == skipped, "string \(index)")
      #expect(TokenizerFixtures.text(stream(ids, tokenizer)) == decoded, "string \(index), as a stream")
    }
  }

  private func stream(_ ids: [Int32], _ tokenizer: Tokenizer) -> [UInt8] {
    var stream = TokenStream(tokenizer: tokenizer, skipSpecial: false)
    return ids.flatMap { stream.append($0) } + stream.finish()
  }

  @Test(arguments: TokenizerFixtures.names)
  func promptsAreEncodedAsOneText(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let cases = try #require(try TokenizerFixtures.json("\(name)/expected.json")["runs"]?.arrayValue)
    for (index, prompt) in cases.enumerated() {
      let runs = try #require(prompt.arrayValue?.first?.arrayValue).map { run -> PromptRun in
        let parts = try #require(run.arrayValue)
        let text = try #require(parts[1].stringValue)
        return parts[0].integerValue == 1 ? .markup(text) : .content(text)
      }
      #expect(try tokenizer.encode(runs) == [TokenizerFixtures.ids(prompt.arrayValue?.last)], "prompt \(index)")
    }
  }

  @Test(arguments: TokenizerFixtures.names)
  func specialTokensAreAddedAsInTheReference(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let expected = try TokenizerFixtures.ids(try TokenizerFixtures.json("\(name)/expected.json")["special"])
    #expect(try tokenizer.encode("Hello 你好", parseSpecial: false, addSpecialTokens: true) == expected)
  }
}
