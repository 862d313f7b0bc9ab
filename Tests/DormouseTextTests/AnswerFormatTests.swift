import DormouseSupport
import DormouseText
import Testing

/// The formats of answers, held to what others find in the same answers.
@Suite struct AnswerFormatTests {
  static let families = [
    "deepseek-v3", "deepseek-r1", "deepseek-v3.1", "deepseek-v3.2", "deepseek-v4", "deepseek-v4.1", "kimi-k2",
    "glm-4.7",
  ]

  /// An answer of `Tests/Fixtures/answers`.
  struct Golden {
    var tokens: [AnswerToken] = []
    var isReasoning: Bool
    var parameters: ToolParameters
    var parts: [[String]]
    /// Why the reference finds something else.
    var differs: String?

    init(_ json: JSON) throws {
      for (index, piece) in try #require(json["pieces"]?.arrayValue).enumerated() {
        let text = try #require(piece.stringValue)
        tokens.append(index.isMultiple(of: 2) ? .text(text) : .marker(text))
      }
      isReasoning = json["reasoning"]?.boolValue ?? false
      parameters = ToolParameters(tools: json["tools"]?.arrayValue ?? [])
      parts = try #require(json["parts"]?.arrayValue).map { try #require($0.arrayValue).map { $0.stringValue ?? "" } }
      differs = json["differs"]?.stringValue
    }

    func parts(_ format: any AnswerFormat, _ tokens: [AnswerToken], isSpecial: Bool = false) throws -> JoinedParts {
      let begin = try #require(AnswerFixtures.id(of: "<think>"))
      let parser = format.makeParser(
        after: isReasoning ? [begin] : [], callsTools: true, parameters: parameters)
      return JoinedParts(parser, tokens, isSpecial: isSpecial)
    }
  }

  static func goldens(_ family: String) throws -> [Golden] {
    try #require(try AnswerFixtures.json("\(family).json").arrayValue).map(Golden.init)
  }

  static func summary(_ parts: JoinedParts) -> [[String]] {
    let names: [AnswerPart: String] = [
      .content: "content", .reasoning: "reasoning", .toolName: "name", .toolArguments: "arguments",
      .brokenCall: "broken",
    ]
    return parts.parts.map { [names[$0.part] ?? "", $0.text] }
  }

  @Test(arguments: families) func findsWhatTheReferencesFind(family: String) throws {
    let format = try AnswerFormats.named(family, tokenizer: AnswerFixtures.tokenizer())
    let goldens = try AnswerFormatTests.goldens(family)
    #expect(goldens.count == 200)
    #expect(goldens.count { $0.differs == nil } > 50)
    for golden in goldens {
      let parts = try golden.parts(format, golden.tokens)
      #expect(AnswerFormatTests.summary(parts) == golden.parts, "\(family): \(golden.tokens)")
    }
  }

  /// Markers that a tokenizer does not know are found in the text, however it comes.
  @Test(arguments: families) func findsMarkersInText(family: String) throws {
    var random = SystemRandomNumberGenerator()
    let format = try AnswerFormats.named(family, tokenizer: AnswerFixtures.tokenizer([]))
    // A marker in the middle of a text of JSON is the text's, where it is no token of its own.
    for golden in try AnswerFormatTests.goldens(family) where golden.differs != "broken call" && !golden.isReasoning {
      let text = golden.tokens.map(\.text).joined()
      let parts = try golden.parts(format, AnswerToken.cut(text, &random))
      #expect(AnswerFormatTests.summary(parts) == golden.parts, "\(family): \(text.debugDescription)")
    }
  }

  @Test(arguments: families) func seesMarkersThatHaveNoText(family: String) throws {
    let format = try AnswerFormats.named(family, tokenizer: AnswerFixtures.tokenizer(isSpecial: true))
    let goldens = try AnswerFormatTests.goldens(family)
    for golden in goldens where !["broken call", "truncated call"].contains(golden.differs) {
      let parts = try golden.parts(format, golden.tokens, isSpecial: true)
      #expect(AnswerFormatTests.summary(parts) == golden.parts, "\(family): \(golden.tokens)")
    }
  }

  @Test(arguments: families) func cutsDoNotMatter(family: String) throws {
    var random = SystemRandomNumberGenerator()
    let format = try AnswerFormats.named(family, tokenizer: AnswerFixtures.tokenizer())
    for golden in try AnswerFormatTests.goldens(family) {
      let whole = try golden.parts(format, golden.tokens)
      for _ in 0..<4 {
        let cut = golden.tokens.flatMap { $0.cut(&random) }
        #expect(try golden.parts(format, cut) == whole, "\(family): \(cut)")
      }
    }
  }

  /// Random answers of all that may stand in one, in any order: no word of them is lost, and cuts do not matter.
  @Test(arguments: families + ["reasoning"], [false, true])
  func losesNothing(family: String, knowsMarkers: Bool) throws {
    var random = SystemRandomNumberGenerator()
    let tokenizer = try AnswerFixtures.tokenizer(knowsMarkers ? AnswerFixtures.markers : [])
    let format = try AnswerFormats.named(family, tokenizer: tokenizer)
    for _ in 0..<400 {
      let (tokens, words) = AnswerFormatTests.mess(&random, in: format.name)
      for callsTools in [false, true] {
        let parts = JoinedParts(format.makeParser(after: [], callsTools: callsTools), tokens)
        let text = parts.parts.map(\.text).joined()
        for word in words { #expect(text.contains(word), "\(family): \(word) of \(tokens) is not in \(parts.parts)") }
        let cut = tokens.flatMap { $0.cut(&random) }
        #expect(JoinedParts(format.makeParser(after: [], callsTools: callsTools), cut) == parts, "\(family): \(cut)")
        if !callsTools { #expect(parts.parts.allSatisfy { $0.part == .content || $0.part == .reasoning }) }
      }
    }
  }

  static func mess(_ random: inout some RandomNumberGenerator, in family: String) -> ([AnswerToken], [String]) {
    var texts = ["\n", " ", "{", "}", "\"", ":", ",", "{\"a\": 1}", "{}", "[", "<", "</", "｜", "🙂", "```", "\\"]
    if family.hasPrefix("deepseek-v3") || family == "deepseek-r1" { texts += ["\n```json\n", "\n```", "function"] }
    if family == "kimi-k2" { texts += ["functions.f:0", ":1"] }
    let space = family == "deepseek-v4.1" ? " " : ""
    let block = ["deepseek-v3.2": "function_calls", "deepseek-v4": "tool_calls"][family] ?? " calls"
    if family.hasPrefix("deepseek") {
      texts += ["\(space)invoke name=\"f\">", "\(space)invoke>", "\(space)parameter name=\"k\" string=\"true\">"]
      texts += ["\(space)parameter name=\"j\" string=\"false\">", "\(space)parameter>", "\(block)>"]
    }
    var words: [String] = []
    let tokens: [AnswerToken] = (0..<Int.random(in: 1...40, using: &random)).map { index in
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        words.append("w\(index)w")
        return .text("w\(index)w")
      case 1, 2: return .marker(AnswerFixtures.markers.randomElement(using: &random) ?? "")
      default: return .text(texts.randomElement(using: &random) ?? "")
      }
    }
    return (tokens, words)
  }
}

extension AnswerToken {
  var text: String {
    switch self {
    case .text(let text), .marker(let text): text
    }
  }

  /// The same in pieces of some characters; a marker stays whole.
  func cut(_ random: inout some RandomNumberGenerator) -> [AnswerToken] {
    guard case .text(let text) = self else { return [self] }
    return AnswerToken.cut(text, &random)
  }

  static func cut(_ text: String, _ random: inout some RandomNumberGenerator) -> [AnswerToken] {
    var tokens: [AnswerToken] = []
    var rest = Array(text.unicodeScalars)[...]
    while !rest.isEmpty {
      let piece = rest.prefix(Int.random(in: 1...6, using: &random))
      var string = String.UnicodeScalarView()
      string.append(contentsOf: piece)
      tokens.append(.text(String(string)))
      rest = rest.dropFirst(piece.count)
    }
    return tokens
  }
}
