public import DormouseSupport

/// A set of letters, as ranges that ascend and do not touch.
public struct LetterRanges: Sendable, Equatable {
  public private(set) var ranges: [ClosedRange<UInt32>] = []

  /// No letters.
  public init() {}

  /// The letters that an expression of one character matches.
  init(matching expression: String) throws(Failure) {
    // The planes beyond have no letters.
    var text: [UInt8] = []
    for value in UInt32(0x41)...0x3FFFF {
      guard let scalar = Unicode.Scalar(value), LetterRanges.isLetter(scalar) else { continue }
      text += UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter
    }
    let pattern = try TextPattern(.expression(expression))
    let work = try TextWork(byteCount: text.count)
    var found: [ClosedRange<UInt32>] = []
    try text.withUnsafeBufferPointer { (buffer) throws(Failure) in
      let bytes = UnsafeRawBufferPointer(buffer)
      var search = MatchSearch()
      while let match = try search.next(of: pattern, in: bytes, work: work) {
        let scalar = String(decoding: bytes[match], as: UTF8.self).unicodeScalars.first
        guard let value = scalar?.value else { continue }
        if let last = found.last, last.upperBound + 1 == value {
          found[found.count - 1] = last.lowerBound...value
        } else {
          found.append(value...value)
        }
      }
    }
    ranges = found
  }

  private static func isLetter(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  public func contains(_ scalar: Unicode.Scalar) -> Bool {
    var (low, high) = (0, ranges.count)
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < scalar.value { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(scalar.value)
  }

  /// These and those.
  public func union(_ other: LetterRanges) -> LetterRanges {
    var result = LetterRanges()
    for range in (ranges + other.ranges).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.ranges.last, range.lowerBound <= last.upperBound + 1 {
        result.ranges[result.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        result.ranges.append(range)
      }
    }
    return result
  }

  /// These without those.
  public func subtracting(_ other: LetterRanges) -> LetterRanges {
    var result = LetterRanges()
    for range in ranges {
      var start = range.lowerBound
      for hole in other.ranges where hole.overlaps(range) {
        if hole.lowerBound > start { result.ranges.append(start...hole.lowerBound - 1) }
        start = hole.upperBound + 1
      }
      if start <= range.upperBound { result.ranges.append(start...range.upperBound) }
    }
    return result
  }
}
