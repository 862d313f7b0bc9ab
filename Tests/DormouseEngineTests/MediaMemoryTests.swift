import DormouseMedia
import DormouseSupport
import Testing

@testable import DormouseEngine

/// What images, videos and audio take of an engine's memory, and when it comes back; and sessions that hold some of a
/// picture only.
@Suite struct MediaMemoryTests {
  private static let folder = MediaChatTests.folder
  private static let hiddenSize = 32

  private static func conversation(_ name: String) throws -> MediaConversation {
    try #require(MediaChatTests.conversations.first { $0.name == name })
  }

  private static func image(_ seed: Int = 1) throws -> MediaItem {
    .image(try SyntheticImages.image(80, 60, seed: seed))
  }

  @Test func rowsAndScratchAreCounted() throws {
    let engine = try MediaChats.engine(Self.folder)
    let media = try #require(engine.media)
    let before = engine.memoryBudget.usedByteCount
    let rows = try media.makeRows(count: 3, of: .image)
    #expect(engine.memoryBudget.usedByteCount == before + UInt64(3 * Self.hiddenSize * 4))
    let prepared = try media.encoder.prepare(Self.image(), engine.mediaTerms())
    let scratch = try media.reserveScratch(for: prepared)
    #expect(prepared.scratchByteCount > 0)
    #expect(
      engine.memoryBudget.usedByteCount == before + UInt64(3 * Self.hiddenSize * 4 + prepared.scratchByteCount))
    withExtendedLifetime((rows, scratch)) {}
  }

  /// What a tower works in is set aside while it does, and no longer.
  @Test func scratchIsHeldWhileATowerWorks() throws {
    let engine = try MediaChats.engine(Self.folder) { $0.sharesPrefixes = false }
    let conversation = try Self.conversation("image")
    let item = try #require(conversation.attachments.first)
    let scratch = try #require(engine.media).encoder.prepare(item, engine.mediaTerms()).scratchByteCount
    let session = try MediaChats.session(engine, isPrivate: true)
    let before = engine.memoryBudget.usedByteCount
    _ = try MediaChats.chat(session, conversation, maxTokens: 1)
    let after = engine.memoryBudget.usedByteCount
    #expect(engine.memoryBudget.peakByteCount >= after + UInt64(scratch))
    #expect(after - before >= UInt64(12 * Self.hiddenSize * 4) && after - before < UInt64(scratch))
  }

  /// Rows that no session holds make way for whoever needs their memory.
  @Test func rowsMakeWay() throws {
    let limit: UInt64 = 64 << 20
    let engine = try MediaChats.engine(Self.folder) {
      $0.memoryLimit = limit
      $0.sharesPrefixes = false
    }
    let empty = engine.memoryBudget.usedByteCount
    for seed in 1...3 {
      let conversation = MediaConversation(try Self.conversation("image"), attachments: [try Self.image(seed)])
      _ = try MediaChats.chat(try MediaChats.session(engine, isPrivate: true), conversation, maxTokens: 1)
    }
    #expect(engine.memoryBudget.usedByteCount >= empty + UInt64(3 * 12 * Self.hiddenSize * 4))
    let all = try engine.memoryBudget.reserve(limit - empty, for: "all that is left")
    #expect(engine.memoryBudget.usedByteCount == limit)
    withExtendedLifetime(all) {}
  }

  /// With `cache_bytes` 0 nothing stays that no session holds.
  @Test(arguments: [true, false]) func cacheBytesAreKeptTo(_ keeps: Bool) throws {
    let engine = try MediaChats.engine(Self.folder) {
      $0.sharesPrefixes = false
      $0.media = (try? MediaOptions(json: keeps ? "{}" : #"{"cache_bytes": 0}"#)) ?? $0.media
    }
    let conversation = try Self.conversation("image")
    func encodedSteps() throws -> Int64 {
      let before = try #require(try engine.statistics()["steps"]?["count"]?.integerValue)
      _ = try MediaChats.chat(try MediaChats.session(engine, isPrivate: true), conversation, maxTokens: 1)
      return try #require(try engine.statistics()["steps"]?["count"]?.integerValue) - before
    }
    let first = try encodedSteps()
    #expect(first > 1)
    #expect(try encodedSteps() == (keeps ? 1 : first))
  }

  @Test func everyMediaOptionIsRead() throws {
    let options = try MediaOptions(
      json: #"{"max_bytes": 1, "max_pixels": 2, "max_frames": 3, "max_output_bytes": 4, "max_seconds": 5.5,"#
        + #" "time_limit": 6.5, "cache_bytes": 7, "speech_model": "x"}"#)
    let file = options.file
    #expect([file.byteLimit, file.pixelLimit, file.frameLimit, file.outputLimit] == [1, 2, 3, 4])
    #expect([file.secondLimit, file.timeLimit] == [5.5, 6.5])
    #expect(options.cacheByteLimit == 7 && options.speechModel == "x" && options.dataByteLimit == 1)
  }

  /// Rows that a session already looks at are not exchanged under it.
  @Test func rowsStayThatCameFirst() throws {
    let content = MediaContent(PreparedRows(rowCount: 2, contentHash: ContentHash([1, 2, 3, 4, 5, 6, 7, 8])))
    #expect(content.prepared != nil && content.rows == nil)
    let budget = MemoryBudget(limit: nil, name: "test")
    let rows = try (0..<2).map { _ in
      MediaContent.Rows(
        memory: try AlignedBuffer(byteCount: 16, for: "rows"), reservation: try budget.reserve(0, for: "rows"))
    }
    for some in rows { content.complete(some) }
    #expect(content.rows?.pointer == rows[0].pointer && content.prepared == nil)
  }

  /// Towers are a part of what a session needs: with a byte less than all of it none opens, and with just as much one can
  /// be filled.
  @Test func whatIsNeededIsEnough() throws {
    var options = SessionOptions()
    options.contextLength = 192
    options.isPrivate = true
    let needed = try MediaChats.engine(Self.folder).plan(for: options).neededBytes
    for (limit, status) in [(needed, nil), (needed - 1, Status.outOfMemory)] {
      let engine = try MediaChats.engine(Self.folder) {
        $0.memoryLimit = limit
        $0.sharesPrefixes = false
      }
      let found = Runs.status {
        try Session(engine: engine, options: options).prefill((0..<192).map { Int32($0 % 200) })
      }
      #expect(found == status, "\(limit)")
    }
  }

  // MARK: - Some of a picture

  /// A conversation in which a picture begins in the first page and ends in the second.
  private static func acrossPages(_ engine: Engine) throws -> (MediaConversation, picture: Range<Int>) {
    let picture = try image()
    for length in 10..<60 {
      let text = JSON.string(String(repeating: "a ", count: length))
      let messages: JSON = [
        [
          "role": "user",
          "content": [
            ["type": "text", "text": text], ["type": "image_url", "image_url": ["url": "attachment:0"]],
            ["type": "text", "text": "what is it"],
          ],
        ]
      ]
      let ids = try engine.tokenize(messages: messages.text(), attachments: [picture])
      guard let first = ids.firstIndex(of: 282), let last = ids.lastIndex(of: 282), first < 60, last >= 66 else {
        continue
      }
      let conversation = MediaConversation(
        messages: messages.text(), attachments: [picture], ids: ids)
      return (conversation, first..<last + 1)
    }
    throw Failure(.notFound, "no text is of the right length")
  }

  /// Another session's first page holds half of a picture: the other half is encoded, and nothing is as if it were
  /// missing.
  @Test func halfAPictureMayBeShared() throws {
    let engine = try MediaChats.engine(Self.folder) {
      $0.media = (try? MediaOptions(json: #"{"cache_bytes": 0}"#)) ?? $0.media
    }
    let (conversation, picture) = try Self.acrossPages(engine)
    let alone = try MediaChats.session(engine, isPrivate: true)
    let expected = try MediaChats.chat(alone, conversation)
    let first = try MediaChats.session(engine)
    _ = try MediaChats.chat(first, conversation, maxTokens: 1)
    let second = try MediaChats.session(engine)
    let found = try MediaChats.chat(second, conversation)
    #expect(picture.contains(found.counts.promptShared))
    #expect(found.tokens == expected.tokens)
    #expect(try relativeError(MediaChats.logits(second), MediaChats.logits(alone)) <= 1e-5)
    withExtendedLifetime(first) {}
  }

  /// A restored session that gets its messages again knows their pictures: it can be cut in their midst, and goes on.
  @Test func aRestoredSessionLearnsItsPictures() throws {
    let engine = try MediaChats.engine(Self.folder)
    let (conversation, picture) = try Self.acrossPages(engine)
    let folder = try TemporaryFolder()
    let saved = try MediaChats.session(engine, isPrivate: true)
    _ = try MediaChats.chat(saved, conversation, maxTokens: 1)
    try saved.save(to: folder.path + "/session")
    let restored = try MediaChats.session(engine, isPrivate: true)
    try restored.restore(from: folder.path + "/session")
    let counts = try MediaChats.chat(restored, conversation, maxTokens: 1).counts
    #expect(counts.promptReused == conversation.ids.count && counts.mediaTokens.image == picture.count)
    for session in [saved, restored] { try session.truncate(to: picture.lowerBound + 5) }
    #expect(try MediaChats.logits(restored) == MediaChats.logits(saved))
    for session in [saved, restored] { try session.prefill([3, 4]) }
    #expect(try MediaChats.logits(restored) == MediaChats.logits(saved))
  }

  /// Whatever was cut, added, forked and slid out: a session has the logits of one that evaluates its timeline anew.
  @Test(arguments: [nil, 0, 21]) func picturesFollowEveryCut(_ keeping: Int?) throws {
    var random = Random(state: 17)
    let engine = try MediaChats.engine(Self.folder) {
      $0.media = (try? MediaOptions(json: #"{"cache_bytes": 2000}"#)) ?? $0.media
    }
    let conversations = try ["image", "images", "video"].map(Self.conversation)
    let context = 110
    var options = SessionOptions()
    options.contextLength = context
    if let keeping { options.overflow = .slide(keeping: keeping) }
    for round in 0..<3 {
      var session = try Session(engine: engine, options: options)
      for step in 0..<10 {
        switch random.next() % 6 {
        case 0, 1:
          let conversation = try #require(conversations.randomElement(using: &random))
          _ = try MediaChats.chat(session, conversation, maxTokens: Int.random(in: 1...30, using: &random))
        case 2, 3: try session.truncate(to: Int.random(in: 0...session.length(), using: &random))
        case 4: session = try session.fork()
        default:
          let tokens = (0..<Int.random(in: 1...40, using: &random)).map { _ in Int32(random.next() % 250) }
          guard try keeping != nil || session.length() + tokens.count <= context else { continue }
          try session.prefill(tokens)
        }
        guard try session.length() > 0 else { continue }
        let error = try relativeError(MediaChats.logits(session), Self.anew(session))
        #expect(error <= 1e-5, "round \(round), step \(step): \(error)")
      }
    }
  }

  /// The logits of a private session that evaluates the same timeline at once.
  private static func anew(_ session: Session) throws -> [Float] {
    let other = try MediaChats.session(session.engine, isPrivate: true)
    let timeline = session.timeline
    try other.state.exclusively { () throws(Failure) in
      try other.atWork(WorkTerms(), appending: timeline.count, { $0.append(timeline, from: 0) }) { () throws(Failure) in
        try other.ensureLogits { _ in }
      }
    }
    return try MediaChats.logits(other)
  }

  // MARK: - What is asked of media

  /// A part's `fps` holds for what the host hands over, too.
  @Test func framesASecondAreThoseOfThePart() throws {
    let engine = try MediaChats.engine(Self.folder)
    let frames = try (0..<32).map { try SyntheticImages.image(40, 27, seed: $0) }
    let video = try HeldVideo(frames, framesPerSecond: 8)
    func tokens(_ more: String, _ rate: Double?) throws -> [Int32] {
      try engine.tokenize(
        messages:
          #"[{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "attachment:0"\#(more)}}]}]"#,
        attachments: [.video(video, framesPerSecond: rate)])
    }
    let slow = try tokens("", 1)
    #expect(try tokens(#", "fps": 1"#, nil) == slow && tokens(#", "fps": 1"#, 8) == slow)
    #expect(try tokens("", nil).count > slow.count)
  }

  /// The places of a picture hold no token: what stands for it is not penalised.
  @Test func picturesAreNotPenalised() throws {
    let engine = try MediaChats.engine(Self.folder)
    let conversation = try Self.conversation("image")
    let session = try MediaChats.session(engine, isPrivate: true)
    _ = try MediaChats.chat(session, conversation, maxTokens: 1)
    try session.truncate(to: conversation.ids.count)
    var logits = try MediaChats.logits(session)
    let text = Set(conversation.ids.filter { $0 != 282 })
    #expect(!text.contains(0) && abs(logits[0]) > 0.01)
    for token in text { logits[Int(token)] = logits[Int(token)] > 0 ? logits[Int(token)] / 4 : logits[Int(token)] * 4 }
    // Token 0 is the best one by a little, unless it is penalised.
    let best = try #require(logits.dropFirst().max())
    let bias = best - logits[0] + abs(logits[0]) / 8
    var chosen: [Int32] = []
    _ = try session.chat(
      messages: conversation.messages, attachments: conversation.attachments,
      configuration: #"{"max_tokens": 1, "ignore_eos": true, "repetition_penalty": 4, "logit_bias": {"0": \#(bias)}}"#
    ) { event in
      if event.kind == .token { chosen.append(event.token) }
      return 0
    }
    #expect(chosen == [0])
  }
}
