import DormouseSupport
import Testing

@testable import DormouseGrammar

/// Texts that grammars in GBNF recognise, against plain definitions of the same languages.
@Suite struct RecognizerTests {
  private func recognizer(_ notation: String) throws -> Recognizer {
    let grammar = Grammar(Expressions())
    return Recognizer(grammar, start: try GrammarNotation.read(notation, into: grammar))
  }

  private func accepts(_ recognizer: Recognizer, _ text: String) -> Bool {
    var copy = recognizer
    return text.utf8.allSatisfy { copy.advance($0) } && copy.isComplete
  }

  private static func isBalanced(_ text: String) -> Bool {
    var depth = 0
    for letter in text {
      depth += letter == "a" ? 1 : -1
      if depth < 0 { return false }
    }
    return depth == 0
  }

  private static let languages: [(String, @Sendable (String) -> Bool)] = [
    // Nested, with an empty alternative.
    ("root ::= (\"a\" root \"b\")*", { isBalanced($0) }),
    ("root ::= root root | \"a\" root \"b\" | \"\"", { isBalanced($0) }),
    // Recursion on the left and on the right, and in the midst.
    ("root ::= root \"a\" | \"b\"", { $0.first == "b" && $0.dropFirst().allSatisfy { $0 == "a" } }),
    ("root ::= \"a\" root | \"b\"", { $0.last == "b" && $0.dropLast().allSatisfy { $0 == "a" } }),
    ("root ::= \"a\" root \"a\" | \"b\" root \"b\" | [ab]?", { $0 == String($0.reversed()) }),
    // Equal numbers, by counting rules.
    (
      "root ::= pair{2,3}\npair ::= \"a\" more \"b\"\nmore ::= pair?",
      { text in
        let nests = text.split(separator: "b", omittingEmptySubsequences: false).dropLast()
        return isBalanced(text) && text.contains("a") && RecognizerTests.isPairs(text, nests.count)
      }
    ),
    // A rule that is empty in two ways, ahead of one that is not.
    ("root ::= empty empty \"a\" empty | empty\nempty ::= \"\" | \"\" \"\"", { $0 == "a" || $0.isEmpty }),
    // Characters of several bytes, cut nowhere.
    ("root ::= [^a]{1,2} \"b\"", { $0.last == "b" && (2...3).contains($0.count) && !$0.contains("a") }),
  ]

  /// Two or three of `a...ab...b`, one behind the other.
  private static func isPairs(_ text: String, _ count: Int) -> Bool {
    var rest = Substring(text)
    var pairs = 0
    while !rest.isEmpty {
      let opening = rest.prefix { $0 == "a" }.count
      rest = rest.dropFirst(opening)
      let closing = rest.prefix { $0 == "b" }.count
      guard opening > 0, closing == opening else { return false }
      rest = rest.dropFirst(closing)
      pairs += 1
    }
    return (2...3).contains(pairs)
  }

  @Test(arguments: languages.indices) func recognisesExactlyTheTexts(_ index: Int) throws {
    let (notation, belongs) = Self.languages[index]
    let recognizer = try recognizer(notation)
    let longer = notation.contains("[^a]") ? ["€b", "€€b", "€€€b", "€"] : []
    for text in allTexts("ab", upTo: 9) + longer {
      #expect(accepts(recognizer, text) == belongs(text), "\(notation): \(text)")
    }
  }

  /// After a refused byte, and after taking back, all is as if it had never been read.
  @Test func whatIsTakenBackIsForgotten() throws {
    var random = RandomGenerator(seed: 5)
    for (notation, _) in Self.languages {
      var recognizer = try recognizer(notation)
      var read: [UInt8] = []
      for _ in 0..<400 {
        if Bool.random(using: &random), !read.isEmpty {
          let keep = Int.random(in: 0...read.count, using: &random)
          recognizer.takeBack(to: keep + 1)
          read.removeSubrange(keep...)
        } else {
          let byte: UInt8 = Bool.random(using: &random) ? 0x61 : 0x62
          if recognizer.advance(byte) { read.append(byte) }
        }
        var fresh = try self.recognizer(notation)
        let isRead = read.allSatisfy { fresh.advance($0) }
        #expect(isRead)
        #expect(fresh.isComplete == recognizer.isComplete && fresh.count == recognizer.count)
        for byte in [UInt8(0x61), 0x62] {
          var (one, other) = (fresh, recognizer)
          let (goesOn, alsoGoesOn) = (one.advance(byte), other.advance(byte))
          #expect(goesOn == alsoGoesOn)
        }
      }
    }
  }

  @Test(arguments: [
    ("", "there is no rule root"), ("root ::= a", "which is no rule"),
    ("root ::= root \"a\"", "no text of root ever ends"),
    ("root ::= \"a", "not closed"), ("root = \"a\"", "expected ::="), ("root ::= (\"a\"", "not closed"),
    ("root ::= \"a\"\nroot ::= \"b\"", "a second rule"), ("root ::= [b-a]", "before its beginning"),
    ("root ::= \"\\q\"", "not known"), ("root ::= \"a\"{3,1}", "expected {m}"),
    (String(repeating: "root ::= (", count: 1) + String(repeating: "(", count: 200), "groups in one another"),
  ])
  func refusesWhatIsNoGrammar(_ notation: String, _ words: String) {
    let failure = #expect(throws: Failure.self) { try recognizer(notation) }
    #expect(
      failure?.status == .invalidArgument && failure?.message.contains(words) == true, "\(failure?.message ?? "")")
  }

  /// A long text of one rule in another does not take memory or time by its square.
  @Test func longListsStaySmall() throws {
    var recognizer = try recognizer("root ::= \"[\" (item (\",\" item)*)? \"]\"\nitem ::= [0-9]+ | root")
    let text = "[" + Array(repeating: "7", count: 20_000).joined(separator: ",") + "]"
    let isRead = text.utf8.allSatisfy { recognizer.advance($0) }
    #expect(isRead && recognizer.isComplete)
  }
}
