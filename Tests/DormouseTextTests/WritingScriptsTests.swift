import DormouseSupport
import Testing

@testable import DormouseText

@Suite struct WritingScriptsTests {
  /// Facts of Unicode (Scripts.txt): borders of blocks, letters among others of their block, letters of no script.
  @Test(arguments: [
    ("Latin", "aZ\u{C4}\u{DF}\u{1E9E}\u{FF21}\u{2C6F}", "\u{D7}1.\u{3B1}\u{430}\u{4E2D}\u{2BC}"),
    ("Han", "\u{4E00}\u{9FFF}\u{3400}\u{20000}\u{3005}", "\u{3042}\u{30A2}\u{3002}a"),
    ("Hiragana", "\u{3041}\u{3093}", "\u{30A2}\u{30FC}\u{4E00}"), ("Katakana", "\u{30A2}\u{FF71}", "\u{3042}\u{30FC}"),
    ("Cyrillic", "\u{430}\u{42F}\u{451}", "a\u{3B1}"), ("Hangul", "\u{AC00}\u{D7A3}\u{1100}", "\u{4E00}"),
    ("Arabic", "\u{627}", "\u{5D0}"), ("Hebrew", "\u{5D0}", "\u{627}"), ("Greek", "\u{3B1}\u{3A9}", "a"),
  ]) func lettersAreUnicodes(script: String, members: String, others: String) throws {
    let letters = try WritingScripts.letters(of: script)
    let all = try WritingScripts.allLetters()
    for scalar in members.unicodeScalars {
      #expect(letters.contains(scalar) && all.contains(scalar), "U+\(String(scalar.value, radix: 16))")
    }
    for scalar in others.unicodeScalars {
      #expect(!letters.contains(scalar), "U+\(String(scalar.value, radix: 16))")
    }
  }

  @Test func everyNameHasLettersAndNoLetterTwoScripts() throws {
    var total = LetterRanges()
    var count = 0
    func size(_ ranges: LetterRanges) -> Int { ranges.ranges.reduce(0) { $0 + $1.count } }
    for name in WritingScripts.names {
      let letters = try WritingScripts.letters(of: name)
      #expect(!letters.ranges.isEmpty, "\(name)")
      count += size(letters)
      total = total.union(letters)
    }
    #expect(size(total) == count)
    #expect(size(total.subtracting(try WritingScripts.allLetters())) == 0)
    let failure = #expect(throws: Failure.self) { _ = try WritingScripts.letters(of: "Klingon") }
    #expect(failure?.message.contains("Klingon") == true)
  }

  @Test func setsOfLetters() throws {
    let (latin, han, all) = try (
      WritingScripts.letters(of: "Latin"), WritingScripts.letters(of: "Han"), WritingScripts.allLetters()
    )
    let both = latin.union(han)
    let rest = all.subtracting(both)
    for value in UInt32(0x20)...0x323AF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      #expect(both.contains(scalar) == (latin.contains(scalar) || han.contains(scalar)))
      #expect(rest.contains(scalar) == (all.contains(scalar) && !both.contains(scalar)))
    }
    #expect(LetterRanges().union(latin) == latin && latin.subtracting(latin).ranges.isEmpty)
  }

  @Test(arguments: [
    ("What is 1 + 2?", ["Latin"]), ("你好，世界", ["Han"]), ("日本語です", ["Han", "Hiragana"]), ("1 + 2 = 3!", []),
    ("用 Python 写", ["Latin", "Han"]), ("这是 `let code = 1` 的意思", ["Han"]), ("说明：\n```\nlet x = 1\n```\n好", ["Han"]),
    ("Привет", ["Cyrillic"]), (String(repeating: "a", count: 99) + "你", ["Latin"]), ("", []), ("안녕", ["Hangul"]),
  ]) func scriptsOfTexts(text: String, scripts: [String]) throws {
    #expect(try WritingScripts.scripts(of: text) == scripts)
  }

  @Test(arguments: [
    ("a`b`c", "ac"), ("`a\nb", "b"), ("```\nx`y\n```\nz", "z"), ("``a``", "a"), ("```", ""), ("a``b", "ab"),
  ]) func codeIsBetweenBackticks(text: String, outside: String) {
    var spans = CodeSpans()
    let found = text.unicodeScalars.filter { !spans.isCode($0) && $0 != "\n" }
    #expect(String(String.UnicodeScalarView(found)) == outside)
  }

  @Test func languagesHaveScripts() {
    for code in WritingScripts.languageCodes {
      let scripts = WritingScripts.scripts(ofLanguage: code) ?? []
      #expect(!scripts.isEmpty && scripts.allSatisfy(WritingScripts.names.contains), "\(code)")
    }
    #expect(WritingScripts.scripts(ofLanguage: "zh") == ["Han"])
    #expect(WritingScripts.scripts(ofLanguage: "xx") == nil)
  }
}
