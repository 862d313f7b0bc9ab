import DormouseSupport
import Testing

@testable import DormouseText

/// Whatever a pattern and a text do to each other, the work ends: by the text's budget, or when nobody wants it any more.
@Suite struct TextBudgetTests {
  /// Two pages of text.
  private static let prose = String(repeating: "hello world ", count: 4000)

  /// Each pattern is below the limit of steps for one match; it is the text of many matches that takes minutes.
  @Test(arguments: [
    ("(?:(?:||||||){6})z|.", prose), ("x*y|.", String(repeating: "x", count: 200_000)),
    ("x*(?:y|z)", String(repeating: "x", count: 200_000)),
  ])
  func aSlowPatternIsRefusedByName(pattern: String, text: String) throws {
    let tokenizer = try tokenizer(pattern: pattern)
    #expect {
      try tokenizer.encode(text, parseSpecial: false, addSpecialTokens: false)
    } throws: { error in
      let message = "\(error)"
      return (error as? Failure)?.status == .malformed
        && message.contains("folder/tokenizer.json: pre_tokenizer.pretokenizers[0].pattern: pattern '\(pattern)'")
        && message.contains("takes too long")
    }
  }

  /// A minute of work, in which the caller stops wanting it: in matching, in merging one long word, in looking for added
  /// tokens.
  @Test(arguments: [
    ("x*y|.", String(repeating: "x", count: 200_000)), (nil, String(repeating: "ab", count: 400_000)),
    (nil, String(repeating: "<t>", count: 400_000)),
  ])
  func workIsStoppedInItsMidst(pattern: String?, text: String) throws {
    let tokenizer = try tokenizer(pattern: pattern)
    let asked = Locked(0)
    let interruption = Interruption {
      asked.withLock { $0 += 1 }
      return asked.withLock { $0 } > 1 ? Failure(.cancelled, "enough") : nil
    }
    #expect(throws: Failure(.cancelled, "enough")) {
      try tokenizer.encode(text, parseSpecial: true, addSpecialTokens: false, interruption: interruption)
    }
    #expect(asked.withLock { $0 } == 2)
  }

  /// - Parameter pattern: of the pre-tokenizer; nil: words are not cut at all.
  private func tokenizer(pattern: String?, _ change: (inout JSONObject) -> Void = { _ in }) throws -> Tokenizer {
    var document = JSONObject([
      "added_tokens": [["id": 4, "content": "<t>", "special": true]],
      "pre_tokenizer": [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Split", "pattern": ["Regex": .string(pattern ?? "")], "behavior": "Isolated"],
          ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
        ],
      ],
      "decoder": ["type": "ByteLevel"],
      "model": ["vocab": ["a": 0, "b": 1, "ab": 2, "abab": 3], "merges": ["a b", "ab ab"]],
    ])
    if pattern == nil {
      document["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false]
    }
    change(&document)
    return try Tokenizer(
      json: Array(JSON.object(document).text().utf8), configuration: nil, file: "folder/tokenizer.json")
  }

  // MARK: Views

  /// What is found does not depend on how much of the text PCRE2 is shown at a time.
  @Test(arguments: [
    #"\p{N}{1,3}"#, #"[一-龥぀-ゟ゠-ヿ]+"#,
    ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
      + #"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#,
    TiktokenFile.pattern, #"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, "x*y|.", "a|", "", "(?=b)",
    "(?<=a)b*", "(?<!a)b", "^a|b$", #"(?:ab)+(?!a)"#, "a*?b", "(?i:AB)+", #"(?!\S)"#, #"a\z|\Ab"#,
  ])
  func viewsDoNotChangeMatches(expression: String) throws {
    let pattern = try TextPattern(.expression(expression))
    var random = RandomGenerator(seed: 7)
    let alphabet = ["a", "a", "b", "ab", "x", "y", " ", "  ", "\n", "1", "中", "é", "A", "!", "\u{301}", "."]
    for round in 0..<20 {
      let pieces = (0..<(round * 8)).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] }
      // Long runs, too: longer than the first view.
      let text = pieces.joined() + String(repeating: pieces.first ?? "a", count: round * 24)
      let whole = try matches(pattern, text, firstView: 1 << 40)
      for view in [1, 2, 5, 16, MatchSearch.view] {
        #expect(try matches(pattern, text, firstView: view) == whole, "\(expression) in \(text), view \(view)")
      }
    }
  }

  private func matches(_ pattern: TextPattern, _ text: String, firstView: Int) throws -> [Range<Int>] {
    let work = try TextWork(byteCount: text.utf8.count)
    var result: [Range<Int>] = []
    var search = MatchSearch(firstView: firstView)
    try Array(text.utf8).withUnsafeBytes { bytes in
      while let match = try search.next(of: pattern, in: bytes, work: work) { result.append(match) }
    }
    return result
  }

  @Test func literalsAreFoundAsByComparing() throws {
    var random = RandomGenerator(seed: 11)
    for _ in 0..<300 {
      let text = (0..<40).map { _ in random.next() % 4 == 0 ? "b" : "a" }.joined()
      let wanted = (0..<(1 + Int(random.next() % 5))).map { _ in random.next() % 3 == 0 ? "b" : "a" }.joined()
      var expected: [Range<Int>] = []
      var start = 0
      let bytes = Array(text.utf8)
      while start + wanted.utf8.count <= bytes.count {
        if bytes[start...].starts(with: wanted.utf8) {
          expected.append(start..<start + wanted.utf8.count)
          start += wanted.utf8.count
        } else {
          start += 1
        }
      }
      #expect(try matches(TextPattern(.literal(wanted)), text, firstView: 8) == expected, "\(wanted) in \(text)")
    }
  }

  // MARK: Fewest ids

  @Test(arguments: TokenizerFixtures.names)
  func noTextHasFewerIdsThanItsBytesSay(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    for text in try TokenizerFixtures.strings() {
      let runs: [PromptRun] = [.markup(text)]
      #expect(try tokenizer.leastCount(of: runs) <= tokenizer.encode(runs).joined().count)
    }
  }

  @Test func bytesSayNothingWhereATextMayBecomeShorter() throws {
    let runs: [PromptRun] = [.content(String(repeating: "ab", count: 100))]
    var members = JSONObject()
    for byte in 0..<256 { members[spelled(byte)] = .integer(Int64(byte)) }
    let vocabulary = JSON.object(members)
    func least(_ change: (inout JSONObject) -> Void) throws -> Int {
      try tokenizer(pattern: "x") {
        $0["model"] = ["vocab": vocabulary, "merges": []]
        $0["added_tokens"] = [["id": 300, "content": "<t>"]]
        change(&$0)
      }.leastCount(of: runs)
    }
    #expect(try least { _ in } == 67)
    // The added token has its normalized form, which is longer.
    #expect(try least { $0["normalizer"] = ["type": "Prepend", "prepend": "_"] } == 50)
    #expect(try least { $0["normalizer"] = ["type": "Strip"] } == 0)
    #expect(try least { $0["normalizer"] = ["type": "Replace", "pattern": ["Regex": "b"], "content": "cc"] } == 0)
    #expect(try least { $0["added_tokens"] = [["id": 300, "content": "<t>", "lstrip": true]] } == 0)
    #expect(try least { $0["model"] = ["vocab": ["a": 0], "merges": []] } == 0)
    #expect(
      try least {
        $0["pre_tokenizer"] = [
          "type": "Sequence",
          "pretokenizers": [["type": "WhitespaceSplit"], ["type": "ByteLevel", "use_regex": false]],
        ]
      } == 0)
  }

  /// How the byte alphabet spells a byte.
  private func spelled(_ byte: Int) -> String {
    let spellings = (UInt32(0)..<324).compactMap { UnicodeScalar($0).map { String(Character($0)) } }
    return spellings.first { spelling in
      var bytes: [UInt8] = []
      return ByteAlphabet.append(spelling, to: &bytes) && bytes == [UInt8(byte)]
    } ?? ""
  }
}
