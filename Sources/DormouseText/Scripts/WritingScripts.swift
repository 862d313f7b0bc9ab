public import DormouseSupport
import Synchronization

/// Scripts that languages are written in, by Unicode's names (UAX #24), as PCRE2 knows them.
public enum WritingScripts {
  /// Those that a policy may name; the ones that are met most stand first, since they are looked for in this order.
  public static let names = [
    "Latin", "Han", "Hiragana", "Katakana", "Hangul", "Cyrillic", "Arabic", "Devanagari", "Greek", "Hebrew", "Thai",
    "Bengali", "Tamil", "Telugu", "Gujarati", "Kannada", "Malayalam", "Gurmukhi", "Sinhala", "Georgian", "Armenian",
    "Ethiopic", "Khmer", "Lao", "Myanmar", "Tibetan",
  ]

  /// The scripts of a language, by its code in ISO 639-1; nil for one that is not among those known here.
  public static func scripts(ofLanguage code: String) -> [String]? { languages[code] }

  /// The codes of languages that are known.
  public static var languageCodes: [String] { languages.keys.sorted() }

  private static let languages: [String: [String]] = {
    var result = [
      "am": ["Ethiopic"], "ar": ["Arabic"], "be": ["Cyrillic"], "bg": ["Cyrillic"], "bn": ["Bengali"],
      "bo": ["Tibetan"], "el": ["Greek"], "fa": ["Arabic"], "gu": ["Gujarati"], "he": ["Hebrew"],
      "hi": ["Devanagari"], "hy": ["Armenian"], "ja": ["Han", "Hiragana", "Katakana"], "ka": ["Georgian"],
      "kk": ["Cyrillic"], "km": ["Khmer"], "kn": ["Kannada"], "ko": ["Hangul"], "lo": ["Lao"], "mk": ["Cyrillic"],
      "ml": ["Malayalam"], "mr": ["Devanagari"], "my": ["Myanmar"], "ne": ["Devanagari"], "pa": ["Gurmukhi"],
      "ru": ["Cyrillic"], "si": ["Sinhala"], "sr": ["Cyrillic", "Latin"], "ta": ["Tamil"], "te": ["Telugu"],
      "th": ["Thai"], "uk": ["Cyrillic"], "ur": ["Arabic"], "zh": ["Han"],
    ]
    for code in [
      "af", "az", "ca", "cs", "cy", "da", "de", "en", "es", "et", "eu", "fi", "fr", "ga", "gl", "hr", "hu", "id", "is",
      "it", "lt", "lv", "ms", "mt", "nb", "nl", "no", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr", "uz",
      "vi",
    ] { result[code] = ["Latin"] }
    return result
  }()

  private static let kept = Mutex<[String: LetterRanges]>([:])

  /// The letters of a script. Found at the first call, in some hundredths of a second, and kept.
  /// - Throws: `Failure(.invalidArgument)` for a name that is none of `names`.
  public static func letters(of script: String) throws(Failure) -> LetterRanges {
    guard names.contains(script) else {
      throw Failure(
        .invalidArgument, "there is no script \(Excerpt.name(script)); there are \(names.joined(separator: ", "))")
    }
    if let known = kept.withLock({ $0[script] }) { return known }
    let found = try LetterRanges(matching: "\\p{\(script)}")
    kept.withLock { $0[script] = found }
    return found
  }

  /// All letters, of whatever script.
  public static func allLetters() throws(Failure) -> LetterRanges {
    if let known = kept.withLock({ $0[""] }) { return known }
    let found = try LetterRanges(matching: "\\p{L}")
    kept.withLock { $0[""] = found }
    return found
  }

  /// The scripts that a text is written in: those of at least a tenth of the letters outside of its code.
  public static func scripts(of text: String) throws(Failure) -> [String] {
    let all = try allLetters()
    var scripts: [LetterRanges] = []
    var counts = [Int](repeating: 0, count: names.count)
    var code = CodeSpans()
    for scalar in text.unicodeScalars where !code.isCode(scalar) && all.contains(scalar) {
      for index in names.indices {
        if index == scripts.count { scripts.append(try letters(of: names[index])) }
        guard scripts[index].contains(scalar) else { continue }
        counts[index] += 1
        break
      }
    }
    let total = counts.reduce(0, +)
    return names.indices.filter { counts[$0] > 0 && counts[$0] * 10 >= total }.map { names[$0] }
  }
}

/// A set of letters, as ranges that ascend and do not touch.
public struct LetterRanges: Sendable, Equatable {
  public private(set) var ranges: [ClosedRange<UInt32>] = []

  /// No letters.
  public init() {}

  /// The letters that an expression of one character matches.
  init(matching expression: String) throws(Failure) {
    // Letters of the planes beyond these are ideographs, in ranges that a text of all of them would make long.
    var text: [UInt8] = []
    for value in UInt32(0x41)...0x323AF {
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

/// Tells which characters of a text in Markdown are code, one after the other: between backticks in a line, or between
/// fences of three and more.
public struct CodeSpans: Sendable {
  private var isFence = false
  private var isInline = false
  /// Backticks in a row.
  private var ticks = 0

  public init() {}

  /// Whether the text's next character is code, or a backtick around it.
  public mutating func isCode(_ scalar: Unicode.Scalar) -> Bool {
    if scalar == "`" {
      ticks += 1
      return true
    }
    if ticks >= 3 {
      isFence.toggle()
      isInline = false
    } else if ticks == 1, !isFence {
      isInline.toggle()
    }
    ticks = 0
    if scalar == "\n" { isInline = false }
    return isFence || isInline
  }
}
