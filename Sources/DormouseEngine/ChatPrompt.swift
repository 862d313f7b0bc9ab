import DormouseMedia
import DormouseSupport
import DormouseText

/// What stands in a chat's prompt for its images, videos and audio.
struct ChatPrompt {
  /// One of them.
  struct Part {
    let content: MediaContent
    /// What the chat template writes in its place.
    let placeholder: String
    /// What stands there in the end.
    let pieces: [MediaPromptPiece]
    /// The token at the position of each row.
    let token: Int32
  }

  private let parts: [Part]
  private let tokenizer: Tokenizer
  private let file: String

  /// - Parameter file: the model's folder, for sentences.
  init(_ parts: [Part], tokenizer: Tokenizer, file: String) {
    self.parts = parts
    self.tokenizer = tokenizer
    self.file = file
  }

  /// The tokens of a rendered chat, and where in it what stands.
  /// - Throws: `Failure(.unsupported)` for a format that does not show every part, `.contextFull` for a text whose bytes
  ///   alone say that it is too long for the session, before any work is done on it.
  func encode(
    _ runs: [PromptRun], within limits: PromptLimits
  ) throws(Failure) -> (tokens: [Int32], spans: [MediaSpan]) {
    let (runs, rows) = try expanded(runs)
    let rowCount = parts.reduce(0) { $0 + $1.content.count }
    if let most = limits.contextLength, case let least = tokenizer.leastCount(of: runs) + rowCount, least > most {
      throw Failure(.contextFull, "the chat has at least \(least) tokens, more than the session's \(most)")
    }
    let mediaTokens = parts.map(\.token)
    let texts = try tokenizer.encode(runs, mediaTokens: mediaTokens, interruption: limits.interruption)
    let reserved = Set(mediaTokens)
    guard texts.allSatisfy({ reserved.isDisjoint(with: $0) }) else {
      throw Failure(.unsupported, "\(file): the chat template writes tokens that stand for images or audio")
    }
    var tokens = texts.first ?? []
    var spans: [MediaSpan] = []
    for ((part, rows), text) in zip(rows, texts.dropFirst()) {
      spans.append(MediaSpan(part.content, rows: rows, at: tokens.count))
      tokens += repeatElement(part.token, count: rows.count)
      tokens += text
    }
    return (tokens, spans)
  }

  /// The runs with one of media for each piece that is rows, and which rows those are.
  private func expanded(
    _ runs: [PromptRun]
  ) throws(Failure) -> (runs: [PromptRun], rows: [(part: Part, rows: Range<Int>)]) {
    var result: [PromptRun] = []
    var rows: [(part: Part, rows: Range<Int>)] = []
    var shown = 0
    for run in runs {
      guard case .media(let index) = run else {
        result.append(run)
        continue
      }
      guard index == shown, index < parts.count else { throw notShown(shown) }
      shown += 1
      let part = parts[index]
      var count = 0
      for piece in part.pieces {
        switch piece {
        case .markup(let text): result.append(.markup(text))
        case .rows(let more):
          result.append(run)
          rows.append((part, count..<count + more))
          count += more
        }
      }
      guard count == part.content.count else {
        throw Failure(.internalError, "\(file): a prompt has \(count) positions for \(part.content.count) rows")
      }
    }
    guard shown == parts.count else { throw notShown(shown) }
    return (result, rows)
  }

  private func notShown(_ shown: Int) -> Failure {
    Failure(
      .unsupported,
      "\(file): the chat template shows \(shown) of the messages' \(parts.count) images, videos and audio, in their"
        + " order")
  }
}
