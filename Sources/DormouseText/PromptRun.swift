/// A piece of a rendered prompt: markup may hold control tokens, content may not.
public struct PromptRun: Sendable, Equatable {
  public var text: String
  public var isMarkup: Bool

  public init(text: String, isMarkup: Bool) {
    self.text = text
    self.isMarkup = isMarkup
  }
}
