/// Finds stop strings in a text that arrives in pieces, however they fall across the pieces.
///
/// Text that might yet turn out to be the beginning of a stop string is withheld; everything else passes at once.
struct StopStrings {
  private let stops: [[UInt8]]
  private var withheld: [UInt8] = []

  /// - Parameter stops: not empty strings.
  init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty } }

  /// Takes the next piece of whole characters.
  /// - Returns: the text that is safe to pass on, and whether a stop string was found right behind it.
  mutating func append(_ piece: [UInt8]) -> (text: [UInt8], isFound: Bool) {
    guard !stops.isEmpty else { return (piece, false) }
    withheld += piece
    if let start = firstStop() {
      let text = Array(withheld[..<start])
      withheld = []
      return (text, true)
    }
    let held = longestOpenSuffix()
    let text = Array(withheld[..<(withheld.count - held)])
    withheld.removeFirst(withheld.count - held)
    return (text, false)
  }

  /// What was withheld, when no more text comes.
  mutating func finish() -> [UInt8] {
    defer { withheld = [] }
    return withheld
  }

  /// Where the earliest stop string begins.
  private func firstStop() -> Int? {
    withheld.indices.first { start in stops.contains { withheld[start...].starts(with: $0) } }
  }

  /// The length of the longest end of the text that a stop string begins with.
  private func longestOpenSuffix() -> Int {
    let longest = min(withheld.count, (stops.map(\.count).max() ?? 0) - 1)
    guard longest > 0 else { return 0 }
    for length in stride(from: longest, through: 1, by: -1) {
      let suffix = withheld[(withheld.count - length)...]
      if stops.contains(where: { $0.count > length && $0.starts(with: suffix) }) { return length }
    }
    return 0
  }
}
