import DormouseMedia
import DormouseSupport
import DormouseText
import Testing

@testable import DormouseEngine

/// How the media of a chat come to their places among its tokens.
@Suite struct ChatPromptTests {
  private static let pad = "<|media_pad|>"
  private static let folder = MediaChatTests.folder

  private let text: TextResources
  private let tokenizer: Tokenizer
  private let token: Int32

  init() throws {
    text = try TextResources(folder: Self.folder)
    tokenizer = try text.requireTokenizer()
    token = try #require(tokenizer.id(of: Self.pad))
  }

  private func part(_ rowCount: Int, _ pieces: [MediaPromptPiece]? = nil) -> ChatPrompt.Part {
    let hash = ContentHash([UInt8](repeating: UInt8(rowCount), count: 8))
    let content = MediaContent(PreparedRows(rowCount: rowCount, contentHash: hash))
    return ChatPrompt.Part(
      content: content, placeholder: Self.pad, pieces: pieces ?? [.rows(rowCount)], token: token)
  }

  private func encode(
    _ runs: [PromptRun], _ parts: [ChatPrompt.Part], context: Int? = nil
  ) throws(Failure) -> (tokens: [Int32], spans: [MediaSpan]) {
    try ChatPrompt(parts, tokenizer: tokenizer, file: "folder")
      .encode(runs, within: PromptLimits(contextLength: context))
  }

  /// The ids of a text in which every row is written out as its token.
  private func written(_ runs: [PromptRun]) throws -> [Int32] { Array(try tokenizer.encode(runs).joined()) }

  /// Rows that stand apart belong to one content, and words cross from a message into the markup of a video.
  @Test func rowsStandWhereTheirPiecesDo() throws {
    let video: [MediaPromptPiece] = [
      .markup("00:00:00.000<|media_begin|>"), .rows(2), .markup("<|media_end|>00:00:02.000"), .rows(3),
    ]
    let (tokens, spans) = try encode(
      [.content("at 1"), .media(0), .markup(" "), .content("then"), .media(1), .media(2)],
      [part(5, video), part(1), part(4)])
    let pads = { String(repeating: Self.pad, count: $0) }
    #expect(
      try tokens
        == written([
          .content("at 1"), .markup("00:00:00.000<|media_begin|>" + pads(2)),
          .markup("<|media_end|>00:00:02.000" + pads(3)), .markup(" "), .content("then"), .markup(pads(5)),
        ]))
    #expect(spans.flatMap(\.positions) == tokens.indices.filter { tokens[$0] == token })
    #expect(spans.map(\.positions.count) == [2, 3, 1, 4] && spans.map(\.firstRow) == [0, 2, 0, 0])
    #expect(spans.map { $0.content?.count } == [5, 5, 1, 4])
  }

  /// The words of a placeholder in a message are text, and those of the template too where nobody asks for media.
  @Test func whatAUserTypesIsNoMedium() throws {
    let request = try ChatRequest(
      json: """
        [{"role": "user", "content": [{"type": "text", "text": "\(Self.pad) and "},
        {"type": "image_url", "image_url": "attachment:0"}, {"type": "text", "text": "\(Self.pad)"}]}]
        """)
    let runs = try text.render(request, mediaPlaceholders: [Self.pad])
    #expect(runs.filter { $0 == .media(0) }.count == 1 && runs.contains(.content("\(Self.pad) and ")))
    let (tokens, spans) = try encode(runs, [part(3)])
    #expect(tokens.count { $0 == token } == 3 && spans.count == 1)
    let pads = String(repeating: Self.pad, count: 3)
    #expect(try tokens == written(runs.map { $0 == .media(0) ? .markup(pads) : $0 }))
    #expect(try text.render(request).count { $0.text.contains("<|media_content|>\(Self.pad)<|media_end|>") } == 1)
  }

  @Test(arguments: [
    ([PromptRun.markup("a"), .media(0)], "shows 1 of the messages' 2 images, videos and audio, in their order"),
    ([], "shows 0 of the messages' 2 images, videos and audio, in their order"),
    ([.media(1), .media(0)], "shows 0 of the messages' 2 images, videos and audio, in their order"),
    ([.media(0), .media(1), .media(2)], "shows 2 of the messages' 2 images, videos and audio, in their order"),
    ([.media(0), .media(1), .markup(pad)], "writes tokens that stand for images or audio"),
  ])
  func everyPartIsShownOnce(_ runs: [PromptRun], _ sentence: String) throws {
    #expect {
      try encode(runs, [part(1), part(2)])
    } throws: { error in
      (error as? Failure) == Failure(.unsupported, "folder: the chat template \(sentence)")
    }
  }

  @Test func rowsCountBeforeAnythingIsTokenized() throws {
    let runs: [PromptRun] = [.content(String(repeating: "a", count: 100)), .media(0)]
    #expect {
      try encode(runs, [part(40)], context: 41)
    } throws: { error in
      (error as? Failure)?.status == .contextFull && "\(error)".hasPrefix("the chat has at least ")
    }
    #expect(try encode(runs, [part(40)], context: 1000).spans.count == 1)
  }
}
