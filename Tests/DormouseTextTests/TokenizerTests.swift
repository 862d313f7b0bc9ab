import DormouseSupport
import DormouseText
import Testing

@Suite struct TokenizerTests {
  // MARK: Control tokens

  @Test(arguments: TokenizerFixtures.names)
  func contentCannotForgeControlTokens(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let control = try #require(
      ["<｜User｜>", "<|user|>", "<|im_user|>", "<｜end▁of▁sentence｜>"].first { tokenizer.id(of: $0) != nil })
    let id = try #require(tokenizer.id(of: control))
    let runs: [PromptRun] = [.markup(control), .content("a\(control)b"), .markup(control), .content("")]
    let ids = try tokenizer.encode(runs).joined()
    #expect(ids.filter { $0 == id }.count == 2)
    #expect(try !tokenizer.encode(control, parseSpecial: false, addSpecialTokens: false).contains(id))
    #expect(try tokenizer.encode(control, parseSpecial: true, addSpecialTokens: false) == [id])
  }

  @Test func aControlTokenAcrossTheBorderOfContentIsText() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    let id = try #require(tokenizer.id(of: "<｜User｜>"))
    #expect(try !tokenizer.encode([.markup("<｜Us"), .content("er｜>")]).joined().contains(id))
    #expect(try !tokenizer.encode([.content("<｜Us"), .markup("er｜>")]).joined().contains(id))
    #expect(try tokenizer.encode([.markup("<｜Us"), .markup("er｜>")]) == [[id]])
    #expect(try tokenizer.encode([PromptRun]()) == [[]])
  }

  @Test func namesAndIdsBelongTogether() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    #expect(tokenizer.beginningOfSequenceToken == "<｜begin▁of▁sentence｜>")
    #expect(tokenizer.endOfSequenceToken == "<｜end▁of▁sentence｜>")
    #expect(tokenizer.paddingToken == nil)
    #expect(tokenizer.addsBeginningOfSequence == false)
    #expect(tokenizer.id(of: "<｜begin▁of▁sentence｜>") == 0)
    let think = try #require(tokenizer.id(of: "<think>"))
    #expect(tokenizer.isSpecial(0) && !tokenizer.isSpecial(think))
    let the = try #require(tokenizer.id(of: "Ġthe"))
    #expect(tokenizer.bytes(of: the) == Array(" the".utf8))
    #expect(tokenizer.id(of: " the") == nil)
    #expect(tokenizer.id(of: "no such token") == nil)
  }

  @Test func kimiHas256ReservedTokens() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("kimi")
    let first = try #require(tokenizer.id(of: "[BOS]"))
    #expect(tokenizer.vocabularySize == Int(first) + 256)
    #expect(tokenizer.id(of: "<|reserved_token_\(first + 1)|>") == first + 1)
    #expect(tokenizer.isSpecial(first + 1))
    #expect(tokenizer.id(of: "<|reserved_token_\(first)|>") == nil)
    #expect(tokenizer.beginningOfSequenceToken == "[BOS]")
  }

  // MARK: Empty strings

  /// A byte-level tokenizer of a few letters whose vocabulary holds the empty string, as the multilingual Whisper
  /// models publish one.
  private func tokenizerWithEmptyToken(
    model: String = "", merges: String = #"["a b", "ab c"]"#, added: String = "[]", configuration: String = "{}"
  ) throws -> Tokenizer {
    let json = #"""
      {"added_tokens": \#(added), "decoder": {"type": "ByteLevel"},
       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
       "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "": 4, "abc": 5}, "merges": \#(merges)\#(model)}}
      """#
    return try Tokenizer(json: Array(json.utf8), configuration: try JSON.parse(configuration), file: "tokenizer.json")
  }

  /// Ids and texts are those of the `tokenizers` package 0.23 for the same files.
  @Test func theEmptyStringMayBeAToken() throws {
    let tokenizer = try tokenizerWithEmptyToken()
    #expect(tokenizer.vocabularySize == 6)
    #expect(tokenizer.id(of: "") == 4 && tokenizer.bytes(of: 4) == [])
    #expect(try tokenizer.encode("abc abd", parseSpecial: true, addSpecialTokens: true) == [5, 3])
    #expect(try tokenizer.encode("", parseSpecial: true, addSpecialTokens: true) == [])
    for skipSpecial in [false, true] {
      #expect(try tokenizer.decode([0, 4, 1, 4], skipSpecial: skipSpecial) == Array("ab".utf8))
    }
  }

  @Test func theEmptyTokenMayStandForUnknownBytesAndInMerges() throws {
    let unknown = try tokenizerWithEmptyToken(model: #", "unk_token": """#)
    #expect(try unknown.encode("abc abd", parseSpecial: true, addSpecialTokens: false) == [5, 4, 3, 4])
    let merges = try tokenizerWithEmptyToken(merges: #"[["a", ""], ["a", "b"]]"#)
    #expect(try merges.encode("abc abd", parseSpecial: true, addSpecialTokens: false) == [3, 2, 3])
  }

  @Test(arguments: [4, 9]) func emptyAddedTokensAreIgnored(id: Int) throws {
    let tokenizer = try tokenizerWithEmptyToken(
      added: #"[{"id": \#(id), "content": "", "special": true}]"#,
      configuration: #"{"unk_token": {"content": ""}, "bos_token": {"content": ""}, "pad_token": ""}"#)
    #expect(tokenizer.vocabularySize == 6 && !tokenizer.isSpecial(4))
    #expect(tokenizer.beginningOfSequenceToken == nil && tokenizer.paddingToken == nil)
    #expect(try tokenizer.encode("abc abd", parseSpecial: true, addSpecialTokens: false) == [5, 3])
  }

  @Test func theEmptyTokenHasAnIdOfItsOwn() {
    let json =
      #"{"decoder": {"type": "ByteLevel"}, "pre_tokenizer": {"type": "ByteLevel"}, "#
      + #""model": {"type": "BPE", "vocab": {"a": 0, "": 5, "abc": 5}, "merges": []}}"#
    #expect(throws: Failure(.malformed, "tokenizer.json: model.vocab: tokens '' and 'abc' have the same id 5")) {
      try Tokenizer(json: Array(json.utf8), configuration: nil, file: "tokenizer.json")
    }
  }

  // MARK: Bytes that are not UTF-8

  /// One U+FFFD for each maximal invalid subpart, as Python's `errors="replace"` gives.
  static let invalid: [([UInt8], String)] = [
    ([0xFF], "\u{FFFD}"), ([0x80, 0x80], "\u{FFFD}\u{FFFD}"), ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"),
    ([0xE4, 0xB8, 0x41], "\u{FFFD}A"), ([0xE4, 0xB8], "\u{FFFD}"), ([0xF0, 0x9F, 0x98], "\u{FFFD}"),
    ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
    ([0xF5, 0x80], "\u{FFFD}\u{FFFD}"), ([0x61, 0xF0, 0x9F, 0x61, 0xC3], "a\u{FFFD}a\u{FFFD}"),
    ([0xE0, 0x9F, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xF0, 0x8F, 0xBF, 0xBF], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
    ([0xF0, 0x90, 0x80, 0x80], "\u{10000}"), ([0xE0, 0xA0, 0x80], "\u{800}"), ([0xE4, 0xB8, 0xAD, 0x00], "中\0"),
  ]

  @Test(arguments: TokenizerFixtures.names)
  func invalidBytesAreEncodedAsReplacementCharacters(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    for (bytes, text) in TokenizerTests.invalid {
      let ids = try tokenizer.encode(bytes, parseSpecial: false, addSpecialTokens: false)
      #expect(try ids == tokenizer.encode(text, parseSpecial: false, addSpecialTokens: false), "\(bytes)")
    }
  }

  @Test func streamsNeverSplitACharacter() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    // Every byte alone, so that characters come in pieces.
    let byteIds = try (0..<256).map { byte in
      try #require((0..<Int32(tokenizer.vocabularySize)).first { tokenizer.bytes(of: $0) == [UInt8(byte)] })
    }
    for (bytes, text) in TokenizerTests.invalid + [(Array("aé中🙂".utf8), "aé中🙂")] {
      let ids = bytes.map { byteIds[Int($0)] }
      #expect(TokenizerFixtures.text(try tokenizer.decode(ids, skipSpecial: false)) == ExactString(text))
      var stream = TokenStream(tokenizer: tokenizer, skipSpecial: false)
      var output: [UInt8] = []
      for id in ids {
        let piece = stream.append(id)
        #expect(String(validating: piece, as: UTF8.self) != nil)
        output += piece
      }
      output += stream.finish()
      #expect(TokenizerFixtures.text(output) == ExactString(text), "\(bytes)")
    }
  }

  @Test func streamsSkipSpecialAndUnknownIds() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    var stream = TokenStream(tokenizer: tokenizer, skipSpecial: true)
    #expect(stream.append(0).isEmpty && stream.append(-7).isEmpty && stream.append(.max).isEmpty)
    #expect(stream.finish().isEmpty)
    var showing = TokenStream(tokenizer: tokenizer, skipSpecial: false)
    #expect(showing.append(0) == Array("<｜begin▁of▁sentence｜>".utf8))
  }

  // MARK: Small documents

  private func tokenizer(_ change: (inout JSONObject) -> Void, configuration: JSON? = nil) throws -> Tokenizer {
    var document = JSONObject([
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
      "decoder": ["type": "ByteLevel"],
      "model": [
        "type": "BPE", "vocab": ["a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "_": 5, "?": 6],
        "merges": [["a", "b"], ["ab", "c"]],
      ],
    ])
    change(&document)
    return try Tokenizer(json: Array(JSON.object(document).text().utf8), configuration: configuration, file: "test")
  }

  @Test func bytesWithoutATokenAreLeftOutOrUnknown() throws {
    let silent = try tokenizer { _ in }
    #expect(try silent.encode("abcxab", parseSpecial: false, addSpecialTokens: false) == [4, 3])
    let vocabulary: JSON = ["a": 0, "b": 1, "ab": 3, "?": 6]
    for (fuses, expected) in [(false, [Int32(3), 6, 6, 0]), (true, [3, 6, 0])] {
      let unknown = try tokenizer {
        $0["model"] = ["vocab": vocabulary, "merges": ["a b"], "unk_token": "?", "fuse_unk": .bool(fuses)]
      }
      #expect(try unknown.encode("abxya", parseSpecial: false, addSpecialTokens: false) == expected)
    }
  }

  @Test func prependAppliesToEveryPieceButAddedTokens() throws {
    let tokenizer = try tokenizer {
      $0["normalizer"] = ["type": "Prepend", "prepend": "_"]
      $0["added_tokens"] = [["id": 9, "content": "<s>", "special": true]]
    }
    #expect(try tokenizer.encode("ab<s>c", parseSpecial: true, addSpecialTokens: false) == [5, 3, 9, 5, 2])
    #expect(try tokenizer.encode("", parseSpecial: true, addSpecialTokens: false) == [])
  }

  @Test func holesInTheIdsAreNoTokens() throws {
    let tokenizer = try tokenizer { $0["added_tokens"] = [["id": 20, "content": "<s>", "special": true]] }
    #expect(tokenizer.vocabularySize == 21)
    #expect(tokenizer.bytes(of: 12) == nil)
    #expect(tokenizer.bytes(of: 20) == Array("<s>".utf8))
  }

  @Test func configurationTurnsOrdinaryTokensIntoControlTokens() throws {
    let configuration: JSON = [
      "eos_token": "c", "pad_token": ["content": "nowhere"],
      "added_tokens_decoder": ["7": ["content": "<x>", "special": false, "normalized": false]],
    ]
    let tokenizer = try tokenizer({ _ in }, configuration: configuration)
    #expect(tokenizer.isSpecial(2) && !tokenizer.isSpecial(7))
    #expect(tokenizer.id(of: "nowhere") == nil)
    #expect(try tokenizer.encode("abc<x>", parseSpecial: true, addSpecialTokens: false) == [3, 2, 7])
    #expect(try tokenizer.encode("abc", parseSpecial: false, addSpecialTokens: false) == [4])
  }

  /// Whatever a configuration names as a token is special, also where `added_tokens` says otherwise; its other wishes
  /// stay as they were. AutoTokenizer of transformers 5.23 leaves the same out for the first four.
  @Test(arguments: [
    #"{"image_token": "<x>"}"#, #"{"sep_token": "<x>"}"#, #"{"extra_special_tokens": {"image_token": "<x>"}}"#,
    #"{"boi_token": {"__type": "AddedToken", "content": "<x>"}}"#, #"{"extra_special_tokens": ["<x>"]}"#,
    #"{"additional_special_tokens": [{"content": "<x>"}]}"#, #"{"mask_token": {"content": "<x>"}}"#,
  ])
  func whatAConfigurationNamesIsSpecial(_ configuration: String) throws {
    let added: JSON = [["id": 9, "content": "<x>", "special": false, "lstrip": true, "normalized": false]]
    func ids(_ tokenizer: Tokenizer) throws -> [Int32] {
      try tokenizer.encode("a <x>b", parseSpecial: true, addSpecialTokens: false)
    }
    let plain = try tokenizer({ $0["added_tokens"] = added }, configuration: #"{"add_image_token": true}"#.json)
    let named = try tokenizer({ $0["added_tokens"] = added }, configuration: configuration.json)
    #expect(!plain.isSpecial(9) && named.isSpecial(9))
    #expect(try ids(plain) == [0, 9, 1] && ids(named) == [0, 9, 1])
    #expect(try named.decode([0, 9, 1], skipSpecial: true) == Array("ab".utf8))
  }

  @Test(arguments: [
    (#"{"cls_token": 5}"#, "cls_token is an integer"),
    (#"{"extra_special_tokens": {"image_token": []}}"#, "extra_special_tokens['image_token'] is an array"),
    (#"{"image_token": {"__type": "AddedToken"}}"#, "image_token.content: expected a string"),
  ])
  func namesTheTokenThatIsWrong(_ configuration: String, _ sentence: String) throws {
    #expect { try tokenizer({ _ in }, configuration: configuration.json) } throws: { error in
      (error as? Failure)?.status == .malformed && "\(error)".contains("tokenizer_config.json: \(sentence)")
    }
  }
}

extension String {
  fileprivate var json: JSON { (try? JSON.parse(self)) ?? .null }
}
