import Testing

@testable import DormouseEngine

@Suite struct StopStringsTests {
  /// What comes out when `text` arrives in pieces of the given sizes (the last size repeats).
  private func run(_ text: String, stops: [String], pieces: [Int]) -> (text: String, isFound: Bool) {
    var matcher = StopStrings(stops)
    var output: [UInt8] = []
    var rest = Array(text)[...]
    var sizes = pieces
    while !rest.isEmpty {
      let piece = String(rest.prefix(sizes[0]))
      rest = rest.dropFirst(sizes[0])
      if sizes.count > 1 { sizes.removeFirst() }
      if matcher.append(Array(piece.utf8), to: &output) { return (String(decoding: output, as: UTF8.self), true) }
    }
    return (String(decoding: output + matcher.finish(), as: UTF8.self), false)
  }

  @Test(arguments: [[1], [2], [3, 1], [5], [100]]) func findsTheFirstStopAcrossPieces(pieces: [Int]) {
    #expect(run("hello world", stops: ["o w"], pieces: pieces) == ("hell", true))
    #expect(run("aaab", stops: ["aab"], pieces: pieces) == ("a", true))
    #expect(run("x</s>y", stops: ["never", "</s>"], pieces: pieces) == ("x", true))
    #expect(run("你好。再见", stops: ["。再"], pieces: pieces) == ("你好", true))
    #expect(run("no stop here", stops: ["stopp"], pieces: pieces) == ("no stop here", false))
    #expect(run("open end </", stops: ["</s>"], pieces: pieces) == ("open end </", false))
    #expect(run("anything", stops: [], pieces: pieces) == ("anything", false))
  }

  @Test func withholdsNoMoreThanItMust() {
    var matcher = StopStrings(["abc"])
    var passed: [UInt8] = []
    for (piece, expected) in [("xxab", "xx"), ("ab", "xxab"), ("z", "xxababz")] {
      let isFound = matcher.append(Array(piece.utf8), to: &passed)
      #expect(!isFound && passed == Array(expected.utf8))
    }
    #expect(matcher.finish().isEmpty)
  }

  /// Of two stops in one piece the one that begins first counts, whatever their order in the list.
  @Test(arguments: [["END", "STOP"], ["STOP", "END"], ["P b", "STOP", "END"]])
  func theEarliestOfSeveralCounts(_ stops: [String]) {
    #expect(run("a STOP b END c", stops: stops, pieces: [100]) == ("a ", true))
  }

  /// Control tokens are between the pieces, and not in the text: a stop string that names one is found with it.
  @Test func controlTokensCountForThoseThatNameThem() {
    func run(_ stops: [String], _ pieces: [String]) -> (text: String, isFound: Bool) {
      var matcher = StopStrings(stops) { $0.contains(UInt8(ascii: "<")) }
      var output: [UInt8] = []
      for piece in pieces where matcher.append(Array(piece.utf8), isControl: piece.hasPrefix("<"), to: &output) {
        return (String(decoding: output, as: UTF8.self), true)
      }
      return (String(decoding: output + matcher.finish(), as: UTF8.self), false)
    }
    #expect(run(["<e>"], ["ab", "<e>", "c"]) == ("ab", true))
    #expect(run(["b<e>c"], ["ab", "<e>", "c"]) == ("a", true))
    #expect(run(["b<e>c"], ["ab", "<e>", "d"]) == ("abd", false))
    // Written in ordinary characters, too.
    #expect(run(["<e>"], ["a", "b<", "e>c"]) == ("ab", true))
    // One that names none sees the text as it is shown.
    #expect(run(["bc", "<x>"], ["ab", "<e>", "c"]) == ("a", true))
    #expect(run(["<f>", "bd"], ["ab", "<e>", "c"]) == ("abc", false))
    #expect(run(["<e>c"], ["a", "<e>", "<e>"]) == ("a", false))
  }

  /// Random texts in random pieces, some of them control tokens, against the rule itself looked up in the whole text: after
  /// each piece all has passed that no stop string can begin in any more.
  @Test func everyPieceFollowsTheRule() {
    var random = Random(state: 11)
    func text(_ most: Int) -> String {
      String((0..<Int.random(in: 1...most, using: &random)).map { _ in "ab<".randomElement(using: &random) ?? "a" })
    }
    for round in 0..<3000 {
      let stops = (0..<Int.random(in: 1...3, using: &random)).map { _ in text(4) }
      let isNaming: ([UInt8]) -> Bool = { $0.contains(UInt8(ascii: "<")) }
      var matcher = StopStrings(stops, namesControl: isNaming)
      var (whole, output): ([(byte: UInt8, isControl: Bool)], [UInt8]) = ([], [])
      for _ in 0..<8 {
        let isControl = matcher.namesControl && random.next() % 4 == 0
        let piece = Array(text(3).utf8)
        whole += piece.map { ($0, isControl) }
        let rule = Self.rule(whole, stops.map { (Array($0.utf8), isNaming(Array($0.utf8))) })
        let isFound = matcher.append(piece, isControl: isControl, to: &output)
        let expected = whole[..<rule.end].filter { !$0.isControl }.map(\.byte)
        #expect(isFound == rule.isFound && output == expected, "round \(round): \(stops)")
        guard !isFound, output == expected else { break }
      }
    }
  }

  /// Where the earliest stop string begins, or else the first place in which one may still begin.
  private static func rule(
    _ text: [(byte: UInt8, isControl: Bool)], _ stops: [(bytes: [UInt8], namesControl: Bool)]
  ) -> (end: Int, isFound: Bool) {
    func place(isWhole: Bool) -> Int? {
      text.indices.first { start in
        stops.contains { stop in
          guard stop.namesControl || !text[start].isControl else { return false }
          let seen = text[start...].filter { stop.namesControl || !$0.isControl }.map(\.byte)
          if isWhole { return seen.starts(with: stop.bytes) }
          return seen.count < stop.bytes.count && stop.bytes.starts(with: seen)
        }
      }
    }
    if let found = place(isWhole: true) { return (found, true) }
    return (place(isWhole: false) ?? text.count, false)
  }
}
