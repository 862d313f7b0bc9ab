/// What a file says, fit for a message: shortened, and with control characters made visible, so that a hostile file
/// can't steer a terminal.
public enum Excerpt {
  /// Unicode scalars of a text that are shown.
  static let limit = 120

  /// A name in single quotes.
  public static func name(_ text: String) -> String { "'\(shortened(text))'" }

  /// A value as JSON.
  public static func json(_ value: JSON) -> String { shortened(value.text()) }

  /// A piece of a document as it is.
  public static func text(_ text: String) -> String { shortened(text) }

  /// A whole text on one line.
  public static func line(_ text: String) -> String { text.unicodeScalars.map { shown($0) }.joined() }

  private static func shortened(_ text: String) -> String {
    var result = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index == limit { return result + "..." }
      result += shown(scalar)
    }
    return result
  }

  /// A character, or its number where it would end a line or hide.
  private static func shown(_ scalar: Unicode.Scalar) -> String {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: "\\u{\(String(scalar.value, radix: 16))}"
    default: String(scalar)
    }
  }
}
