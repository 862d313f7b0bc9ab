import DormouseSupport
import DormouseText
import Testing

@testable import DormouseEngine

/// Answers in parts, from logits by a script: what comes when, and where it ends.
@Suite struct AnswerPartsTests {
  /// Marks parts by tokens that have no text then: reasoning from `think` to `end`; a call from `call`, whose name is the
  /// next token; `broken` says that it is none.
  private struct MarkedFormat: AnswerFormat {
    static let (think, end, call, broken): (Int32, Int32, Int32, Int32) = (1000, 1001, 1002, 1003)
    let name = "marked"
    let reasoningEnd = [end]

    func makeParser(after prompt: [Int32], callsTools: Bool, parameters: ToolParameters) -> any AnswerParser {
      Parser(isReasoning: prompt.last == Self.think)
    }

    private struct Parser: AnswerParser {
      var isReasoning: Bool
      var written = AnswerPart.content
      var calls = -1

      var part: AnswerPart { isReasoning ? .reasoning : written }

      mutating func append(_ token: Int32, text: [UInt8], to parts: inout AnswerParts) {
        switch token {
        case MarkedFormat.think: isReasoning = true
        case MarkedFormat.end: isReasoning = false
        case MarkedFormat.call:
          written = .toolName
          calls += 1
        case MarkedFormat.broken:
          parts.append([], to: .brokenCall, toolIndex: calls)
          written = .content
        default:
          let isCall = written == .toolName || written == .toolArguments
          parts.append(text, to: part, toolIndex: isCall ? calls : 0)
          if written == .toolName { written = .toolArguments }
        }
      }

      mutating func finish(text: [UInt8], to parts: inout AnswerParts) { parts.append(text, to: part) }
    }
  }

  private let model: ShippedText

  init() throws { model = try ShippedText() }

  /// A token of one character.
  private func token(_ character: Character) throws -> Int32 {
    let tokens = try model.tokenizer.encode(String(character), parseSpecial: false, addSpecialTokens: false)
    try #require(tokens.count == 1)
    return tokens[0]
  }

  private func tokens(_ text: String) throws -> [Int32] { try text.map { try token($0) } }

  /// The answer of a model that wants the tokens of `script` and then ends.
  private func answer(
    _ configuration: String, prompt: [Int32] = [5], _ script: [Int32]
  ) throws -> (events: [GenerationEvent], tokens: [Int32]) {
    let request = try GenerationRequest.read(
      configuration, defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
    var generation = try Generation(
      request, after: prompt, GenerationEvent.Counts(), text: model.engine.text, format: MarkedFormat(),
      constraint: try model.engine.constraint(for: request, .never), vocabularySize: model.vocabularySize)
    var (events, tokens) = ([GenerationEvent](), [Int32]())
    let endToken = try #require(model.engine.text.generation.endTokens.first)
    for wanted in script + [endToken, endToken, endToken] {
      var logits = [Float](repeating: 0, count: model.vocabularySize)
      logits[Int(wanted)] = 10
      let event = try logits.withUnsafeBufferPointer { try generation.next($0) }
      events.append(event)
      tokens.append(event.token)
      for index in 0..<generation.partCount { events.append(generation.partEvent(index)) }
      guard var reason = generation.finishReason(isFull: false) else { continue }
      reason = generation.finish(reason)
      for index in 0..<generation.partCount { events.append(generation.partEvent(index)) }
      return (events + [generation.end(reason)], tokens)
    }
    return (events, tokens)
  }

  /// The parts' texts, joined where neighbours are of one part.
  private func parts(_ events: [GenerationEvent]) -> [String] {
    var result: [(name: String, text: String)] = []
    for event in events {
      guard let part = event.part else { continue }
      let name = "\(part)" + (part == .content || part == .reasoning ? "" : "\(event.toolCall.index)")
      let text = String(decoding: event.text, as: UTF8.self)
      if result.last?.name == name { result[result.count - 1].text += text } else { result.append((name, text)) }
    }
    return result.map { "\($0.name): \($0.text)" }
  }

  @Test func partsComeBehindTheirTokens() throws {
    typealias Format = MarkedFormat
    let script =
      [Format.think] + (try tokens("ab")) + [Format.end] + (try tokens("cd")) + [Format.call] + (try tokens("fxy"))
      + [Format.call] + (try tokens("gz"))
    let (events, told) = try answer(#"{"parts": true}"#, script)
    #expect(told.dropLast() == script[...])
    #expect(
      parts(events) == [
        "reasoning: ab", "content: cd", "toolName0: f", "toolArguments0: xy", "toolName1: g", "toolArguments1: z",
      ])
    #expect(events.last?.kind == .end && events.last?.finishReason == .toolCalls)
    // Texts come once: those of tokens and the end are empty.
    #expect(events.allSatisfy { $0.text.isEmpty == ($0.kind != .part) })
    let names = events.filter { $0.part == .toolName }
    #expect(Set(names.map(\.toolCall.id)).count == 2 && names.allSatisfy { $0.toolCall.id.count == 29 })
    #expect(names.map(\.toolCall.name) == ["f", "g"])
    let arguments = events.filter { $0.part == .toolArguments }
    #expect(arguments.first?.toolCall == names.first?.toolCall && arguments.last?.toolCall == names.last?.toolCall)
  }

  @Test func withoutPartsAllIsOneText() throws {
    let script = [MarkedFormat.think] + (try tokens("ab")) + [MarkedFormat.end] + (try tokens("cd"))
    let (events, told) = try answer("{}", script)
    #expect(events.allSatisfy { $0.kind != .part } && events.last?.finishReason == .stop)
    let text = events.reduce(into: [UInt8]()) { $0 += $1.text }
    #expect(try text == model.tokenizer.decode(told, skipSpecial: true))
  }

  @Test func aBrokenCallIsNone() throws {
    let script = [MarkedFormat.call] + (try tokens("fx")) + [MarkedFormat.broken]
    let (events, _) = try answer(#"{"parts": true}"#, script)
    #expect(parts(events) == ["toolName0: f", "toolArguments0: x", "brokenCall0: "])
    #expect(events.last?.finishReason == .stop)
  }

  @Test(arguments: [0, 1, 3]) func aBudgetEndsTheReasoning(budget: Int) throws {
    let script = try [MarkedFormat.think] + tokens("abcdefgh")
    let (events, told) = try answer(#"{"thinking": {"budget_tokens": \#(budget)}}"#, script)
    // What the model wanted at the place of the forced token is lost, and what follows is content.
    var expected = script
    expected[1 + budget] = MarkedFormat.end
    #expect(told.dropLast() == expected[...])
    let (thought, said) = (String("abcdefgh".prefix(budget)), String("abcdefgh".dropFirst(budget + 1)))
    #expect(parts(events) == (budget == 0 ? [] : ["reasoning: \(thought)"]) + ["content: \(said)"])
    let (free, _) = try answer(#"{"thinking": true}"#, script)
    #expect(parts(free) == ["reasoning: abcdefgh"])
    // Reasoning that its prompt has begun.
    let (begun, _) = try answer(
      #"{"thinking": {"budget_tokens": \#(budget)}}"#, prompt: [5, MarkedFormat.think], Array(script.dropFirst()))
    #expect(parts(begun) == parts(events))
  }

  @Test func aConstraintIsOfTheContent() throws {
    let script = try [MarkedFormat.think] + tokens("ab") + [MarkedFormat.end] + tokens("c12d")
    let (events, _) = try answer(
      #"{"parts": true, "constraint": {"regex": "[0-9]{4}"}}"#, prompt: [5, MarkedFormat.think],
      Array(script.dropFirst()))
    let told = parts(events)
    #expect(told.first == "reasoning: ab" && told.count == 2)
    let content = try #require(told.last).dropFirst("content: ".count)
    #expect(content.count == 4 && content.allSatisfy { $0.isASCII && $0.isNumber })
    #expect(content.dropFirst().prefix(2) == "12")
  }

  @Test func stopStringsAreOfTheContent() throws {
    typealias Format = MarkedFormat
    let inReasoning = try [Format.think] + tokens("xstop") + [Format.end] + tokens("ystopz")
    let (events, _) = try answer(#"{"parts": true, "stop": "stop"}"#, inReasoning)
    #expect(parts(events) == ["reasoning: xstop", "content: y"] && events.last?.finishReason == .stop)
    // One that a part cuts is none, and its beginning is not lost.
    let cut = try tokens("yst") + [Format.think] + tokens("x") + [Format.end] + tokens("opz")
    let (others, _) = try answer(#"{"parts": true, "stop": "stop"}"#, cut)
    #expect(parts(others) == ["content: yst", "reasoning: x", "content: opz"])
  }

  @Test(arguments: [
    (#"{"parts": false, "thinking": true}"#, "parts is false"),
    (#"{"thinking": "yes"}"#, #"thinking"#),
    (#"{"thinking": {}}"#, "thinking.budget_tokens is missing"),
    (#"{"thinking": {"budget_tokens": -1}}"#, "budget_tokens"),
    (#"{"thinking": {"budget_tokens": 1, "x": 2}}"#, "x"),
    (#"{"thinking": false, "reasoning_effort": "high"}"#, "contradict"),
    (#"{"thinking": true, "reasoning_effort": "none"}"#, "contradict"),
    (#"{"reasoning_effort": "huge"}"#, "reasoning_effort"),
    (#"{"tool_choice": "auto"}"#, "tool_choice needs tools"),
    (#"{"tools": [], "tool_choice": 3}"#, "tool_choice"), (#"{"tools": [], "tool_choice": {}}"#, "tool_choice"),
    (#"{"tools": {}}"#, "tools"),
    (#"{"tools": [], "constraint": {"regex": "a"}}"#, "constraint"),
  ]) func contradictionsAreRefused(configuration: String, named: String) throws {
    let failure = #expect(throws: Failure.self) {
      _ = try GenerationRequest.read(
        configuration, defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
    }
    #expect(failure?.message.contains(named) == true && failure?.message.hasPrefix("config_json: ") == true)
  }

  @Test(arguments: [
    (#"{"tools": []}"#, true), (#"{"tools": [], "tool_choice": "none"}"#, false), (#"{"thinking": false}"#, true),
    (#"{"reasoning_effort": "none"}"#, true), (#"{"parts": true}"#, true), ("{}", false),
    (#"{"parts": false}"#, false), (#"{"answer_format": "plain"}"#, false),
  ]) func whoAsksForParts(configuration: String, hasParts: Bool) throws {
    let request = try GenerationRequest.read(
      configuration, defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
    #expect(request.answer.hasParts == hasParts)
  }
}
