import DormouseSupport
import DormouseText
import Testing

/// Every `bad-*` folder is refused with the status and the sentence of `expected.json` (`make_bad.py` writes both).
@Suite struct TokenizerBadInputTests {
  @Test func everyBadTokenizerIsRefused() throws {
    let table = try #require(try TokenizerFixtures.json("expected.json").objectValue)
    #expect(table.count > 70)
    for (name, expected) in table {
      let wanted = (expected["status"]?.stringValue ?? "", expected["message"]?.stringValue ?? "")
      do throws(Failure) {
        let tokenizer = try Tokenizer(folder: "\(TokenizerFixtures.folder)/\(name)")
        let text = expected["text"]?.stringValue ?? ""
        let ids = try tokenizer.encode(text, parseSpecial: true, addSpecialTokens: true)
        Issue.record("\(name) was accepted and gave \(ids)")
      } catch {
        #expect("\(error.status)" == wanted.0, "\(name): \(error.message)")
        #expect(error.message.contains(wanted.1), "\(name): \(error.message)")
      }
    }
  }

  @Test func aMissingFolderIsNotFound() {
    #expect(throws: Failure(.notFound, "/nowhere: neither tokenizer.json nor tiktoken.model is there")) {
      try Tokenizer(folder: "/nowhere")
    }
  }

  /// One token's stripping may take what another begins with.
  @Test func strippingTokensMayMeet() throws {
    let path = "\(TokenizerFixtures.folder)/mixed/tokenizer.json"
    var document = try #require(try File.readJSON(path).objectValue)
    let first = try #require(try Tokenizer(folder: "\(TokenizerFixtures.folder)/mixed").vocabularySize)
    let added = try #require(document["added_tokens"]?.arrayValue)
    let meeting: [JSON] = [
      ["id": .integer(Int64(first)), "content": "<l>", "rstrip": true, "normalized": false],
      ["id": .integer(Int64(first + 1)), "content": "  ", "lstrip": true, "normalized": false],
    ]
    document["added_tokens"] = .array(added + meeting)
    let tokenizer = try Tokenizer(json: Array(JSON.object(document).text().utf8), configuration: nil, file: "t")
    let ids = try tokenizer.encode("<l>     a", parseSpecial: true, addSpecialTokens: false)
    #expect(ids.first == Int32(first))
    #expect(ids.count == 2)
  }

  @Test func unknownIdsAreNamedWhenDecoding() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    for id in [Int32(-1), Int32(tokenizer.vocabularySize), .max, .min] {
      #expect(tokenizer.bytes(of: id) == nil)
      #expect(!tokenizer.isSpecial(id))
      let failure = Failure(
        .invalidArgument, "id \(id) at index 1 is no token; ids are below \(tokenizer.vocabularySize)")
      #expect(throws: failure) { try tokenizer.decode([3, id], skipSpecial: false) }
    }
  }

  /// Work grows with the text, not with its square: each of these took seconds or minutes otherwise.
  @Test(arguments: ["deepseek-v2", "deepseek-v3", "glm-4", "kimi"])
  func longRunsAreEncodedInLinearTime(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    for unit in ["a", "A", "ab", "中", "あ", " ", "\n", "7", "!", "\u{301}", "\u{200B}", "<"] {
      let text = String(repeating: unit, count: 30_000 / unit.utf8.count) + "1"
      let ids = try tokenizer.encode(text, parseSpecial: true, addSpecialTokens: false)
      #expect(TokenizerFixtures.text(try tokenizer.decode(ids, skipSpecial: false)) == ExactString(text))
    }
  }
}
