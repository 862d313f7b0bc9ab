import DormouseSupport
import Testing

@testable import DormouseEngine

/// What ends an answer: the folder's end tokens, wherever they stand, and what the caller names.
@Suite struct EndTokenTests {
  private static let question = "What is 7 plus 5?"
  private static let answer = "7 plus 5 is 12."
  private static let endName = "<｜end▁of▁sentence｜>"

  private static func configuration(_ more: String) -> String { #"{"max_tokens": 20, "ignore_eos": true, \#(more)}"# }

  /// Control tokens are not shown, and end the text where a stop string names them.
  @Test(arguments: [
    (endName, answer), ("12.\(endName)", "7 plus 5 is "), ("5 is", "7 plus "), ("\(endName)never", nil),
  ])
  func aStopStringMayNameAControlToken(stop: String, expected: String?) throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let session = try Session(engine: engine, options: SessionOptions())
    let stops = JSON.array([.string(stop)]).text()
    let found = try ShippedCopy.answer(session, Self.question, Self.configuration(#""stop": \#(stops)"#))
    if let expected {
      #expect(found.text == expected)
      #expect(found.end?.finishReason == .stop)
    } else {
      #expect(found.text.hasPrefix(Self.answer) && !found.text.contains(Self.endName))
      #expect(found.end?.finishReason == .length)
    }
    if stop == Self.endName { #expect(found.tokens.last == 1) }
  }

  @Test func stopTokensEndTheTextWhateverElseIsSaid() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    func answer(_ more: String) throws -> (text: String, tokens: [Int32], end: GenerationEvent?) {
      let session = try Session(engine: engine, options: SessionOptions())
      return try ShippedCopy.answer(session, Self.question, Self.configuration(more))
    }
    let whole = try answer(#""stop_token_ids": [1, 7]"#)
    #expect(whole.text == Self.answer && whole.tokens.last == 1)
    #expect(whole.end?.finishReason == .stop && whole.end?.counts.generatedTokens == whole.tokens.count)
    // An ordinary token ends the text as an end token does: it is made, and not shown.
    let third = whole.tokens[2]
    let cut = try answer(#""stop_token_ids": [\#(third)]"#)
    #expect(cut.tokens == Array(whole.tokens[..<3]))
    let shown = try engine.detokenize(Array(whole.tokens[..<2]), skipSpecial: true)
    #expect(cut.text == String(decoding: shown, as: UTF8.self))
  }

  // MARK: The folder's

  @Test func theTokenizersEndTokenStandsInAndIsWarnedOf() throws {
    let lines = Locked<[String]>([])
    let copy = try ShippedCopy(["config.json": { $0["eos_token_id"] = nil }], missing: ["generation_config.json"])
    let engine = try copy.engine {
      $0.log = Log { level, line in if level == .warning { lines.withLock { $0.append(line) } } }
    }
    #expect(engine.text.generation.endTokens == [1])
    let found = lines.withLock { $0 }.filter { $0.contains("eos_token") }
    #expect(found.count == 1)
    #expect(found.first?.hasSuffix("answers end at the tokenizer's eos_token '\(Self.endName)', id 1") == true)
    let session = try Session(engine: engine, options: SessionOptions())
    let answer = try ShippedCopy.answer(session, Self.question, #"{"max_tokens": 20, "temperature": 0}"#)
    #expect(answer.text == Self.answer && answer.end?.finishReason == .stop)
  }

  @Test func aFolderThatNamesItsEndTokenIsNotWarnedOf() throws {
    let lines = Locked(0)
    _ = try ShippedCopy().engine {
      $0.log = Log { level, line in if level == .warning { lines.withLock { $0 += 1 } } }
    }
    #expect(lines.withLock { $0 } == 0)
  }

  @Test(arguments: [
    (#"{"eos_token_id": 3, "text_config": {"eos_token_id": 4}}"#, [Int32(3)]),
    (#"{"eos_token_id": null, "text_config": {"eos_token_id": [4, 5]}}"#, [4, 5]),
    (#"{"text_config": {"eos_token_id": 4}}"#, [4]), (#"{"text_config": {}}"#, []), (#"{"text_config": null}"#, []),
  ])
  func aCompositesEndTokensAreThoseOfItsTextModel(config: String, expected: [Int32]) throws {
    let folder = try TemporaryFolder()
    try folder.write("config.json", Array(config.utf8))
    #expect(try GenerationDefaults.load(folder: folder.path).endTokens == Set(expected))
  }

  /// An unfinished character at the end of an answer is U+FFFD, which may complete a stop string.
  @Test func aReplacementCharacterMayCompleteAStopString() throws {
    var options = EngineOptions()
    options.withoutWeights = true
    let tokenizer = try Engine(path: Fixtures.shippedModel, options: options).text.requireTokenizer()
    let tokens = try tokenizer.encode("ab🙂", parseSpecial: false, addSpecialTokens: false)
    let unfinished = Array(tokens.dropLast())
    try #require(tokenizer.decode(unfinished, skipSpecial: true).last ?? 0 >= 0x80)
    func text(_ stop: [String]) -> (text: String, isStopped: Bool) {
      var output = TextOutput(tokenizer: tokenizer, stop: stop)
      var text: [UInt8] = []
      for token in unfinished {
        let isStopped = output.append(token)
        #expect(!isStopped)
        text += output.text
      }
      let isStopped = output.finish()
      return (String(decoding: text + output.text, as: UTF8.self), isStopped)
    }
    #expect(text(["b\u{FFFD}"]) == ("a", true))
    #expect(text(["b!"]) == ("ab\u{FFFD}", false))
  }

  /// Of an end token that is the last one allowed, it is the end token that counts.
  @Test func anEndTokenAsTheLastOneAllowedIsAStop() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    func end(_ count: Int) throws -> GenerationEvent? {
      var last: GenerationEvent?
      _ = try Session(engine: engine, options: SessionOptions()).chat(
        messages: #"[{"role": "user", "content": "What is 7 plus 5?"}]"#,
        configuration: #"{"temperature": 0, "max_tokens": \#(count)}"#
      ) {
        last = $0
        return 0
      }
      return last
    }
    let whole = try #require(try end(100))
    #expect(whole.finishReason == .stop)
    let count = whole.counts.generatedTokens
    #expect(try end(count)?.finishReason == .stop)
    #expect(try end(count - 1)?.finishReason == .length)
  }
}
