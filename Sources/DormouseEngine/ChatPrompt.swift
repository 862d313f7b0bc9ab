import DormouseMedia
import DormouseSupport
import DormouseText

/// What stands in a chat's prompt for its pictures, clips and sounds.
struct ChatPrompt {
  /// A part of the chat, and what the prompt says in its place.
  struct Part {
    let content: MediaContent
    /// What the template writes.
    let placeholder: String
    /// What stands there in the end, with as many `padding` in it as the content has rows.
    let replacement: String
    let padding: String
  }

  let parts: [Part]
  private let tokenizer: Tokenizer
  private let file: String

  /// - Parameter file: the model's folder, for sentences.
  init(_ parts: [Part], tokenizer: Tokenizer, file: String) {
    self.parts = parts
    self.tokenizer = tokenizer
    self.file = file
  }

  /// The tokens of a rendered chat, and where in it what stands.
  /// - Throws: `Failure(.unsupported)` for a template that does not show every part.
  func encode(
    _ runs: [PromptRun], within limits: PromptLimits
  ) throws(Failure) -> (tokens: [Int32], spans: [MediaSpan]) {
    let tokens = try tokenizer.encode(try replaced(runs), within: limits)
    var rest = positions(of: tokens)[...]
    var spans: [MediaSpan] = []
    for part in parts {
      let own = rest.prefix(part.content.count)
      guard own.count == part.content.count else {
        throw Failure(
          .unsupported, "\(file): the tokenizer makes fewer tokens of \(part.padding) than the prompt has of them")
      }
      rest = rest.dropFirst(own.count)
      spans += MediaSpan.spans(of: part.content, at: own)
    }
    guard rest.isEmpty else {
      throw Failure(.unsupported, "\(file): the chat template writes tokens that stand for pictures or sound")
    }
    return (tokens, spans)
  }

  /// Puts what the parts are in place of what the template wrote for them: in markup alone, which no message can forge.
  private func replaced(_ runs: [PromptRun]) throws(Failure) -> [PromptRun] {
    var rest = parts[...]
    var result: [PromptRun] = []
    for run in runs {
      guard run.isMarkup else {
        result.append(run)
        continue
      }
      result.append(PromptRun(text: replaced(run.text, &rest), isMarkup: true))
    }
    guard rest.isEmpty else {
      throw Failure(
        .unsupported,
        "\(file): the chat template shows \(parts.count - rest.count) of the messages' \(parts.count) pictures, clips"
          + " and sounds, in their order")
    }
    return result
  }

  private func replaced(_ text: String, _ rest: inout ArraySlice<Part>) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var start = 0
    while let part = rest.first, let place = ChatPrompt.find(Array(part.placeholder.utf8), in: bytes, from: start) {
      result += bytes[start..<place]
      result += part.replacement.utf8
      start = place + part.placeholder.utf8.count
      rest = rest.dropFirst()
    }
    return String(decoding: result + bytes[start...], as: UTF8.self)
  }

  private static func find(_ wanted: [UInt8], in bytes: [UInt8], from start: Int) -> Int? {
    guard !wanted.isEmpty, bytes.count - start >= wanted.count else { return nil }
    return (start...bytes.count - wanted.count).first { bytes[$0..<$0 + wanted.count].elementsEqual(wanted) }
  }

  /// Where `tokens` stand for rows.
  private func positions(of tokens: [Int32]) -> [Int] {
    let ids = Set(parts.compactMap { tokenizer.id(of: $0.padding) })
    return tokens.indices.filter { ids.contains(tokens[$0]) }
  }
}

extension MediaSpan {
  /// One span for each run of neighbouring positions.
  static func spans(of content: MediaContent, at positions: ArraySlice<Int>) -> [MediaSpan] {
    var spans: [MediaSpan] = []
    var start = positions.startIndex
    for index in positions.indices {
      let next = index + 1
      guard next == positions.endIndex || positions[next] != positions[index] + 1 else { continue }
      let rows = start - positions.startIndex..<next - positions.startIndex
      spans.append(MediaSpan(content, rows: rows, at: positions[start]))
      start = next
    }
    return spans
  }
}
