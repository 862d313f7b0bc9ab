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
