import Testing

@testable import DormouseSupport

@Suite struct ExcerptTests {
  @Test func quotesNames() {
    #expect(Excerpt.name("model.embed_tokens.weight") == "'model.embed_tokens.weight'")
    #expect(Excerpt.name("") == "''")
    #expect(Excerpt.name("嵌入") == "'嵌入'")
  }

  @Test func showsWhatWouldSteerATerminal() {
    #expect(Excerpt.name("a\u{1B}[2J\n") == "'a\\u{1b}[2J\\u{a}'")
    #expect(Excerpt.name("\u{202E}\u{2028}") == "'\\u{202e}\\u{2028}'")
  }

  @Test func cutsLongTexts() {
    let longest = String(repeating: "x", count: Excerpt.limit)
    #expect(Excerpt.name(longest) == "'\(longest)'")
    #expect(Excerpt.name(longest + "y") == "'\(longest)...'")
  }

  @Test func writesValuesAsJSON() {
    #expect(Excerpt.json(["a": [1, .null]]) == "{\"a\":[1,null]}")
    #expect(Excerpt.json(.string("\u{1B}")).utf8.allSatisfy { $0 >= 0x20 })
  }
}
