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
}
