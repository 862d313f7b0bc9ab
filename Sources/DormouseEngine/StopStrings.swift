/// Finds stop strings in a text that arrives in pieces, however they fall across the pieces.
///
/// Text that might yet turn out to be the beginning of a stop string is withheld; everything else passes at once.
struct StopStrings {
  private let stops: [[UInt8]]
  /// Bytes of the longest of them.
  private let longest: Int
  private var withheld: [UInt8] = []

  /// - Parameter stops: not empty strings.
  init(_ stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    longest = self.stops.map(\.count).max() ?? 0
  }

  /// Takes the next piece of whole characters, and adds what is safe to pass on to `text`.
  /// - Returns: whether a stop string was found right behind it.
  mutating func append(_ piece: [UInt8], to text: inout [UInt8]) -> Bool {
    guard !stops.isEmpty else {
      text += piece
      return false
    }
    withheld += piece
    let start = firstStop()
    let passed = start ?? withheld.count - longestOpenSuffix()
    text += withheld[..<passed]
    withheld.removeFirst(start == nil ? passed : withheld.count)
    return start != nil
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
    let longest = min(withheld.count, longest - 1)
    guard longest > 0 else { return 0 }
    for length in stride(from: longest, through: 1, by: -1) {
      let suffix = withheld[(withheld.count - length)...]
      if stops.contains(where: { $0.count > length && $0.starts(with: suffix) }) { return length }
    }
    return 0
  }
}
