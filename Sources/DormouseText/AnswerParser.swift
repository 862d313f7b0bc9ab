/// Reads an answer while a model writes it, token by token, and tells its parts.
///
/// What it can't decide yet it holds back, and a token may end one part and begin the next. Once buffers have grown, a
/// token of an answer allocates nothing: parsers keep to that.
public protocol AnswerParser: Sendable {
  /// Takes the next token.
  /// - Parameters:
  ///   - text: the whole characters that the token completes; none for a control token.
  ///   - parts: gets what is decided now.
  mutating func append(_ token: Int32, text: [UInt8], to parts: inout AnswerParts)

  /// Ends the answer, and gives what was held back.
  /// - Parameter text: what is left behind the last token: U+FFFD for a character that it has not completed, or nothing.
  mutating func finish(text: [UInt8], to parts: inout AnswerParts)
}

/// What a parser has decided at a time: the next text of each part of an answer.
public struct AnswerParts: Sendable {
  /// What the model says to its user: whole characters.
  public private(set) var content: [UInt8] = []

  public init() {}

  public mutating func append(content text: [UInt8]) { content += text }

  /// Leaves nothing, and keeps the memory.
  public mutating func removeAll() { content.removeAll(keepingCapacity: true) }
}

/// For models whose answers are content and nothing else.
public struct PlainAnswerParser: AnswerParser {
  public init() {}

  public mutating func append(_ token: Int32, text: [UInt8], to parts: inout AnswerParts) {
    parts.append(content: text)
  }

  public mutating func finish(text: [UInt8], to parts: inout AnswerParts) { parts.append(content: text) }
}
