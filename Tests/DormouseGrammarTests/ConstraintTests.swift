import DormouseSupport
import Testing

@testable import DormouseGrammar

@Suite struct ConstraintTests {
  private static let languages: [String] = [
    "{\"regex\": \"(ab|a€)*c{2,5}\"}", "{\"choice\": [\"abc\", \"ab\", \"a€b\", \"\", \"ca\"]}",
    "{\"grammar\": \"root ::= (\\\"a\\\" root \\\"b\\\" | \\\"c\\\")*\"}",
    "{\"json_schema\": {\"type\": \"array\", \"items\": {\"enum\": [\"a\", \"ab\", 1, 12, null]}}, \"form\": \"any\"}",
    "{\"json_schema\": {\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"maxLength\": 3}}, \"required\": [\"b\"]}}",
    "{\"json_schema\": {\"type\": \"string\", \"maxLength\": 4}}",
    "{\"json_schema\": {\"type\": \"string\", \"pattern\": \"a€\", \"minLength\": 3}, \"form\": \"any\"}",
    "{\"json_schema\": {\"type\": \"number\", \"minimum\": -12.5, \"maximum\": 101}}",
    "{\"json_schema\": {\"$ref\": \"#/$defs/t\", \"$defs\": {\"t\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/t\"}}}}}",
  ]

  /// Tokens of one to four bytes, cut anywhere, some of them twice.
  private func vocabulary(_ random: inout RandomGenerator) throws -> (GrammarVocabulary, [[UInt8]]) {
    let bytes = Array("abc€\"\"{}[]:,,0129.-nul \\u".utf8)
    var tokens = (0..<256).map { [UInt8($0)] }
    for _ in 0..<600 {
      let length = Int.random(in: 1...4, using: &random)
      tokens.append((0..<length).compactMap { _ in bytes.randomElement(using: &random) })
    }
    tokens += ["\"a\":", "\"b\":\"", "\",\"", "ab€", "{\"b\":\"", "null", "\"}", "[[", "]]", "],["].map {
      Array($0.utf8)
    }
    tokens += [[], [], Array("aaaaaaaaaaaa".utf8)]
    return (try GrammarVocabulary(tokens), tokens)
  }

  private func constraint(_ json: String, _ vocabulary: GrammarVocabulary, end: [Int32]) throws -> Constraint {
    try Constraint(JSONFields(argument: json, name: "config_json"), vocabulary: vocabulary, endTokens: end)
  }

  /// Every mask of random walks holds exactly the tokens whose bytes can be read one by one.
  @Test(arguments: languages) func masksAreExact(_ json: String) throws {
    var random = RandomGenerator(seed: 6)
    let (vocabulary, tokens) = try vocabulary(&random)
    let end = Int32(tokens.count - 2)
    for _ in 0..<12 {
      let constraint = try constraint(json, vocabulary, end: [end])
      for _ in 0..<25 {
        let allowed = try constraint.allowed()
        var all: [Int32] = []
        for (token, bytes) in tokens.enumerated() {
          let isAllowed = allowed.contains(Int32(token))
          let expected = Int32(token) == end ? constraint.isComplete : !bytes.isEmpty && constraint.canRead(bytes)
          #expect(isAllowed == expected, "\(json): token \(token), \(bytes)")
          if isAllowed { all.append(Int32(token)) }
        }
        guard let next = all.randomElement(using: &random) else { break }
        try constraint.accept([next])
        if next == end {
          #expect(try constraint.hasEnded && constraint.allowed().isEmpty)
          break
        }
      }
    }
  }

  /// Walks end in texts of the language, are taken back, and cloned: a fresh constraint that gets the same tokens says the
  /// same.
  @Test(arguments: languages) func anyWayLeadsToTheSameState(_ json: String) throws {
    var random = RandomGenerator(seed: 7)
    let (vocabulary, tokens) = try vocabulary(&random)
    let end = Int32(tokens.count - 2)
    var constraint = try constraint(json, vocabulary, end: [end])
    var accepted: [Int32] = []
    for _ in 0..<60 {
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        let count = Int.random(in: 0...accepted.count, using: &random)
        try constraint.rewind(count)
        accepted.removeLast(count)
      case 1: constraint = constraint.clone()
      case 2:
        let forced = try constraint.forced(limit: 5)
        try constraint.accept(forced)
        accepted += forced
      default:
        let allowed = try constraint.allowed()
        let all = tokens.indices.map { Int32($0) }.filter { allowed.contains($0) }
        guard let next = all.randomElement(using: &random) else { continue }
        // The second is refused, and then neither counts.
        #expect(throws: Failure.self) { try constraint.accept([next, Int32(tokens.count)]) }
        try constraint.accept([next])
        accepted.append(next)
      }
      let fresh = try self.constraint(json, vocabulary, end: [end])
      try fresh.accept(accepted)
      #expect(try fresh.allowed() == constraint.allowed())
      #expect(fresh.isComplete == constraint.isComplete && fresh.hasEnded == constraint.hasEnded)
    }
    #expect(throws: Failure.self) { try constraint.rewind(accepted.count + 1) }
  }

  @Test func forcedTokensAreTheOnlyOnes() throws {
    let tokens = (0..<128).map { [UInt8($0)] } + [[]]
    let vocabulary = try GrammarVocabulary(tokens)
    let json =
      "{\"json_schema\": {\"type\": \"object\", \"properties\": {\"ab\": {\"const\": true}}, \"required\": [\"ab\"], \"additionalProperties\": false}}"
    let constraint = try constraint(json, vocabulary, end: [128])
    let forced = try constraint.forced(limit: 100)
    #expect(forced == "{\"ab\":true}".utf8.map { Int32($0) } + [128])
    #expect(try constraint.forced(limit: 3) == forced.prefix(3).map { $0 })
    #expect(!constraint.isComplete)
    // A text that may end here need not go on.
    let open = try self.constraint("{\"regex\": \"(ab)+\"}", vocabulary, end: [])
    #expect(try open.forced(limit: 100) == [0x61, 0x62])
  }

  @Test(arguments: [
    ("{}", "expected one of"), ("{\"regex\": \"a\", \"choice\": [\"a\"]}", "expected one of"),
    ("{\"regex\": 1}", "regex"),
    ("{\"choice\": []}", "no text is allowed"), ("{\"json_schema\": false}", "no value"),
    ("{\"json_schema\": {\"type\": \"no\"}}", "#/type"),
    ("{\"json_schema\": {\"properties\": {\"a/b\": {\"pattern\": \"(\"}}}}", "#/properties/a~1b/pattern"),
    ("{\"json_schema\": {\"properties\": {\"a\\nb\": {\"type\": \"no\"}}}}", "#/properties/a\\u{a}b/type"),
    ("{\"json_schema\": {\"$ref\": \"#/x\"}}", "leads nowhere"),
    ("{\"json_schema\": {\"$ref\": \"http://a/b\"}}", "leads out of"),
    ("{\"json_schema\": {\"unevaluatedProperties\": false}}", "#/unevaluatedProperties"),
    ("{\"json_schema\": {\"uniqueItems\": true}}", "uniqueItems"),
    ("{\"json_schema\": {\"multipleOf\": 0}}", "above 0"),
    (
      "{\"json_schema\": {\"required\": [\"a\"], \"properties\": {\"a\": {\"$ref\": \"#\"}}, \"type\": \"object\"}}",
      "no value"
    ),
    ("{\"json_schema\": {\"allOf\": [{\"$ref\": \"#\"}]}}", "refers to itself"),
    ("{\"json_schema\": {}, \"form\": \"x\"}", "form"),
    ("{\"regex\": \"a\", \"more\": 1}", "more"),
  ])
  func refusesWithItsPlace(_ json: String, _ words: String) throws {
    let vocabulary = try GrammarVocabulary([[0x61]])
    let failure = #expect(throws: Failure.self) { try constraint(json, vocabulary, end: []) }
    #expect(failure?.message.contains(words) == true, "\(failure?.message ?? "")")
  }

  /// Schemas that grow beyond all bounds are refused.
  @Test func hostileSchemasAreRefused() throws {
    let vocabulary = try GrammarVocabulary([[0x61]])
    let many = (0..<10).map {
      "{\"oneOf\": [{\"required\": [\"a\($0)\"]}, {\"required\": [\"b\($0)\"]}, {\"required\": [\"c\($0)\"]}]}"
    }
    let patterns = (0..<20).map { "{\"pattern\": \"(a|b)*\(["a", "b"][$0 % 2])(a|b){\($0 + 5)}$\"}" }
    for schema in [
      "{\"allOf\": [\(many.joined(separator: ","))]}",
      "{\"type\": \"string\", \"allOf\": [\(patterns.joined(separator: ","))]}",
    ] {
      #expect(throws: Failure.self) { try constraint("{\"json_schema\": \(schema)}", vocabulary, end: []).allowed() }
    }
  }
}

extension Constraint {
  /// Whether the bytes can be read one by one.
  fileprivate func canRead(_ bytes: [UInt8]) -> Bool {
    var copy = recognizer
    return bytes.allSatisfy { copy.advance($0) }
  }
}
