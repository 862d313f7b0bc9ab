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

  private static func shortened(_ text: String) -> String {
    var result = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
      if index == limit { return result + "..." }
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
