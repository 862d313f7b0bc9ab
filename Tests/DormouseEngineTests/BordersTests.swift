import DormouseKernels
import DormouseMedia
import DormouseModel
import DormouseSupport
import DormouseText
import Glibc
import Testing

@testable import DormouseEngine

/// The last value that is taken and the first one that is not, at every limit of the engine.
@Suite struct BordersTests {
  private static func expect<Value>(
    _ what: String, _ cases: [(Value, Status?)], _ body: (Value) throws -> Void
  ) {
    for (value, status) in cases { #expect(Runs.status { try body(value) } == status, "\(what): \(value)") }
  }

  // MARK: - Options

  @Test func contextsAreOfTheseLengths() throws {
    let engine = try Runs.engine()
    Self.expect(
      "context_length",
      [(-1, .invalidArgument), (0, .invalidArgument), (1, nil), (1024, nil), (1025, .invalidArgument)]
    ) { length in
      let session = try Runs.session(engine) { $0.contextLength = length }
      #expect(session.contextLength == length)
    }
    Self.expect("keep_tokens", [(0, nil), (63, nil), (64, .invalidArgument)]) { keeping in
      _ = try Runs.session(engine) {
        $0.contextLength = 64
        $0.overflow = .slide(keeping: keeping)
      }
    }
    #expect(try Session(engine: engine, options: SessionOptions()).contextLength == 1024)
    for (most, expected) in [(4095, 4095), (4096, 4096), (4097, 4096), (9000, 4096)] {
      let copy = try ShippedCopy(["config.json": { $0["max_position_embeddings"] = .integer(Int64(most)) }])
      let engine = try copy.engine { $0.withoutWeights = true }
      var options = SessionOptions()
      let found = try engine.plan(for: options).contextLength
      options.contextLength = most
      #expect(try found == expected && engine.plan(for: options).contextLength == most)
    }
  }

  @Test func threadsAreSoMany() {
    Self.expect("thread_count", [(-1, .invalidArgument), (0, nil), (1, nil), (2, nil), (1025, .invalidArgument)]) {
      _ = try Engine.makePool(threadCount: $0)
    }
    // So many a small machine may not have.
    #expect(Runs.status { _ = try Engine.makePool(threadCount: 1024) } != .invalidArgument)
    #expect(Runs.status { _ = try MachineMeasurement(threadCount: 1025) } == .invalidArgument)
  }

  /// Rows that nobody has asked for are exact where weights are.
  @Test func rowsFitTheWeights() {
    for (precision, type) in [(WeightPrecision.native, CacheRowType.float32), (.int8, .bfloat16), (.int4, .bfloat16)] {
      var options = EngineOptions()
      options.precision = precision
      #expect(options.defaultCacheType == type)
    }
  }

  @Test func mediaOptionsAreOfTheseSizes() throws {
    let largest = Int64.max
    for (member, cases) in [
      ("max_bytes", [("0", false), ("1", true), ("\(largest)", true)]), ("max_pixels", [("0", false), ("1", true)]),
      ("max_frames", [("0", false), ("1", true)]), ("max_output_bytes", [("0", false), ("1", true)]),
      ("max_seconds", [("0", false), ("1e-9", true), ("1e9", true), ("1.000001e9", false), ("-1", false)]),
      ("time_limit", [("0", false), ("1e-9", true), ("1e9", true), ("1.000001e9", false), ("-1", false)]),
      ("cache_bytes", [("-1", false), ("0", true), ("\(largest)", true)]),
      ("roots", [("[]", true), (#"["/nowhere"]"#, false)]), ("max_page", [("1", false)]),
    ] as [(String, [(String, Bool)])] {
      for (value, isTaken) in cases {
        #expect(
          (Runs.status { _ = try MediaOptions(json: #"{"\#(member)": \#(value)}"#) } == nil) == isTaken,
          "\(member): \(value)")
      }
    }
    let standard = try MediaOptions(json: "{}")
    #expect(standard.cacheByteLimit == 256 << 20 && standard.dataByteLimit == 256 << 20)
    #expect(standard.speechModel == nil && standard.roots == .none)
    let file = standard.file
    #expect([file.byteLimit, file.pixelLimit, file.frameLimit, file.outputLimit] == [0, 0, 0, 0])
    #expect([file.secondLimit, file.timeLimit] == [0, 0])
  }

  @Test func framesASecondAreOfTheseNumbers() throws {
    func part(_ rate: String) throws -> MediaPart? {
      try ChatRequest(
        json: #"[{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "a", "fps": \#(rate)}}]}]"#
      ).mediaParts.first
    }
    Self.expect(
      "fps", [("0", .invalidArgument), ("1e-9", nil), ("1000", nil), ("1000.5", .invalidArgument)]
    ) { rate in
      let found = try part(rate)
      #expect(found?.framesPerSecond == Double(rate))
    }
    #expect(try part("null")?.framesPerSecond == nil)
  }

  /// Documents nest to a depth of 64.
  @Test func messagesNestSoDeeply() {
    func messages(_ depth: Int) -> String {
      // The array of messages and a message are the first two.
      let inner = String(repeating: "[", count: depth - 2) + String(repeating: "]", count: depth - 2)
      return #"[{"role": "user", "content": "x", "more": \#(inner)}]"#
    }
    Self.expect("depth", [(64, nil), (65, .invalidArgument)]) { _ = try ChatRequest(json: messages($0)) }
  }

  // MARK: - Memory

  /// With a byte less than a session's pages none opens; with just as many one can be filled.
  @Test(arguments: [CacheRowType.float32, .bfloat16, .int8]) func pagesThatAreNeededAreEnough(
    _ type: CacheRowType
  ) throws {
    var options = SessionOptions()
    (options.contextLength, options.cacheType, options.isPrivate) = (192, type, true)
    let needed = try Runs.engine().plan(for: options).cacheBytes
    for (limit, status) in [(needed, nil), (needed - 1, Status.outOfMemory)] {
      let engine = try Runs.engine { $0.cacheLimit = limit }
      #expect(
        Runs.status { try Session(engine: engine, options: options).prefill(Runs.tokens(192, seed: 1)) } == status)
      #expect(Runs.status { _ = try Session(engine: engine, options: options) } == status)
    }
  }

  /// Rows of just `cache_bytes` stay; with a byte less they are made again.
  @Test func rowsOfJustTheirBytesStay() throws {
    let conversation = try #require(MediaChatTests.conversations.first { $0.name == "image" })
    let item = try #require(conversation.attachments.first)
    let probe = try MediaChats.engine(MediaChatTests.folder)
    let prepared = try #require(probe.media).encoder.prepare(item, MediaTerms())
    // What it takes before it is encoded, or afterwards: whichever is more.
    let byteCount = max(prepared.byteCount, prepared.rowCount * 32 * 4)
    for (limit, stays) in [(byteCount, true), (byteCount - 1, false)] {
      let engine = try MediaChats.engine(MediaChatTests.folder) {
        $0.sharesPrefixes = false
        $0.media.cacheByteLimit = UInt64(limit)
      }
      func steps() throws -> Int64 {
        let before = try #require(try engine.statistics()["steps"]?["count"]?.integerValue)
        _ = try MediaChats.chat(try MediaChats.session(engine, isPrivate: true), conversation, maxTokens: 1)
        return try #require(try engine.statistics()["steps"]?["count"]?.integerValue) - before
      }
      #expect(try steps() == 6)
      #expect(try steps() == (stays ? 1 : 6), "\(limit)")
    }
  }

  // MARK: - Sessions

  @Test func sessionsAreCutWithinTheirLength() throws {
    let session = try Runs.session(try Runs.engine())
    try session.prefill(Runs.tokens(10, seed: 1))
    Self.expect("length", [(-1, .invalidArgument), (11, .invalidArgument), (10, nil), (9, nil), (0, nil)]) {
      try session.truncate(to: $0)
      #expect(try session.length() == $0)
    }
  }

  @Test func tokensAreThoseOfTheVocabulary() throws {
    let session = try Runs.session(try Runs.engine())
    let cases: [([Int32], Status?)] = [
      ([0], nil), ([96], nil), ([97], .invalidArgument), ([-1], .invalidArgument), ([5, 96, 97], .invalidArgument),
      ([.max], .invalidArgument), ([.min], .invalidArgument),
    ]
    Self.expect("prefill", cases) { try session.prefill($0) }
    Self.expect("generate", cases) { _ = try session.generate($0, configuration: #"{"max_tokens": 1}"#) { _ in 0 } }
    #expect(try session.length() == 6)
  }

  @Test func logitsNeedTheirRoom() throws {
    let session = try Runs.session(try Runs.engine())
    try session.prefill([1, 2, 3])
    var logits = [Float](repeating: .nan, count: 3 * Runs.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { logits in
      let cases: [(Int, Status?)] = [(Runs.vocabularySize - 1, .bufferTooSmall), (Runs.vocabularySize, nil)]
      Self.expect("logits", cases) {
        try session.copyLogits(to: UnsafeMutableBufferPointer(rebasing: logits.prefix($0)))
      }
      for (room, status) in [(2 * Runs.vocabularySize - 1, Status.invalidArgument), (2 * Runs.vocabularySize, nil)] {
        let found = Runs.status {
          try session.prefill([4, 5], allLogits: UnsafeMutableBufferPointer(rebasing: logits.prefix(room)))
        }
        let length = try session.length()
        #expect(found == status && length == (status == nil ? 5 : 3), "\(room)")
      }
      // The last of all logits are the session's, at no price.
      let whole = Array(logits[Runs.vocabularySize..<2 * Runs.vocabularySize])
      try session.copyLogits(to: logits)
      #expect(Array(logits.prefix(Runs.vocabularySize)) == whole)
    }
  }

  /// A single token is computed for its logits, so nobody is asked for it; of two, the first may be found.
  @Test func othersAreAskedForAllButTheLast() throws {
    let engine = try Runs.engine()
    func asked() throws -> Int64? { try engine.statistics()["cache"]?["f32"]?["tokens_asked"]?.integerValue }
    let session = try Runs.session(engine)
    for (count, expected) in [(1, 0), (2, 1), (3, 3), (1, 3)] as [(Int, Int64)] {
      try session.prefill(Runs.tokens(count, seed: count))
      #expect(try asked() == expected)
    }
  }

  /// A saved session fits where its tokens do.
  @Test func savedSessionsFitExactly() throws {
    let engine = try Runs.engine()
    let folder = try TemporaryFolder()
    let session = try Runs.session(engine)
    try session.prefill(Runs.tokens(65, seed: 1))
    try session.save(to: folder.path + "/session")
    for (context, status) in [(64, Status.contextFull), (65, nil), (66, nil)] {
      let other = try Runs.session(engine) { $0.contextLength = context }
      try other.prefill([1])
      #expect(Runs.status { try other.restore(from: folder.path + "/session") } == status, "\(context)")
      let length = try other.length()
      #expect(length == (status == nil ? 65 : 1))
    }
  }

  /// A restored session can be evaluated behind its pictures, and not among them.
  @Test func picturesEndWhereTheirRowsDo() throws {
    let conversation = try #require(MediaChatTests.conversations.first { $0.name == "image" })
    let engine = try MediaChats.engine(MediaChatTests.folder)
    let folder = try TemporaryFolder()
    let session = try MediaChats.session(engine)
    _ = try MediaChats.chat(session, conversation, maxTokens: 4)
    try session.save(to: folder.path + "/session")
    let end = try #require(conversation.ids.lastIndex(of: 282)) + 1
    for (length, status) in [(end + 2, nil), (end + 1, nil), (end, Status.unsupported)] {
      let restored = try MediaChats.session(try MediaChats.engine(MediaChatTests.folder))
      try restored.restore(from: folder.path + "/session")
      try restored.truncate(to: length)
      #expect(Runs.status { _ = try MediaChats.logits(restored) } == status, "\(length)")
      #expect(try restored.length() == length)
    }
  }

  // MARK: - Answers

  /// From a temperature of a millionth on tokens are drawn: of two that are as probable, not always the first.
  @Test func drawingBeginsAtAMillionth() {
    let logits: [Float] = [1, 1]
    let cases: [(Float, Set<Int32>)] = [(1e-6, [0, 1]), (Float(1e-6).nextDown, [0])]
    for (temperature, expected) in cases {
      var sampler = Sampler(SamplingParameters(temperature: temperature, seed: 3))
      let drawn = (0..<100).map { _ in logits.withUnsafeBufferPointer { sampler.sample($0) } }
      #expect(Set(drawn) == expected)
    }
  }

  /// As many as `top_k` says: also where there are just as many, or fewer.
  @Test func topKIsMetExactly() {
    let logits: [Float] = [3, 3, 3, 3]
    for (most, expected) in [(1, 1), (3, 3), (4, 4), (5, 4), (0, 4)] {
      var sampler = Sampler(SamplingParameters(temperature: 1, topK: most, seed: 3))
      let drawn = (0..<200).map { _ in logits.withUnsafeBufferPointer { sampler.sample($0) } }
      #expect(Set(drawn) == Set((0..<expected).map { Int32($0) }), "\(most)")
    }
  }

  /// A call that is both cancelled and late was cancelled; a wish to cancel ends with its call.
  @Test func whoIsCancelledIsNotLate() throws {
    let state = CallState(of: "the session")
    try state.exclusively { () throws(Failure) in
      #expect(state.interruption() == nil && state.interruption(deadline: Clock.now() + 60) == nil)
      #expect(
        state.interruption(deadline: Clock.now() - 1, timeLimit: 0.5)
          == Failure(.timedOut, "time_limit of 0.5 s passed before the work was done"))
      state.cancel()
      let cancelled = Failure(.cancelled, "the session was cancelled")
      #expect(state.interruption() == cancelled && state.interruption(deadline: 0) == cancelled)
      #expect(state.watch(deadline: 0).failure == cancelled)
      #expect(Runs.status { try state.exclusively {} } == .busy)
    }
    #expect(state.interruption() == nil && state.watch().failure == nil)
  }

  /// Time counts from when the call began, where that is known, else from its arrival.
  @Test func deadlinesCountFromTheCall() {
    for (limit, start, expected) in [
      (nil, nil, Double.infinity), (nil, 5, .infinity), (3, nil, 13), (3, 5, 8), (0.5, 9.5, 10),
    ] as [(Double?, Double?, Double)] {
      #expect(WorkTerms(timeLimit: limit, start: start).deadline(from: 10) == expected)
    }
  }

  /// The rows of a chat's media may fill its context; with one position less it is refused before it is tokenized.
  @Test func rowsMayFillTheContext() throws {
    let text = try TextResources(folder: MediaChatTests.folder)
    let tokenizer = try text.requireTokenizer()
    let token = try #require(tokenizer.id(of: "<|media_pad|>"))
    let content = MediaContent(PreparedRows(rowCount: 40, contentHash: ContentHash([1, 2, 3, 4, 5, 6, 7, 8])))
    let prompt = ChatPrompt(
      [ChatPrompt.Part(content: content, placeholder: "<|media_pad|>", pieces: [.rows(40)], token: token)],
      tokenizer: tokenizer, file: "folder")
    Self.expect("context", [(40, nil), (39, .contextFull)]) { context in
      let found = try prompt.encode([.media(0)], within: PromptLimits(contextLength: context))
      #expect(found.tokens.count == 40 && found.spans.map(\.positions) == [0..<40])
    }
  }

  @Test func formsOfAnAnswerAreRead() throws {
    func read(_ json: String) throws -> ConstraintRequest? {
      try GenerationRequest.read(json, defaults: SamplingParameters(), vocabularySize: 9).constraint
    }
    func schema(_ schema: JSON) -> ConstraintRequest {
      ConstraintRequest(object: JSONObject(["json_schema": schema]), path: "response_format.")
    }
    let format = "response_format"
    #expect(try read("{}") == nil && read(#"{"\#(format)": {"type": "text"}}"#) == nil)
    #expect(try read(#"{"\#(format)": {"type": "json_object"}}"#) == schema(["type": "object"]))
    #expect(try read(#"{"\#(format)": {"type": "json_schema", "json_schema": {"name": "x"}}}"#) == schema([:]))
    #expect(
      try read(#"{"\#(format)": {"type": "json_schema", "json_schema": {"schema": {"type": "null"}, "strict": true}}}"#)
        == schema(["type": "null"]))
    #expect(
      try read(#"{"constraint": {"regex": "a"}}"#)
        == ConstraintRequest(object: JSONObject(["regex": "a"]), path: "constraint."))
    for refused in [
      #"{"\#(format)": {"type": "text"}, "constraint": {"regex": "a"}}"#, #"{"\#(format)": {"type": "xml"}}"#,
      #"{"\#(format)": {}}"#, #"{"\#(format)": {"type": "json_schema"}}"#,
      #"{"\#(format)": {"type": "json_schema", "json_schema": {"form": 1}}}"#,
    ] {
      #expect(Runs.status { _ = try read(refused) } == .invalidArgument, "\(refused)")
    }
  }

  /// Four bytes make a file one of GGUF.
  @Test func fourBytesTellAFormat() throws {
    let folder = try TemporaryFolder()
    for (bytes, status) in [(4, Status.unsupported), (3, nil)] {
      try folder.write("model", Array("GGUF".utf8.prefix(bytes)))
      #expect(Runs.status { _ = try ModelPath.folder(of: folder.path + "/model") } == status, "\(bytes)")
    }
  }
}
