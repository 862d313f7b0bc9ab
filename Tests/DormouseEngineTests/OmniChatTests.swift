import DormouseEngine
import DormouseMedia
import DormouseSupport
import Testing

/// A model that sees and hears (`Tests/Fixtures/models-media/generate_omni.py`), against transformers' own parts.
@Suite struct OmniChatTests {
  static let folder = Fixtures.path("Fixtures/models-media/kimi_k25-omni")
  static let conversations = MediaConversation.all(in: folder)

  @Test func goldensAreThere() { #expect(Self.conversations.count == 6) }

  @Test(arguments: conversations)
  func answersAreThoseOfTransformers(_ conversation: MediaConversation) throws {
    try MediaChats.expectAnswer(conversation, in: Self.folder, tokens: [282, 284, 283])
  }

  @Test(arguments: conversations)
  func logitsAreThoseOfTransformers(_ conversation: MediaConversation) throws {
    try MediaChats.expectLogits(conversation, in: Self.folder, first: 0, count: 3)
  }

  @Test func batchesChangeNoAnswer() async throws {
    try await MediaChats.expectAnswersSideBySide(Self.conversations, in: Self.folder)
  }

  // MARK: - Opening

  @Test func everyModalityIsTold() throws {
    let engine = try MediaChats.engine(Self.folder) { $0.withoutWeights = true }
    #expect(try engine.info()["modalities"] == ["text", "image", "video", "audio"])
  }

  /// Text model and towers are one job, whichever way weights are held; the log has nothing to say about the towers'.
  @Test(arguments: ["memory", "mapped", "int8"]) func loadingIsOneProgress(_ way: String) throws {
    let lines = Locked<[String]>([])
    let total = try MediaChats.expectOneProgress(Self.folder) {
      $0.residency = way == "mapped" ? .mapped : .memory
      $0.precision = way == "int8" ? .int8 : .native
      $0.log = Log { level, message in if level <= .warning { lines.withLock { $0.append(message) } } }
    }
    // All tensors of the file are of one of the three parts.
    let size = try File(path: Self.folder + "/model.safetensors").size
    #expect(total < UInt64(size) && total > UInt64(size) * 8 / 10)
    #expect(lines.withLock { $0 } == [])
  }

  /// Cancelled while the last tower loads: nothing of the text model stays.
  @Test func loadingStopsAtTheTowers() throws {
    let failure = #expect(throws: Failure.self) {
      _ = try MediaChats.engine(Self.folder) { $0.progress = { done, total in done < total } }
    }
    #expect(failure?.status == .cancelled)
  }

  /// A model that hears does not need one, and one at fault is not looked at.
  @Test func speechModelsAreNotOpened() throws {
    let engine = try MediaChats.engine(Self.folder) { $0.media.speechModel = "/nowhere" }
    let session = try Session(engine: engine, options: SessionOptions())
    let conversation = try #require(Self.conversations.first { $0.name == "sound" })
    let events = try MediaChats.events(session, conversation.messages, conversation.attachments, maxTokens: 1)
    #expect(events.last?.counts.transcribedTokens == 0 && events.last?.counts.mediaTokens.audio ?? 0 > 0)
  }

  // MARK: - Long videos

  /// Frames that exist while they are asked for only.
  private struct MadeFilm: Video {
    let frameCount: Int
    let framesPerSecond = 30.0
    let timestamps: [Double]? = nil
    let width = 320
    let height = 240
    /// The largest number of frames in memory at a time.
    let largestCount = Locked(0)

    func frames(_ numbers: [Int], _ interruption: Interruption) throws(Failure) -> [RGBImage] {
      largestCount.withLock { $0 = max($0, numbers.count) }
      var images: [RGBImage] = []
      for number in numbers {
        images.append(
          try RGBImage(width: width, height: height, bytes: SyntheticImages.bytes(width, height, seed: number)))
      }
      return images
    }

    func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
      ContentHash([UInt8(truncatingIfNeeded: frameCount), 1, 2, 3])
    }
  }

  /// Half a minute is sampled, scaled and encoded chunk by chunk: an event after each, and no more memory than the plan,
  /// one chunk's encoding and the video's rows, however long the video is.
  @Test(arguments: [10, 30]) func clipsKeepToThePlan(seconds: Int) throws {
    let engine = try MediaChats.engine(Self.folder) { $0.sharesPrefixes = false }
    let plan = try engine.plan(for: SessionOptions())
    let session = try Session(engine: engine, options: SessionOptions())
    let video = MadeFilm(frameCount: 30 * seconds)
    let messages = #"[{"role": "user", "content": [{"type": "video_url", "video_url": "attachment:0"}]}]"#
    let events = try MediaChats.events(session, messages, [.video(video, framesPerSecond: nil)], maxTokens: 4)
    // Two frames a second, four of them a chunk, 16 patches a frame at most: 2 x 3 merged ones.
    let chunks = (2 * seconds + 3) / 4
    let counts = try #require(events.last).counts
    #expect(counts.generatedTokens == 4 && counts.mediaTokens.video % chunks == 0)
    #expect(events.count { $0.kind == .prompt && $0.counts.promptDone == 0 } >= chunks)
    #expect(video.largestCount.withLock { $0 } == 4)
    let memory = try #require(try engine.statistics()["memory"])
    let peak = try #require(memory["peak"]?.integerValue)
    let rows = counts.mediaTokens.video / chunks
    let scratch = try VisionTower.scratchByteCount(
      try #require(try VisionConfiguration(json: File.readJSON("\(Self.folder)/config.json"))), patches: 4 * 4 * rows,
      threads: 2)
    let width = try #require(try engine.info()["hidden_size"]?.integerValue)
    let encoding = Int64(scratch) + Int64(counts.mediaTokens.video) * width * 4
    #expect(peak <= Int64(plan.totalBytes) + encoding, "\(peak) of \(plan.totalBytes) + \(encoding)")
    #expect(peak > Int64(plan.weightBytes + plan.towerBytes))
  }

  /// A callback that wants no more is obeyed while a video is encoded.
  @Test func eventsOfAnEncodingMayStopIt() throws {
    let session = try Session(engine: try MediaChats.engine(Self.folder), options: SessionOptions())
    let messages = #"[{"role": "user", "content": [{"type": "video_url", "video_url": "attachment:0"}]}]"#
    let video = MediaItem.video(MadeFilm(frameCount: 300), framesPerSecond: nil)
    var events = 0
    let status = try session.chat(messages: messages, attachments: [video], configuration: nil) { event in
      events += 1
      return event.kind == .prompt && events == 2 ? 9 : 0
    }
    #expect(status == 9 && events == 2)
    // The session is of use as before.
    #expect(try MediaChats.events(session, messages, [video], maxTokens: 3).last?.counts.generatedTokens == 3)
  }
}
