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
