/// What a template prints. Long texts stay in the memory that they came in, so that a prompt is put together once.
struct TemplateOutput {
  private var pieces: [TemplateText] = []
  /// What was printed after the last of `pieces`.
  private var tail = TemplateTextBuilder()
  private(set) var count = 0

  /// Characters from which a text is a piece of its own.
  private static let longPiece = 1024

  init() {}

  init(_ text: TemplateText) { append(text) }

  mutating func append(_ text: TemplateText) {
    count += text.count
    guard text.count >= TemplateOutput.longPiece, text.isMostOfItsStorage else { return tail.append(text) }
    if tail.count > 0 { pieces.append(tail.text) }
    tail = TemplateTextBuilder()
    pieces.append(text)
  }

  /// As one text.
  var text: TemplateText {
    guard !pieces.isEmpty else { return tail.text }
    if pieces.count == 1, tail.count == 0 { return pieces[0] }
    var builder = TemplateTextBuilder()
    for piece in pieces { builder.append(piece) }
    builder.append(tail.text)
    return builder.text
  }

  /// As runs of a prompt; adjacent runs differ in origin and none is empty.
  var promptRuns: [PromptRun] {
    var result: [PromptRun] = []
    var utf8: [UInt8] = []
    var isMarkup = false
    func endRun() {
      guard !utf8.isEmpty else { return }
      let text = String(decoding: utf8, as: UTF8.self)
      result.append(isMarkup ? .markup(text) : .content(text))
      utf8.removeAll(keepingCapacity: true)
    }
    for piece in pieces + [tail.text] {
      piece.forEachRun { range, origin in
        if origin != isMarkup { endRun() }
        isMarkup = origin
        piece.appendUTF8(of: range, to: &utf8)
      }
    }
    endRun()
    return result
  }
}
