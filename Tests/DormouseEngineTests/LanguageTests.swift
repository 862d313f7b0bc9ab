import DormouseSupport
import DormouseText
import Testing

@testable import DormouseEngine

/// Answers that keep to scripts, from random logits: all that is written is looked at again, character by character.
@Suite struct LanguageTests {
  private let model: ShippedText

  init() throws { model = try ShippedText() }

  /// - Parameter wanted: the logit of a token at a step.
  private func answer(
    _ configuration: String, userText: String? = nil, seed: UInt64, steps: Int = 120,
    wanted: (Int32, Int) -> Float = { _, _ in 0 }
  ) throws -> (text: String, end: GenerationEvent) {
    let request = try GenerationRequest.read(
      configuration, defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
    var generation = try Generation(
      request, after: [], GenerationEvent.Counts(), text: model.engine.text,
      language: try model.engine.language(for: request, userText: userText), vocabularySize: model.vocabularySize)
    var random = Random(state: seed)
    var text: [UInt8] = []
    for step in 0..<steps {
      let logits = (0..<Int32(model.vocabularySize)).map { Float(random.next() % 4096) / 512 + wanted($0, step) }
      text += try logits.withUnsafeBufferPointer { try generation.next($0) }.text
      if generation.finishReason(isFull: false) != nil { break }
    }
    let reason = generation.finish(.length)
    let end = generation.end(reason)
    return (String(decoding: text + end.text, as: UTF8.self), end)
  }

  private func lettersOutsideOfCode(_ text: String) throws -> [Unicode.Scalar] {
    let all = try WritingScripts.allLetters()
    var code = CodeSpans()
    return text.unicodeScalars.filter { !code.isCode($0) && all.contains($0) }
  }

  @Test(arguments: [["Latin"], ["Han"], ["Latin", "Han"], ["Greek"]]) func lettersAreOfTheScripts(scripts: [String])
    throws
  {
    var found = 0
    for seed in 0..<8 {
      let names = scripts.map { "\"\($0)\"" }.joined(separator: ",")
      let (text, end) = try answer(
        #"{"language": {"scripts": [\#(names)]}, "ignore_eos": true}"#, seed: UInt64(seed))
      for letter in try lettersOutsideOfCode(text) where letter != "\u{FFFD}" {
        #expect(try scripts.contains { try WritingScripts.letters(of: $0).contains(letter) }, "\(letter) in \(text)")
        found += 1
      }
      #expect(end.consistency.content.isNaN || end.consistency.content == 1)
    }
    #expect(found > 0 || scripts == ["Greek"])
  }

  @Test func withoutAPolicyAnswersMixAndAreTold() throws {
    let (text, end) = try answer("{}", userText: "What is this?", seed: 3)
    let letters = try lettersOutsideOfCode(text)
    let latin = try letters.count { try WritingScripts.letters(of: "Latin").contains($0) }
    #expect(latin > 0 && latin < letters.count)
    #expect(end.consistency.content == Float(latin) / Float(letters.count) && end.consistency.reasoning.isNaN)
    // Nothing is expected of a text that is only gone on with, nor after a question without letters.
    #expect(try answer("{}", seed: 3).end.consistency.content.isNaN)
    #expect(try answer("{}", userText: "1 + 2 = ?", seed: 3).end.consistency.content.isNaN)
  }

  @Test(arguments: [("这是什么？", "Han"), ("What is `这`?", "Latin")]) func theAnswerIsOfTheQuestionsScript(
    question: String, script: String
  ) throws {
    let (text, end) = try answer(
      #"{"language": {"answer": "same"}, "ignore_eos": true}"#, userText: question, seed: 1)
    let letters = try lettersOutsideOfCode(text).filter { $0 != "\u{FFFD}" }
    #expect(!letters.isEmpty && end.consistency.content == 1)
    #expect(try letters.allSatisfy { try WritingScripts.letters(of: script).contains($0) })
  }

  @Test func codeIsFree() throws {
    let backtick = try #require(model.tokenizer.id(of: "`"))
    let letter = try #require(model.tokenizer.id(of: "a"))
    let (text, _) = try answer(
      #"{"language": {"scripts": ["Han"]}, "ignore_eos": true}"#, seed: 5, steps: 6
    ) { token, step in
      let sequence = [backtick, letter, letter, backtick, letter, letter]
      return token == sequence[step] ? 100 : 0
    }
    #expect(text.hasPrefix("`aa`") && !text.dropFirst(4).contains("a"))
  }

  @Test(arguments: [
    (#"{"language": {}}"#, "scripts"), (#"{"language": {"scripts": []}}"#, "scripts"),
    (#"{"language": {"scripts": ["Elvish"]}}"#, "Elvish"), (#"{"language": {"answer": "xx"}}"#, "xx"),
    (#"{"language": {"answer": "en", "scripts": ["Latin"]}}"#, "one of"), (#"{"language": "en"}"#, "language"),
    (#"{"language": {"answer": "en", "parts": ["tools"]}}"#, "parts"),
    (#"{"language": {"answer": "en", "x": 1}}"#, "x"),
  ]) func wrongPoliciesAreRefused(configuration: String, named: String) {
    let failure = #expect(throws: Failure.self) {
      _ = try GenerationRequest.read(
        configuration, defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
    }
    #expect(failure?.status == .invalidArgument && failure?.message.contains(named) == true)
  }

  @Test func sameNeedsAMessage() {
    let failure = #expect(throws: Failure.self) {
      _ = try answer(#"{"language": {"answer": "same"}}"#, seed: 1)
    }
    #expect(failure?.message.contains("needs a chat") == true)
  }
}
