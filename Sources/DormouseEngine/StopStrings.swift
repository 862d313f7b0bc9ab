/// Finds stop strings in a text that arrives in pieces, however they fall across the pieces.
///
/// Text that might yet turn out to be the beginning of a stop string is withheld; everything else passes at once.
///
/// Control tokens are not part of the text that passes. A stop string that names one is looked for where they stand in
/// the text too; any other one is looked for in the text as it is shown.
struct StopStrings {
  private struct Stop {
    let bytes: [UInt8]
    /// Whether it holds the text of a control token.
    let namesControl: Bool
  }

  private let stops: [Stop]
  private var withheld: [UInt8] = []
  /// For each byte of `withheld`, whether it belongs to a control token, which is not shown.
  private var isControl: [Bool] = []

  /// Whether control tokens matter.
  let namesControl: Bool

  /// - Parameters:
  ///   - stops: not empty strings.
  ///   - namesControl: whether a text holds that of a control token.
  init(_ stops: [String], namesControl: ([UInt8]) -> Bool = { _ in false }) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
      .map { Stop(bytes: $0, namesControl: namesControl($0)) }
    self.namesControl = self.stops.contains { $0.namesControl }
  }

  /// Takes the next piece of whole characters, and adds what is safe to pass on to `text`.
  /// - Parameter isControl: whether the piece is a control token's text, which does not pass.
  /// - Returns: whether a stop string was found right behind it.
  mutating func append(_ piece: some Collection<UInt8>, isControl: Bool = false, to text: inout [UInt8]) -> Bool {
    guard !stops.isEmpty else {
      if !isControl { text += piece }
      return false
    }
    withheld += piece
    for _ in piece { self.isControl.append(isControl) }
    let start = firstStop()
    let passed = start ?? firstOpen()
    pass(passed, to: &text)
    if start != nil { clear() }
    return start != nil
  }

  /// What was withheld, when no more text comes.
  mutating func finish() -> [UInt8] {
    guard !withheld.isEmpty else { return [] }
    defer { clear() }
    var text: [UInt8] = []
    pass(withheld.count, to: &text)
    return text
  }

  private mutating func clear() {
    withheld.removeAll(keepingCapacity: true)
    isControl.removeAll(keepingCapacity: true)
  }

  /// Lets the first `count` bytes go.
  private mutating func pass(_ count: Int, to text: inout [UInt8]) {
    for index in 0..<count where !isControl[index] { text.append(withheld[index]) }
    withheld.removeFirst(count)
    isControl.removeFirst(count)
  }

  /// Where the earliest stop string begins.
  private func firstStop() -> Int? {
    withheld.indices.first { start in
      stops.contains { stop in
        // A stop string of the shown text begins with a byte that is shown.
        stop.namesControl || !isControl[start] ? compare(stop, from: start) == .whole : false
      }
    }
  }

  /// Where the longest end of the text begins that a stop string begins with; the end of the text when there is none.
  private func firstOpen() -> Int {
    withheld.indices.first { start in
      stops.contains { stop in
        stop.namesControl || !isControl[start] ? compare(stop, from: start) == .beginning : false
      }
    } ?? withheld.count
  }

  private enum Comparison { case whole, beginning, different }

  /// Compares the text from `start` on with a stop string: all of it, its beginning up to the end of the text, or
  /// neither.
  private func compare(_ stop: Stop, from start: Int) -> Comparison {
    var matched = 0
    for index in start..<withheld.count {
      if isControl[index], !stop.namesControl { continue }
      guard withheld[index] == stop.bytes[matched] else { return .different }
      matched += 1
      if matched == stop.bytes.count { return .whole }
    }
    return .beginning
  }
}
