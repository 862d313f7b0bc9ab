import DormouseEngine
import DormouseMedia
import DormouseSupport
import Glibc
import Testing

/// Chats with images and videos, against transformers' own model and processor.
@Suite struct MediaChatTests {
  static let folder = Fixtures.path("Fixtures/models-media/kimi_k25-tiny")

  static let conversations = MediaConversation.all(in: folder)

  @Test func goldensAreThere() { #expect(Self.conversations.count == 5) }

  @Test(arguments: conversations)
  func answersAreThoseOfTransformers(_ conversation: MediaConversation) throws {
    try MediaChats.expectAnswer(conversation, in: Self.folder, tokens: [282, 283, -1])
  }

  @Test(arguments: conversations)
  func logitsAreThoseOfTransformers(_ conversation: MediaConversation) throws {
    // Every position of one, of the others the last of the prompt and the four behind it.
    let first = conversation.name == "image" ? conversation.ids.count - 1 : 0
    try MediaChats.expectLogits(conversation, in: Self.folder, first: first, count: 5)
  }

  /// What is held, shared or restored is not computed again, and a changed image is.
  @Test func equalContentIsEncodedOnce() throws {
    let engine = try MediaChats.engine(Self.folder)
    let conversation = try #require(Self.conversations.first { $0.name == "images" })
    let first = try MediaChats.session(engine)
    let answer = try MediaChats.chat(first, conversation)
    let again = try MediaChats.chat(first, conversation)
    #expect(again.tokens == answer.tokens && again.counts.promptReused == conversation.ids.count)
    let other = try MediaChats.chat(try MediaChats.session(engine), conversation)
    #expect(other.tokens == answer.tokens && other.counts.promptShared > 0)
    let alone = try MediaChats.chat(try MediaChats.session(engine, isPrivate: true), conversation)
    #expect(alone.tokens == answer.tokens && alone.counts.promptShared == 0)
  }

  @Test func aChangedPictureNeverHits() throws {
    let engine = try MediaChats.engine(Self.folder)
    var conversation = try #require(Self.conversations.first { $0.name == "image" })
    let first = try MediaChats.session(engine)
    _ = try MediaChats.chat(first, conversation)
    let original = try MediaChats.logits(first)
    let fresh = try MediaChats.session(engine)
    conversation = MediaConversation(conversation, attachments: [.image(try SyntheticImages.image(50, 37, seed: 9))])
    let changed = try MediaChats.chat(fresh, conversation)
    // No page is full: whatever is shared ends before the image.
    let start = try #require(conversation.ids.firstIndex(of: 282))
    #expect(changed.counts.promptShared <= start)
    #expect(try MediaChats.logits(fresh) != original)
    let alone = try MediaChats.session(try MediaChats.engine(Self.folder))
    #expect(try MediaChats.chat(alone, conversation).tokens == changed.tokens)
    #expect(try relativeError(MediaChats.logits(alone), MediaChats.logits(fresh)) <= 1e-5)
  }

  @Test func forksAndSavedSessionsGoOn() throws {
    let engine = try MediaChats.engine(Self.folder)
    let conversation = try #require(Self.conversations.first { $0.name == "mixed" })
    let session = try MediaChats.session(engine)
    let answer = try MediaChats.chat(session, conversation, maxTokens: 6)
    let fork = try session.fork()
    let folder = try TemporaryFolder()
    try session.save(to: folder.path + "/session")
    let restored = try MediaChats.session(try MediaChats.engine(Self.folder))
    try restored.restore(from: folder.path + "/session")
    for other in [fork, restored] {
      #expect(try MediaChats.logits(other) == MediaChats.logits(session))
      let again = try MediaChats.chat(other, conversation, maxTokens: 6)
      #expect(again.tokens == answer.tokens && again.counts.promptReused == conversation.ids.count)
    }
    // Without the messages' content its positions can't be evaluated again.
    let bare = try MediaChats.session(try MediaChats.engine(Self.folder))
    try bare.restore(from: folder.path + "/session")
    let end = try #require(conversation.ids.lastIndex(of: 282)) + 1
    try bare.truncate(to: end)
    let failure = #expect(throws: Failure.self) { try MediaChats.logits(bare) }
    #expect(failure?.status == .unsupported)
  }

  /// A session that has something encoded is in its step as one that has tokens computed.
  @Test func encodingsAreCounted() throws {
    let engine = try MediaChats.engine(Self.folder)
    let conversation = try #require(Self.conversations.first { $0.name == "image" })
    _ = try MediaChats.chat(try MediaChats.session(engine), conversation, maxTokens: 2)
    let steps = try #require(try engine.statistics()["steps"])
    #expect(steps["mean_batch"]?.doubleValue == 1 && steps["largest_batch"]?.integerValue == 1)
    // The tower has three layers, an embedding before them, and a projector behind.
    #expect(steps["count"]?.integerValue ?? 0 >= 5 + 2)
  }

  /// Images count for the prompt that brings them, and for no later one of their session.
  @Test func mediaCountForTheirOwnPrompt() throws {
    let session = try MediaChats.session(try MediaChats.engine(Self.folder))
    let conversation = try #require(Self.conversations.first { $0.name == "image" })
    #expect(try MediaChats.chat(session, conversation, maxTokens: 2).counts.mediaTokens.image > 0)
    let counts = try #require(try Runs.generate(session, [1, 2], 2).events.last).counts
    let media = counts.mediaTokens
    #expect(counts.promptTokens == 2 && [media.image, media.video, media.audio] == [0, 0, 0])
  }

  /// Cancelled while the video is encoded, before a token of the prompt is computed; the next call begins anew.
  @Test func cancellingStopsAnEncoding() throws {
    let session = try MediaChats.session(try MediaChats.engine(Self.folder))
    // Without a call under way it does nothing.
    session.cancel()
    let conversation = try #require(Self.conversations.first { $0.name == "video" })
    var events: [GenerationEvent] = []
    let failure = #expect(throws: Failure.self) {
      _ = try session.chat(
        messages: conversation.messages, attachments: conversation.attachments, configuration: nil
      ) { event in
        events.append(event)
        session.cancel()
        return 0
      }
    }
    #expect(failure?.status == .cancelled)
    #expect(events.map(\.kind) == [.prompt] && events.first?.counts.promptDone == 0)
    #expect(try session.length() == 0 || session.length() == conversation.ids.count)
    #expect(try MediaChats.chat(session, conversation).tokens == conversation.greedy)
  }

  /// Time that runs out while the video is encoded ends the call there, too.
  @Test func timeStopsAnEncoding() throws {
    let session = try MediaChats.session(try MediaChats.engine(Self.folder))
    let conversation = try #require(Self.conversations.first { $0.name == "video" })
    var events: [GenerationEvent] = []
    let failure = #expect(throws: Failure.self) {
      _ = try session.chat(
        messages: conversation.messages, attachments: conversation.attachments, configuration: #"{"time_limit": 0.4}"#
      ) { event in
        events.append(event)
        usleep(420_000)
        return 0
      }
    }
    #expect(failure?.status == .timedOut)
    #expect(events.count <= 1 && events.allSatisfy { $0.kind == .prompt && $0.counts.promptDone == 0 })
    #expect(try MediaChats.chat(session, conversation).tokens == conversation.greedy)
  }

  @Test func batchesChangeNoAnswer() async throws {
    try await MediaChats.expectAnswersSideBySide(Self.conversations, in: Self.folder)
  }

  @Test(arguments: [
    (#"{"type": "image_url", "image_url": "attachment:1"}"#, Status.invalidArgument, "there is no attachment 1"),
    (#"{"type": "video_url", "video_url": "attachment:0"}"#, .invalidArgument, "is of type image; expected video"),
    (#"{"type": "input_audio", "input_audio": {"url": "attachment:0"}}"#, .unsupported, "takes no parts of type audio"),
    (#"{"type": "image_url", "image_url": "https://a/b"}"#, .unsupported, "'https://a/b' is not fetched"),
    (#"{"type": "image_url", "image_url": "/etc/passwd"}"#, .invalidArgument, "this host allows no media files"),
    (#"{"type": "image_url", "image_url": "data:image/png,ab"}"#, .unsupported, "message 0, part 0"),
    (#"{"type": "image_url", "image_url": "data:image/png;base64,a"}"#, .invalidArgument, "message 0, part 0"),
  ])
  func badPartsAreRefused(part: String, status: Status, fragment: String) throws {
    let session = try MediaChats.session(try MediaChats.engine(Self.folder))
    let messages = #"[{"role": "user", "content": ["# + part + "]}]"
    let failure = #expect(throws: Failure.self) {
      _ = try session.chat(
        messages: messages, attachments: [.image(try SyntheticImages.image(9, 9, seed: 1))], configuration: nil
      ) { _ in 0 }
    }
    #expect(failure?.status == status && failure?.message.contains(fragment) == true, "\(String(describing: failure))")
    #expect(try session.length() == 0)
  }

  @Test func textModelsRefuseMedia() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let session = try Session(engine: engine, options: SessionOptions())
    let failure = #expect(throws: Failure.self) {
      _ = try session.chat(
        messages: #"[{"role": "user", "content": [{"type": "image_url", "image_url": "attachment:0"}]}]"#,
        attachments: [.image(try SyntheticImages.image(9, 9, seed: 1))], configuration: nil
      ) { _ in 0 }
    }
    #expect(failure?.status == .unsupported && failure?.message.contains("takes text only") == true)
  }
}
