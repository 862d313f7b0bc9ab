import DormouseEngine
import DormouseMedia
import DormouseSupport
import Testing

/// Chats of dots3-note with images, videos and audio, against transformers' own model and processor
/// (`Tests/Fixtures/models-media/generate_dots.py`). Prompts are longer than its sliding window and than what its indexer
/// picks.
@Suite struct DotsChatTests {
  static let folder = Fixtures.path("Fixtures/models-media/dots3_note-tiny")
  static let conversations = MediaConversation.all(in: folder)

  /// The numbers of the tokens that stand for images, videos and audio, by config.json.
  private static func tokens() throws -> [Int32] {
    let configuration = try File.readJSON(folder + "/config.json")
    return try ["image_token_id", "video_token_id", "audio_token_id"].map {
      Int32(try #require(configuration[$0]?.integerValue))
    }
  }

  @Test func goldensAreThere() { #expect(Self.conversations.count == 6) }

  @Test(arguments: conversations)
  func answersAreThoseOfTransformers(_ conversation: MediaConversation) throws {
    try MediaChats.expectAnswer(conversation, in: Self.folder, tokens: try Self.tokens())
  }

  @Test(arguments: conversations)
  func logitsAreThoseOfTransformers(_ conversation: MediaConversation) throws {
    try MediaChats.expectLogits(conversation, in: Self.folder, first: 0, count: 5)
  }

  @Test func batchesChangeNoAnswer() async throws {
    try await MediaChats.expectAnswersSideBySide(Self.conversations, in: Self.folder)
  }

  @Test func loadingIsOneProgress() throws { try MediaChats.expectOneProgress(Self.folder) }
}
