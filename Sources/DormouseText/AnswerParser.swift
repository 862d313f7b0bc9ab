/// Reads an answer while a model writes it, token by token, and tells its parts.
///
/// What it can't decide yet it holds back, and a token may end one part and begin the next. Once buffers have grown, a
/// token of an answer allocates nothing: parsers keep to that.
public protocol AnswerParser: Sendable {
  /// Whether the next token is one of the reasoning, as far as is known: false before a model has begun any.
  var isReasoning: Bool { get }

  /// Takes the next token.
  /// - Parameters:
  ///   - text: the whole characters that the token completes; none for a control token.
  ///   - parts: gets what is decided now.
  mutating func append(_ token: Int32, text: [UInt8], to parts: inout AnswerParts)

  /// Ends the answer, and gives what was held back.
  /// - Parameter text: what is left behind the last token: U+FFFD for a character that it has not completed, or nothing.
  mutating func finish(text: [UInt8], to parts: inout AnswerParts)
}

/// What a text of an answer is; the numbers of `DORMOUSE_PART_...`.
public enum AnswerPart: Int32, Sendable {
  /// What the model says to its user.
  case content = 1
  /// What it thinks before.
  case reasoning = 2
  /// The name of a function that it calls: whole, once a call.
  case toolName = 3
  /// The call's arguments, an object in JSON: piece by piece.
  case toolArguments = 4
  /// What was meant as a call, or as the rest of one, and is none: as the model wrote it.
  case brokenCall = 5
}

/// What a parser has decided at a time: the next text of each part of an answer.
public struct AnswerParts: Sendable {
  /// A text of one part: whole characters.
  public struct Piece: Sendable, Equatable {
    public var part: AnswerPart
    /// Which call of the answer it belongs to, from 0; 0 for content and reasoning.
    public var toolIndex: Int
    /// The id that the model gave its call; empty where its format has none.
    public var toolID: String
    /// Where it stands in `text`.
    public var bytes: Range<Int>
  }

  /// The texts of all pieces, one behind the other.
  public private(set) var text: [UInt8] = []
  /// In the answer's order; neighbours are of different parts or calls, and none is empty but a `brokenCall`.
  public private(set) var pieces: [Piece] = []

  public init() {}

  /// Adds to a part; text that goes on with the last piece's part and call becomes part of that piece.
  public mutating func append(
    _ more: some Sequence<UInt8>, to part: AnswerPart, toolIndex: Int = 0, toolID: String = ""
  ) {
    let start = text.count
    text.append(contentsOf: more)
    guard text.count > start || part == .brokenCall else { return }
    let last = pieces.count - 1
    if last >= 0, pieces[last].part == part, pieces[last].toolIndex == toolIndex {
      pieces[last].bytes = pieces[last].bytes.lowerBound..<text.count
    } else {
      pieces.append(Piece(part: part, toolIndex: toolIndex, toolID: toolID, bytes: start..<text.count))
    }
  }

  /// Leaves nothing, and keeps the memory.
  public mutating func removeAll() {
    text.removeAll(keepingCapacity: true)
    pieces.removeAll(keepingCapacity: true)
  }
}

/// For models whose answers are content and nothing else.
public struct PlainAnswerParser: AnswerParser {
  public var isReasoning: Bool { false }

  public init() {}

  public mutating func append(_ token: Int32, text: [UInt8], to parts: inout AnswerParts) {
    parts.append(text, to: .content)
  }

  public mutating func finish(text: [UInt8], to parts: inout AnswerParts) { parts.append(text, to: .content) }
}

/// What a family of models writes around its reasoning and its calls of tools. Thread: any.
public protocol AnswerFormat: Sendable {
  /// As a configuration names it: "deepseek-v3.1".
  var name: String { get }

  /// The tokens that end the model's reasoning; empty for a model that does none.
  var reasoningEnd: [Int32] { get }

  /// A parser of the answer to a prompt, which may have begun the reasoning (`<think>`) or ended it already.
  /// - Parameters:
  ///   - prompt: the tokens before the answer.
  ///   - callsTools: whether calls of tools are looked for; otherwise what looks like one is content.
  func makeParser(after prompt: [Int32], callsTools: Bool) -> any AnswerParser
}
