import DormouseSupport
import DormouseText
import Testing

@testable import DormouseEngine

/// Calls that are asked for, from random logits: whatever the model thinks likely, they are by their schemas.
@Suite struct CallRuleTests {
  private static let tools = """
    [{"type": "function", "function": {"name": "get", "parameters": {"type": "object", "properties":
      {"place": {"enum": ["Paris", "北京"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
      "required": ["place", "days"], "additionalProperties": false}, "strict": true}},
     {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties":
      {"utc": {"type": "boolean"}}, "required": ["utc"], "additionalProperties": false}}},
     {"type": "function", "function": {"name": "stop"}}]
    """
  private static let formats = ["deepseek-v3", "deepseek-r1", "deepseek-v3.1", "kimi-k2"]

  private let model: ShippedText

  init() throws { model = try ShippedText() }

  private struct Call: Equatable {
    var name = ""
    var id = ""
    var arguments = ""
  }

  private struct Answer {
    var calls: [Call] = []
    var broken = 0
    var content = ""
    var text: [UInt8] = []
    var reason: GenerationEvent.FinishReason?

    mutating func add(_ event: GenerationEvent) {
      let text = String(decoding: event.text, as: UTF8.self)
      switch event.part {
      case .toolName: calls.append(Call(name: text, id: event.toolCall.id))
      case .toolArguments: calls[calls.count - 1].arguments += text
      case .brokenCall: broken += 1
      case .content: content += text
      case .reasoning, nil: break
      }
    }
  }

  /// - Parameter configuration: members beside tools.
  private func answer(
    format: String, _ configuration: String, seed: UInt64, steps: Int = 400, beginning: [Int32] = []
  ) throws -> Answer {
    let request = try GenerationRequest.read(
      #"{"tools": \#(Self.tools), "answer_format": "\#(format)", \#(configuration)}"#,
      defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
    let format = try #require(try model.engine.text.answerFormat(for: request))
    var generation = try Generation(
      request, after: [], GenerationEvent.Counts(), text: model.engine.text, format: format,
      calls: try model.engine.callRule(for: request, format: format), vocabularySize: model.vocabularySize)
    var random = Random(state: seed)
    var answer = Answer()
    for step in 0..<steps {
      var logits = (0..<model.vocabularySize).map { _ in Float(random.next() % 4096) / 512 }
      // Objects and calls end sooner than at random.
      for text in ["}", "]", "\""] { if let token = model.tokenizer.id(of: text) { logits[Int(token)] += 6 } }
      if step < beginning.count { logits[Int(beginning[step])] = 100 }
      let event = try logits.withUnsafeBufferPointer { try generation.next($0) }
      answer.text += model.tokenizer.bytes(of: event.token) ?? []
      for index in 0..<generation.partCount { answer.add(generation.partEvent(index)) }
      answer.reason = generation.finishReason(isFull: false)
      if answer.reason != nil { break }
    }
    let reason = generation.finish(answer.reason ?? .length)
    for index in 0..<generation.partCount { answer.add(generation.partEvent(index)) }
    answer.reason = generation.end(reason).finishReason
    return answer
  }

  private func check(_ call: Call) throws {
    let arguments = try JSON.parse(argument: call.arguments, name: "arguments")
    switch call.name {
    case "get":
      #expect(["Paris", "北京"].contains(arguments["place"]?.stringValue))
      #expect((1...9).contains(arguments["days"]?.integerValue ?? 0) && arguments.objectValue?.count == 2)
    case "get_time": #expect(arguments["utc"]?.boolValue != nil && arguments.objectValue?.count == 1)
    default: #expect(call.name == "stop" && arguments.objectValue != nil)
    }
  }

  @Test(arguments: formats) func requiredCallsAreByTheirSchemas(format: String) throws {
    var names: Set<String> = []
    for seed in 0..<12 {
      let answer = try answer(
        format: format, #""tool_choice": "required", "parallel_tool_calls": false"#, seed: UInt64(seed))
      #expect(
        answer.content.isEmpty && answer.broken == 0, "\(String(decoding: answer.text, as: UTF8.self))")
      // A function without parameters takes any object, which may be long.
      guard answer.reason != .length else { continue }
      #expect(answer.calls.count == 1 && answer.reason == .toolCalls, "\(String(decoding: answer.text, as: UTF8.self))")
      for call in answer.calls {
        try check(call)
        names.insert(call.name)
        #expect(format == "kimi-k2" ? call.id == "functions.\(call.name):0" : call.id.hasPrefix("call_"))
      }
    }
    #expect(names.count > 1)
  }

  @Test(arguments: formats) func severalCallsOfOneFunctionEach(format: String) throws {
    var most = 0
    for seed in 0..<8 {
      let answer = try answer(format: format, #""tool_choice": "required""#, seed: UInt64(seed))
      // One that is cut is none.
      #expect(answer.broken <= (answer.reason == .length ? 1 : 0))
      for call in answer.calls.dropLast(answer.reason == .length ? 1 : 0) { try check(call) }
      most = max(most, answer.calls.count)
    }
    #expect(most > 1)
    for choice in [#""get""#, #"{"type": "function", "function": {"name": "get"}}"#, #"{"name": "get"}"#] {
      let answer = try answer(format: format, #""tool_choice": \#(choice)"#, seed: 1)
      #expect(answer.calls.map(\.name) == ["get"] && answer.reason == .toolCalls)
      try answer.calls.forEach(check)
    }
  }

  @Test func whatCantBeEnforcedIsRefused() throws {
    func refused(_ format: String, _ configuration: String) -> Failure? {
      #expect(throws: Failure.self) { _ = try answer(format: format, configuration, seed: 0) }
    }
    for format in ["glm-4.7", "deepseek-v3.2"] {
      #expect(refused(format, #""tool_choice": "required""#)?.status == .unsupported)
    }
    #expect(refused("kimi-k2", #""tool_choice": "other""#)?.message.contains("other") == true)
    func rule(_ tools: String) throws -> CallRule? {
      let request = try GenerationRequest.read(
        #"{"tools": \#(tools), "answer_format": "kimi-k2", "tool_choice": "required"}"#,
        defaults: SamplingParameters(), vocabularySize: model.vocabularySize)
      return try model.engine.callRule(for: request, format: try model.engine.text.answerFormat(for: request))
    }
    let unique = #"{"type": "array", "uniqueItems": true, "maxItems": 5, "items": {"type": "string"}}"#
    func function(strict: Bool) -> String {
      #"[{"name": "f", "strict": \#(strict), "parameters": {"properties": {"a": \#(unique)}}}]"#
    }
    let failure = #expect(throws: Failure.self) { try rule(function(strict: true)) }
    #expect(failure?.status == .unsupported && failure?.message.contains("tools[0].parameters") == true)
    #expect(try rule(function(strict: false)) != nil)
    #expect(#expect(throws: Failure.self) { try rule("[]") }?.message.contains("tools is empty") == true)
    #expect(#expect(throws: Failure.self) { try rule("[{}]") }?.message.contains("tools[0].name") == true)
  }
}
