import DormouseEngine
import DormouseMedia
import DormouseSupport
import Testing

/// Chats with pictures and films, against transformers' own model and processor.
@Suite struct MediaChatTests {
  static let folder = Fixtures.path("Fixtures/models-media/kimi_k25-tiny")
  private static let bound = 1e-5

  /// A conversation of the goldens.
  struct Conversation: Sendable, CustomTestStringConvertible {
    let name: String
    let messages: String
    let attachments: [MediaItem]
    let ids: [Int32]
    let greedy: [Int32]

    var testDescription: String { name }

    init(_ json: JSON) throws {
      let fields = try JSONFields(json, file: "golden.json")
      name = try fields.string("name")
      ids = (try fields.optionalArray("ids") ?? []).compactMap { $0.integerValue.map { Int32($0) } }
      greedy = (try fields.optionalArray("greedy") ?? []).compactMap { $0.integerValue.map { Int32($0) } }
      var attachments: [MediaItem] = []
      let messages = try (try fields.optionalArray("messages") ?? []).map { message -> JSON in
        guard var object = message.objectValue, let parts = object["content"]?.arrayValue else { return message }
        object["content"] = .array(
          try parts.map { part in
            guard let item = try Conversation.item(part) else { return part }
            attachments.append(item)
            let type = item.modality == .audio ? "input_audio" : "\(item.modality.rawValue)_url"
            return ["type": .string(type), type: ["url": .string("attachment:\(attachments.count - 1)")]]
          })
        return .object(object)
      }
      self.attachments = attachments
      self.messages = JSON.array(messages).text()
    }

    /// [width, height, seed], [frames, width, height, seed, frames a second], or [samples, seed]; nil for text.
    private static func item(_ part: JSON) throws -> MediaItem? {
      let numbers = (part["image"] ?? part["video"] ?? part["audio"])?.arrayValue?.compactMap(\.doubleValue) ?? []
      let n = numbers.map { Int($0) }
      switch part["type"]?.stringValue {
      case "image": return .image(try Pictures.image(n[0], n[1], seed: n[2]))
      case "video":
        let frames = try (0..<n[0]).map { try Pictures.image(n[1], n[2], seed: n[3] + $0) }
        return .video(try HeldFilm(frames, framesPerSecond: numbers[4]), framesPerSecond: nil)
      case "audio":
        var sound = try HeldSound(channelCount: 1, rate: Sounds.rate)
        try Sounds.voice(n[0], seed: n[1]).withUnsafeBufferPointer { try sound.append($0) }
        return .audio(sound)
      default: return nil
      }
    }
  }

  static let conversations = conversations(in: folder)

  static func conversations(in folder: String) -> [Conversation] {
    let document = try? File.readJSON(folder + "/golden.json")
    return (document?["conversations"]?.arrayValue ?? []).compactMap { try? Conversation($0) }
  }

  private static func engine(_ change: (inout EngineOptions) -> Void = { _ in }) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 2
    change(&options)
    return try Engine(path: folder, options: options)
  }

  static func session(_ engine: Engine, isPrivate: Bool = false) throws -> Session {
    var options = SessionOptions()
    options.isPrivate = isPrivate
    return try Session(engine: engine, options: options)
  }

  /// The tokens of an answer, and what its last event counts.
  static func chat(
    _ session: Session, _ conversation: Conversation, maxTokens: Int = 16
  ) throws -> (tokens: [Int32], counts: GenerationEvent.Counts) {
    var tokens: [Int32] = []
    var counts = GenerationEvent.Counts()
    let configuration = #"{"temperature": 0, "ignore_eos": true, "max_tokens": "# + "\(maxTokens)}"
    _ = try session.chat(
      messages: conversation.messages, attachments: conversation.attachments, configuration: configuration
    ) { event in
      if event.kind == .token { tokens.append(event.token) }
      counts = event.counts
      return 0
    }
    return (tokens, counts)
  }

  static func logits(_ session: Session) throws -> [Float] {
    var logits = [Float](repeating: .nan, count: session.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
    return logits
  }

  @Test func goldensAreThere() { #expect(Self.conversations.count == 5) }

  @Test(arguments: conversations)
  func answersAreThoseOfTransformers(_ conversation: Conversation) throws {
    let engine = try Self.engine()
    #expect(
      try engine.tokenize(messages: conversation.messages, attachments: conversation.attachments) == conversation.ids)
    let session = try Self.session(engine)
    let answer = try Self.chat(session, conversation)
    #expect(answer.tokens == conversation.greedy)
    #expect(answer.counts.promptTokens == conversation.ids.count)
    let media = answer.counts.mediaTokens
    #expect(media.image == conversation.ids.count { $0 == 282 } && media.video == conversation.ids.count { $0 == 283 })
  }

  /// Logits behind the prompt and behind each of four tokens more; to rewind and evaluate anew changes nothing.
  @Test(arguments: conversations)
  func logitsAreThoseOfTransformers(_ conversation: Conversation) throws {
    let golden = try TensorFile(Self.folder + "/golden.safetensors")
    let all = try golden.floats("\(conversation.name).logits")
    let session = try Self.session(try Self.engine())
    _ = try Self.chat(session, conversation, maxTokens: 5)
    let width = session.vocabularySize
    let first = conversation.name == "image" ? conversation.ids.count - 1 : 0
    for index in [4, 3, 1, 0] where index < all.count / width {
      try session.truncate(to: conversation.ids.count + min(index, 1))
      for token in conversation.greedy[min(index, 1)..<index] { try session.prefill([token]) }
      let expected = all[(first + index) * width..<(first + index + 1) * width]
      let error = relativeError(try Self.logits(session), expected)
      #expect(error <= Self.bound, "\(conversation.name), \(index) tokens behind the prompt: \(error)")
    }
  }

  /// What is held, shared or restored is not computed again, and a changed picture is.
  @Test func equalContentIsEncodedOnce() throws {
    let engine = try Self.engine()
    let conversation = try #require(Self.conversations.first { $0.name == "images" })
    let first = try Self.session(engine)
    let answer = try Self.chat(first, conversation)
    let again = try Self.chat(first, conversation)
    #expect(again.tokens == answer.tokens && again.counts.promptReused == conversation.ids.count)
    let other = try Self.chat(try Self.session(engine), conversation)
    #expect(other.tokens == answer.tokens && other.counts.promptShared > 0)
    let alone = try Self.chat(try Self.session(engine, isPrivate: true), conversation)
    #expect(alone.tokens == answer.tokens && alone.counts.promptShared == 0)
  }

  @Test func aChangedPictureNeverHits() throws {
    let engine = try Self.engine()
    var conversation = try #require(Self.conversations.first { $0.name == "image" })
    let first = try Self.session(engine)
    _ = try Self.chat(first, conversation)
    let original = try Self.logits(first)
    let fresh = try Self.session(engine)
    conversation = Conversation(conversation, attachments: [.image(try Pictures.image(50, 37, seed: 9))])
    let changed = try Self.chat(fresh, conversation)
    // No page is full: whatever is shared ends before the picture.
    let start = try #require(conversation.ids.firstIndex(of: 282))
    #expect(changed.counts.promptShared <= start)
    #expect(try Self.logits(fresh) != original)
    let alone = try Self.session(try Self.engine())
    #expect(try Self.chat(alone, conversation).tokens == changed.tokens)
    #expect(try relativeError(Self.logits(alone), Self.logits(fresh)) <= Self.bound)
  }

  @Test func forksAndSavedSessionsGoOn() throws {
    let engine = try Self.engine()
    let conversation = try #require(Self.conversations.first { $0.name == "mixed" })
    let session = try Self.session(engine)
    let answer = try Self.chat(session, conversation, maxTokens: 6)
    let fork = try session.fork()
    let folder = try TemporaryFolder()
    try session.save(to: folder.path + "/session")
    let restored = try Self.session(try Self.engine())
    try restored.restore(from: folder.path + "/session")
    for other in [fork, restored] {
      #expect(try Self.logits(other) == Self.logits(session))
      let again = try Self.chat(other, conversation, maxTokens: 6)
      #expect(again.tokens == answer.tokens && again.counts.promptReused == conversation.ids.count)
    }
    // Without the messages' content its positions can't be evaluated again.
    let bare = try Self.session(try Self.engine())
    try bare.restore(from: folder.path + "/session")
    let end = try #require(conversation.ids.lastIndex(of: 282)) + 1
    try bare.truncate(to: end)
    let failure = #expect(throws: Failure.self) { try Self.logits(bare) }
    #expect(failure?.status == .unsupported)
  }

  /// A session that has something encoded is in its step as one that has tokens computed.
  @Test func encodingsAreCounted() throws {
    let engine = try Self.engine()
    let conversation = try #require(Self.conversations.first { $0.name == "image" })
    _ = try Self.chat(try Self.session(engine), conversation, maxTokens: 2)
    let steps = try #require(try engine.statistics()["steps"])
    #expect(steps["mean_batch"]?.doubleValue == 1 && steps["largest_batch"]?.integerValue == 1)
    // The tower has three layers, an embedding before them, and a projector behind.
    #expect(steps["count"]?.integerValue ?? 0 >= 5 + 2)
  }

  @Test func cancellingStopsAnEncoding() throws {
    let session = try Self.session(try Self.engine())
    session.cancel()
    let conversation = try #require(Self.conversations.first { $0.name == "video" })
    #expect(try Self.chat(session, conversation).tokens == conversation.greedy)
  }

  /// Sessions with and without media, side by side.
  @Test func batchesChangeNoAnswer() async throws {
    let engine = try Self.engine { $0.promptTokensPerStep = 7 }
    try await withThrowingTaskGroup(of: (Conversation, [Int32]).self) { group in
      for _ in 0..<3 {
        for conversation in Self.conversations {
          group.addTask {
            let session = try Self.session(engine, isPrivate: true)
            return (conversation, try Self.chat(session, conversation).tokens)
          }
        }
      }
      for try await (conversation, tokens) in group { #expect(tokens == conversation.greedy, "\(conversation.name)") }
    }
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
    let session = try Self.session(try Self.engine())
    let messages = #"[{"role": "user", "content": ["# + part + "]}]"
    let failure = #expect(throws: Failure.self) {
      _ = try session.chat(
        messages: messages, attachments: [.image(try Pictures.image(9, 9, seed: 1))], configuration: nil
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
        attachments: [.image(try Pictures.image(9, 9, seed: 1))], configuration: nil
      ) { _ in 0 }
    }
    #expect(failure?.status == .unsupported && failure?.message.contains("takes text only") == true)
  }
}

extension MediaChatTests.Conversation {
  fileprivate init(_ other: Self, attachments: [MediaItem]) {
    name = other.name
    messages = other.messages
    self.attachments = attachments
    ids = other.ids
    greedy = other.greedy
  }
}
