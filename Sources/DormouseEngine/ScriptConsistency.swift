import DormouseSupport
import DormouseText

/// How much of an answer is written in the scripts that are expected of it.
struct ScriptConsistency {
  private struct Count {
    var letters = 0
    var expected = 0
    var code = CodeSpans()

    /// The share of the letters outside of code; NaN where there are none.
    var share: Float { letters == 0 ? .nan : Float(expected) / Float(letters) }
  }

  /// Nil where nothing is expected.
  private let expected: LetterRanges?
  private let all: LetterRanges
  private var content = Count()
  private var reasoning = Count()

  /// Expects nothing.
  init() {
    expected = nil
    all = LetterRanges()
  }

  /// - Parameter scripts: those that are expected; empty where nothing is.
  init(scripts: [String]) throws(Failure) {
    var letters = LetterRanges()
    for script in scripts { letters = letters.union(try WritingScripts.letters(of: script)) }
    expected = scripts.isEmpty ? nil : letters
    all = scripts.isEmpty ? LetterRanges() : try WritingScripts.allLetters()
  }

  /// Shares of the letters; NaN where there are none, or nothing is expected.
  var shares: (content: Float, reasoning: Float) { (content.share, reasoning.share) }

  /// Counts a text of whole characters.
  mutating func add(_ text: some Sequence<UInt8>, to part: AnswerPart) {
    guard let expected else { return }
    switch part {
    case .content: ScriptConsistency.add(text, to: &content, expected, all)
    case .reasoning: ScriptConsistency.add(text, to: &reasoning, expected, all)
    case .toolName, .toolArguments, .brokenCall: break
    }
  }

  private static func add(
    _ text: some Sequence<UInt8>, to count: inout Count, _ expected: LetterRanges, _ all: LetterRanges
  ) {
    var decoder = UTF8()
    var bytes = text.makeIterator()
    while case .scalarValue(let scalar) = decoder.decode(&bytes) {
      guard !count.code.isCode(scalar), all.contains(scalar) else { continue }
      count.letters += 1
      if expected.contains(scalar) { count.expected += 1 }
    }
  }
}
