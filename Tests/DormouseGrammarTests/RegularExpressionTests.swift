import DormouseSupport
import Testing

@testable import DormouseGrammar

@Suite struct RegularExpressionTests {
  private func matches(_ pattern: String, _ text: String, isWhole: Bool = false) throws -> Bool {
    let expressions = Expressions()
    let language = try RegularExpression.parse(pattern).language(isWhole: isWhole, expressions, UTF8Encoding())
    return expressions.matches(expressions.alive(language), text.utf8)
  }

  @Test(arguments: [
    ("a+b?", "xaabx", true), ("^a+b?$", "xaab", false), ("^$", "", true), ("^$", "a", false), ("a$", "ba", true),
    ("a$", "ab", false), ("^a|b$", "ax", true), ("^a|b$", "xb", true), ("^a|b$", "xbx", false),
    ("^[^a-c]{2,3}$", "xyz", true), ("^[^a-c]{2,3}$", "xbz", false), ("^[^a-c]{2,3}$", "x", false),
    ("^\\p{Lu}\\d+$", "Ä12", true), ("^\\p{Lu}\\d+$", "ä12", false), ("^(?!foo)\\w+$", "food", false),
    ("^(?!foo)\\w+$", "fo", true), ("^(?=.*\\d)(?=.*[a-z]).{3,}$", "ab1", true),
    ("^(?=.*\\d)(?=.*[a-z]).{3,}$", "abc", false), ("(^a)?b", "cb", true), ("^.$", "\n", false), ("^.$", "🙂", true),
    ("^[\\u0041-\\u{43}\\x44]+$", "ABCD", true), ("^\\cJ\\t$", "\n\t", true), ("^x{0,3}y$", "xxxy", true),
    ("^x{0,3}y$", "xxxxy", false), ("^x{2}$", "xx", true), ("^(?:ab|cd)*$", "abcdab", true), ("a{,2}", "a{,2}", true),
    ("^[-a]+[b-]$", "-a-", true), ("^[\\w-.]$", "-", true), ("^\\S+@\\S+$", "a@b", true), ("a.c", "a\u{2028}c", false),
    ("^(?<year>\\d{4})$", "2024", true), ("^\\/$", "/", true), ("^[\\]\\\\]+$", "]\\", true),
  ])
  func matchesAsECMAScriptDoes(_ pattern: String, _ text: String, _ expected: Bool) throws {
    #expect(try matches(pattern, text) == expected)
  }

  @Test(arguments: [
    ("a(", Status.invalidArgument), ("a)", .invalidArgument), ("*a", .invalidArgument), ("a**", .invalidArgument),
    ("[b-a]", .invalidArgument), ("[a", .invalidArgument), ("\\", .invalidArgument), ("a{2,1}", .invalidArgument),
    ("\\q", .invalidArgument), ("\\u12", .invalidArgument), ("\\uD800", .invalidArgument), ("(?<a", .invalidArgument),
    ("(a)\\1", .unsupported), ("\\bword", .unsupported), ("(?<=a)b", .unsupported), ("(^a)*b", .unsupported),
    ("\\p{Script=Han}", .unsupported), ("a{100001}", .unsupported),
    (String(repeating: "(", count: 101), .invalidArgument),
  ])
  func refusesWhatItCannotDecide(_ pattern: String, _ status: Status) throws {
    let failure = #expect(throws: Failure.self) { try matches(pattern, "a") }
    #expect(failure?.status == status)
  }

  /// A random expression, and whether it matches a text by a plain definition.
  private indirect enum Plain {
    case letters(Set<Character>)
    case sequence(Plain, Plain)
    case either(Plain, Plain)
    case repeated(Plain, Int, Int)

    /// Where a match of `text` from `start` on may end.
    func ends(_ text: [Character], _ start: Int) -> Set<Int> {
      switch self {
      case .letters(let set): return start < text.count && set.contains(text[start]) ? [start + 1] : []
      case .sequence(let first, let second):
        return first.ends(text, start).reduce(into: []) { $0.formUnion(second.ends(text, $1)) }
      case .either(let first, let second): return first.ends(text, start).union(second.ends(text, start))
      case .repeated(let part, let minimum, let maximum):
        var now: Set<Int> = [start]
        var result: Set<Int> = minimum == 0 ? now : []
        for count in 1...max(1, maximum) where count <= maximum {
          now = now.reduce(into: []) { $0.formUnion(part.ends(text, $1)) }
          if count >= minimum { result.formUnion(now) }
        }
        return result
      }
    }

    var pattern: String {
      switch self {
      case .letters(let set): "[\(String(set.sorted()))]"
      case .sequence(let first, let second): first.pattern + second.pattern
      case .either(let first, let second): "(\(first.pattern)|\(second.pattern))"
      case .repeated(let part, let minimum, let maximum): "(\(part.pattern)){\(minimum),\(maximum)}"
      }
    }

    static func random(_ depth: Int, _ random: inout RandomGenerator) -> Plain {
      switch depth == 0 ? 0 : Int.random(in: 0..<4, using: &random) {
      case 1: return .sequence(.random(depth - 1, &random), .random(depth - 1, &random))
      case 2: return .either(.random(depth - 1, &random), .random(depth - 1, &random))
      case 3:
        let minimum = Int.random(in: 0...2, using: &random)
        return .repeated(
          .random(depth - 1, &random), minimum, minimum + Int.random(in: 0...2, using: &random))
      default:
        let letters = Set("ab€".filter { _ in Bool.random(using: &random) })
        return .letters(letters.isEmpty ? ["a"] : letters)
      }
    }
  }

  @Test func randomExpressionsMatchByTheirDefinition() throws {
    var random = RandomGenerator(seed: 1)
    let texts = allTexts("ab€", upTo: 5)
    for _ in 0..<150 {
      let plain = Plain.random(4, &random)
      let expressions = Expressions()
      let language = try RegularExpression.parse(plain.pattern).language(isWhole: true, expressions, UTF8Encoding())
      for text in texts {
        let expected = plain.ends(Array(text), 0).contains(text.count)
        #expect(expressions.matches(language, text.utf8) == expected, "\(plain.pattern) \(text)")
      }
    }
  }

  /// Unions, intersections and complements of random expressions; and `alive` says whether any text is left.
  @Test func setsOfTextsAreExact() throws {
    var random = RandomGenerator(seed: 2)
    let texts = allTexts("ab€", upTo: 5)
    for _ in 0..<100 {
      let (first, second) = (Plain.random(3, &random), Plain.random(3, &random))
      let expressions = Expressions()
      let (one, other) = (
        try RegularExpression.parse(first.pattern).language(isWhole: true, expressions, UTF8Encoding()),
        try RegularExpression.parse(second.pattern).language(isWhole: true, expressions, UTF8Encoding())
      )
      let both = expressions.intersection([one, other])
      let without = expressions.alive(expressions.intersection([one, expressions.complement(other)]))
      var isAnyLeft = false
      for text in texts {
        let (isOne, isOther) = (expressions.matches(one, text.utf8), expressions.matches(other, text.utf8))
        #expect(expressions.matches(both, text.utf8) == (isOne && isOther))
        #expect(expressions.matches(without, text.utf8) == (isOne && !isOther))
        isAnyLeft = isAnyLeft || isOne && !isOther
      }
      if isAnyLeft { #expect(without != Expressions.nothing) }
      #expect(expressions.alive(expressions.intersection([one, expressions.complement(one)])) == Expressions.nothing)
    }
  }

  @Test func multiplesAreThose() {
    let expressions = Expressions()
    let language = expressions.multiple(of: 7)
    for number in 0..<2000 { #expect(expressions.matches(language, String(number).utf8) == (number % 7 == 0)) }
    #expect(!expressions.matches(language, "".utf8))
  }

  @Test func encodingsAreThoseOfEveryScalar() {
    let expressions = Expressions()
    var random = RandomGenerator(seed: 3)
    for _ in 0..<50 {
      let ends = (0..<4).map { _ in
        UInt32.random(in: 0...0x10FFFF, using: &random) >> UInt32.random(in: 0...20, using: &random)
      }
      let set = ScalarSet([
        min(ends[0], ends[1])...max(ends[0], ends[1]), min(ends[2], ends[3])...max(ends[2], ends[3]),
      ])
      let plain = UTF8Encoding().expression(set, expressions)
      var values = ends.flatMap { [$0, $0 &+ 1, $0 > 0 ? $0 - 1 : 0] }
      values += (0..<20).map { _ in UInt32.random(in: 0...0x10FFFF, using: &random) }
      for scalar in values.compactMap({ Unicode.Scalar($0) }) {
        let isIn = set.contains(scalar.value)
        #expect(expressions.matches(plain, String(Character(scalar)).utf8) == isIn)
      }
    }
  }

  /// What would take for ever, or all memory, ends instead.
  @Test(arguments: ["(a|b)*a(a|b){60}c", "((a{0,100}){0,100}){0,100}b", "(a?){5000}a{5000}"])
  func hostilePatternsEnd(_ pattern: String) throws {
    let limits = Effort.Limits(nodes: 1 << 16, states: 1 << 10, depth: 500, derivatives: 1 << 16)
    let expressions = Expressions(Effort(limits))
    let language = try RegularExpression.parse(pattern).language(isWhole: true, expressions, UTF8Encoding())
    var state = expressions.alive(language)
    var random = RandomGenerator(seed: 4)
    for _ in 0..<5000 where state != Expressions.nothing {
      state = expressions.next(state, Bool.random(using: &random) ? 0x61 : 0x62)
    }
  }
}
