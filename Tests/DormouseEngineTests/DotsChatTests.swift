import DormouseEngine
import DormouseMedia
import DormouseSupport
import Testing

/// Chats of dots3-note with pictures, films and sounds, against transformers' own model and processor
/// (`Tests/Fixtures/models-media/generate_dots.py`). Prompts are longer than its sliding window and than what its indexer
/// picks.
@Suite struct DotsChatTests {
  static let folder = Fixtures.path("Fixtures/models-media/dots3_note-tiny")
  static let conversations = MediaChatTests.conversations(in: folder)
  private static let bound = 1e-5

  private static func engine(_ change: (inout EngineOptions) -> Void = { _ in }) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 2
    change(&options)
    return try Engine(path: folder, options: options)
  }

  /// The numbers of the tokens that stand for pictures, films and sounds, by config.json.
  private static func tokens() throws -> [Int32] {
    let configuration = try File.readJSON(folder + "/config.json")
    return try ["image_token_id", "video_token_id", "audio_token_id"].map {
      Int32(try #require(configuration[$0]?.integerValue))
    }
  }

  @Test func goldensAreThere() { #expect(Self.conversations.count == 6) }

  @Test(arguments: conversations)
  func answersAreThoseOfTransformers(_ conversation: MediaChatTests.Conversation) throws {
    let engine = try Self.engine()
    #expect(
      try engine.tokenize(messages: conversation.messages, attachments: conversation.attachments) == conversation.ids)
    let answer = try MediaChatTests.chat(try MediaChatTests.session(engine), conversation)
    #expect(answer.tokens == conversation.greedy)
    #expect(answer.counts.promptTokens == conversation.ids.count)
    let media = answer.counts.mediaTokens
    let expected = try Self.tokens().map { token in conversation.ids.count { $0 == token } }
    #expect([media.image, media.video, media.audio] == expected)
  }

  /// Logits behind the prompt and behind each of four tokens more.
  @Test(arguments: conversations)
  func logitsAreThoseOfTransformers(_ conversation: MediaChatTests.Conversation) throws {
    let golden = try TensorFile(Self.folder + "/golden.safetensors")
    let all = try golden.floats("\(conversation.name).logits")
    let session = try MediaChatTests.session(try Self.engine())
    _ = try MediaChatTests.chat(session, conversation, maxTokens: 5)
    let width = session.vocabularySize
    #expect(all.count == 5 * width)
    for index in [4, 3, 1, 0] {
      try session.truncate(to: conversation.ids.count + min(index, 1))
      for token in conversation.greedy[min(index, 1)..<index] { try session.prefill([token]) }
      let error = relativeError(try MediaChatTests.logits(session), all[index * width..<(index + 1) * width])
      #expect(error <= Self.bound, "\(conversation.name), \(index) tokens behind the prompt: \(error)")
    }
  }

  /// Sessions with everything side by side, and prompts in pieces.
  @Test func batchesChangeNoAnswer() async throws {
    let engine = try Self.engine { $0.promptTokensPerStep = 7 }
    try await withThrowingTaskGroup(of: (MediaChatTests.Conversation, [Int32]).self) { group in
      for conversation in Self.conversations {
        for _ in 0..<2 {
          group.addTask {
            let session = try MediaChatTests.session(engine, isPrivate: true)
            return (conversation, try MediaChatTests.chat(session, conversation).tokens)
          }
        }
      }
      for try await (conversation, tokens) in group { #expect(tokens == conversation.greedy, "\(conversation.name)") }
    }
  }

  /// Loading counts the bytes of the text model and of both towers once.
  @Test func loadingIsOneProgress() throws {
    let seen = Locked<[(UInt64, UInt64)]>([])
    _ = try Self.engine {
      $0.progress = { done, total in
        seen.withLock { $0.append((done, total)) }
        return true
      }
    }
    let calls = seen.withLock { $0 }
    let last = try #require(calls.last)
    #expect(last.0 == last.1 && calls.allSatisfy { $0.1 == last.1 })
    #expect(zip(calls, calls.dropFirst()).allSatisfy { $0.0 <= $1.0 })
  }
}
