@testable import DormouseEngine
import DormouseKernels
import DormouseMedia
import DormouseSpeech
import DormouseSupport
import Testing

/// Voice for models that read only: a speech model transcribes audio, and its text takes their place.
@Suite struct SpeechTests {
  private static let whisper = Fixtures.path("Fixtures/whisper/good-multilingual")

  private static func engine(
    _ folder: String = Fixtures.shippedModel, speech: String? = whisper,
    _ change: (inout EngineOptions) -> Void = { _ in }
  ) throws -> Engine {
    var options = EngineOptions()
    options.threadCount = 2
    options.media.speechModel = speech
    change(&options)
    return try Engine(path: folder, options: options)
  }

  private static func voice(_ count: Int = 32077, seed: Int = 1) throws -> MediaItem {
    var audio = try HeldAudio(channelCount: 1, rate: 16000)
    try SyntheticAudio.voice(count, seed: seed).withUnsafeBufferPointer { try audio.append($0) }
    return .audio(audio)
  }

  private static func messages(_ parts: JSON...) -> String {
    JSON.array([["role": "user", "content": .array(parts)]]).text()
  }

  private static func text(_ text: String) -> JSON { ["type": "text", "text": .string(text)] }

  private static func audio(_ number: Int = 0) -> JSON {
    ["type": "input_audio", "input_audio": ["url": .string("attachment:\(number)")]]
  }

  private static func chat(
    _ session: Session, _ messages: String, _ attachments: [MediaItem] = [], more: String = ""
  ) throws -> (tokens: [Int32], counts: GenerationEvent.Counts) {
    var tokens: [Int32] = []
    var counts = GenerationEvent.Counts()
    _ = try session.chat(
      messages: messages, attachments: attachments,
      configuration: #"{"temperature": 0, "ignore_eos": true, "max_tokens": 12\#(more)}"#
    ) { event in
      if event.kind == .token { tokens.append(event.token) }
      counts = event.counts
      return 0
    }
    return (tokens, counts)
  }

  /// What the speech model writes by itself.
  private static func transcript(_ item: MediaItem) throws -> (text: String, tokens: Int, segments: [TranscriptSegment])
  {
    var options = EngineOptions()
    options.threadCount = 2
    var segments: [TranscriptSegment] = []
    let status = try Transcriber(path: whisper, options: options).run(item, configuration: nil) {
      segments.append($0)
      return 0
    }
    #expect(status == 0)
    let text = segments.map(\.text).joined()
    return (text, segments.reduce(0) { $0 + $1.tokens.count }, segments)
  }

  private static func failure(_ body: () throws -> Void) -> Failure? { #expect(throws: Failure.self, performing: body) }

  @Test func transcriptTakesThePlaceOfTheSound() throws {
    let audio = [try Self.voice(), try Self.voice(75003, seed: 3)]
    let texts = try audio.map { try Self.transcript($0).text }
    #expect(texts.allSatisfy { !$0.isEmpty && $0.first != " " } && texts[0] != texts[1])
    let engine = try Self.engine()
    let spoken = Self.messages(Self.text("say: "), Self.audio(), Self.text(" or "), Self.audio(1))
    let written = Self.messages(Self.text("say: \(texts[0]) or \(texts[1])"))
    #expect(try engine.tokenize(messages: spoken, attachments: audio) == engine.tokenize(messages: written))
    let session = try Session(engine: engine, options: SessionOptions())
    let heard = try Self.chat(session, spoken, audio)
    let read = try Self.chat(try Session(engine: engine, options: SessionOptions()), written)
    #expect(heard.tokens == read.tokens && heard.counts.promptTokens == read.counts.promptTokens)
    #expect(heard.counts.transcribedSeconds == 32077.0 / 16000 + 75003.0 / 16000)
    #expect(read.counts.transcribedTokens == 0 && read.counts.transcribedSeconds == 0)
    #expect(heard.counts.mediaTokens == MediaCounts())
  }

  @Test func usageTellsWhatWasTranscribed() throws {
    let engine = try Self.engine()
    let session = try Session(engine: engine, options: SessionOptions())
    let audio = try Self.voice()
    let first = try Self.chat(session, Self.messages(Self.audio()), [audio])
    #expect(first.counts.transcribedTokens >= (try Self.transcript(audio).tokens))
    #expect(first.counts.transcribedSeconds == 32077.0 / 16000)
    // The growing chat, and another session: nothing is written again.
    let again = Self.messages(Self.audio(), Self.text(" twice"))
    for session in [session, try Session(engine: engine, options: SessionOptions())] {
      let counts = try Self.chat(session, again, [audio]).counts
      #expect(counts.transcribedTokens == 0 && counts.transcribedSeconds == 32077.0 / 16000)
    }
    #expect(try Self.chat(session, Self.messages(Self.audio()), [try Self.voice(seed: 2)]).counts.transcribedTokens > 0)
    // The same samples at another rate are another audio.
    var slow = try HeldAudio(channelCount: 1, rate: 8000)
    try SyntheticAudio.voice(32077, seed: 1).withUnsafeBufferPointer { try slow.append($0) }
    let counts = try Self.chat(session, Self.messages(Self.audio()), [.audio(slow)]).counts
    #expect(counts.transcribedTokens > 0 && counts.transcribedSeconds > 4)
  }

  @Test func modelsThatHearNeedNone() throws {
    let folder = Fixtures.path("Fixtures/models-media/good-voxtral")
    // It is not even opened.
    let engine = try Self.engine(folder, speech: "/nowhere")
    let session = try Session(engine: engine, options: SessionOptions())
    let counts = try Self.chat(session, Self.messages(Self.text("what"), Self.audio()), [try Self.voice(40001)]).counts
    #expect(counts.mediaTokens.audio > 0 && counts.transcribedSeconds == 0)
  }

  @Test func modelsThatSeeMayHaveOne() throws {
    let engine = try Self.engine(Fixtures.path("Fixtures/models-media/kimi_k25-tiny"))
    let image: JSON = ["type": "image_url", "image_url": ["url": "attachment:1"]]
    let items = [try Self.voice(), MediaItem.image(try SyntheticImages.image(40, 30, seed: 1))]
    let text = try Self.transcript(items[0]).text
    let spoken = try engine.tokenize(messages: Self.messages(image, Self.audio()), attachments: items)
    #expect(
      spoken == (try engine.tokenize(messages: Self.messages(image, Self.text(text)), attachments: items)))
  }

  @Test func cancellingStopsATranscription() throws {
    let session = try Session(engine: try Self.engine(), options: SessionOptions())
    let threads = Threads()
    let failure = Locked<Failure?>(nil)
    let long = try Self.voice(16000 * 600, seed: 5)
    try threads.start {
      let thrown = Self.failure { _ = try Self.chat(session, Self.messages(Self.audio()), [long]) }
      failure.withLock { $0 = thrown }
    }
    while failure.withLock({ $0 == nil }) { session.cancel() }
    threads.join()
    #expect(failure.withLock { $0?.status } == .cancelled)
    #expect(failure.withLock { $0?.message.contains("the session was cancelled") } == true)
    #expect(try session.length() == 0)
  }

  @Test func timeLimitsCountFromTheCall() throws {
    let session = try Session(engine: try Self.engine(), options: SessionOptions())
    let long = try Self.voice(16000 * 600, seed: 5)
    let failure = Self.failure {
      _ = try Self.chat(session, Self.messages(Self.audio()), [long], more: #", "time_limit": 0.01"#)
    }
    #expect(failure?.status == .timedOut && failure?.message.contains("time_limit of 0.01 s") == true)
    #expect(try Self.chat(session, Self.messages(Self.text("hi"))).tokens.count == 12)
  }

  @Test func withoutASpeechModelSoundsAreRefused() throws {
    for (engine, fragment) in [
      (try Self.engine(speech: nil), "takes text only"),
      (try Self.engine(Fixtures.path("Fixtures/models-media/kimi_k25-tiny"), speech: nil), "no parts of type audio"),
    ] {
      let session = try Session(engine: engine, options: SessionOptions())
      let failure = Self.failure { _ = try Self.chat(session, Self.messages(Self.audio()), [try Self.voice()]) }
      #expect(failure?.status == .unsupported)
      #expect(failure?.message.contains(fragment) == true && failure?.message.contains("speech_model") == true)
    }
  }

  @Test func badSoundsAreNamed() throws {
    let session = try Session(engine: try Self.engine(), options: SessionOptions())
    let image = MediaItem.image(try SyntheticImages.image(9, 9, seed: 1))
    let empty = MediaItem.audio(try HeldAudio(channelCount: 1, rate: 16000))
    for (item, fragment) in [(image, "is of type image; expected audio"), (empty, "audio without samples")] {
      let failure = Self.failure { _ = try Self.chat(session, Self.messages(Self.audio()), [item]) }
      #expect(failure?.status == .invalidArgument)
      #expect(failure?.message.contains("message 0, part 0") == true, "\(String(describing: failure))")
      #expect(failure?.message.contains(fragment) == true, "\(String(describing: failure))")
    }
  }

  @Test func badFoldersAreNamed() throws {
    for (folder, status) in [("/nowhere", Status.notFound), (Fixtures.shippedModel, .unsupported)] {
      let failure = Self.failure { _ = try Self.engine(speech: folder) }
      #expect(failure?.status == status, "\(String(describing: failure))")
      #expect(
        failure?.message.contains("media_config: speech_model: \(folder)") == true, "\(String(describing: failure))")
    }
  }

  @Test func memoryIsReserved() throws {
    let without = try Self.engine(speech: nil)
    let engine = try Self.engine()
    let used = engine.memoryBudget.usedByteCount
    #expect(used > without.memoryBudget.usedByteCount)
    _ = try engine.tokenize(messages: Self.messages(Self.audio()), attachments: [try Self.voice()])
    #expect(engine.memoryBudget.usedByteCount == used)
    let plan = try engine.plan(for: SessionOptions())
    #expect(plan.speechBytes > used - without.memoryBudget.usedByteCount)
    let unloaded = try Self.engine { $0.withoutWeights = true }
    #expect(try unloaded.plan(for: SessionOptions()).speechBytes == plan.speechBytes)
    let hearing = try Self.engine(Fixtures.path("Fixtures/models-media/good-voxtral"), speech: "/nowhere")
    #expect(try hearing.plan(for: SessionOptions()).speechBytes == 0)
    // The weights would fit, a transcription beside them would not.
    let failure = Self.failure { _ = try Self.engine { $0.memoryLimit = used + 1000 } }
    #expect(failure?.status == .outOfMemory)
    #expect(failure?.message.contains("\(Self.whisper): a transcription's working memory") == true)
    withExtendedLifetime((without, engine)) {}
  }
}

/// Whisper by itself.
@Suite struct TranscriberTests {
  private static func open(_ model: String = "good-multilingual") throws -> Transcriber {
    var options = EngineOptions()
    options.threadCount = 2
    return try Transcriber(path: Fixtures.path("Fixtures/whisper/\(model)"), options: options)
  }

  private static func voice(_ count: Int, seed: Int) throws -> MediaItem {
    var audio = try HeldAudio(channelCount: 1, rate: 16000)
    try SyntheticAudio.voice(count, seed: seed).withUnsafeBufferPointer { try audio.append($0) }
    return .audio(audio)
  }

  /// transformers' own transcripts, through the configuration's JSON.
  @Test func segmentsAreThoseOfTransformers() throws {
    let folder = Fixtures.path("Fixtures/whisper/good-multilingual")
    let golden = try #require(try File.readJSON(folder + "/transcripts.json")["transcripts"]?["short"])
    let expected = try #require(golden["segments"]?.arrayValue)
    var segments: [TranscriptSegment] = []
    _ = try Self.open().run(
      try Self.voice(32077, seed: 1),
      configuration: #"{"task": "transcribe", "temperature": 0, "compression_ratio_threshold": null,"#
        + #" "logprob_threshold": null, "no_speech_threshold": null}"#
    ) {
      segments.append($0)
      return 0
    }
    #expect(segments.map(\.text) == expected.map { $0["text"]?.stringValue })
    #expect(
      segments.map(\.tokens) == expected.map { ($0["tokens"]?.arrayValue ?? []).map { Int32($0.integerValue ?? -1) } })
    #expect(segments.allSatisfy { $0.language == golden["language"]?.stringValue })
  }

  @Test func callbackStopsTheWork() throws {
    let transcriber = try Self.open()
    var count = 0
    let status = try transcriber.run(try Self.voice(16000 * 120, seed: 4), configuration: nil) { _ in
      count += 1
      return 7
    }
    #expect(status == 7 && count == 1)
    // It is free again.
    #expect(try transcriber.run(try Self.voice(16000, seed: 4), configuration: nil) { _ in 0 } == 0)
  }

  @Test func cancelStopsTheWorkAndASecondCallIsRefused() throws {
    let transcriber = try Self.open()
    let long = try Self.voice(16000 * 600, seed: 5)
    let failure = #expect(throws: Failure.self) {
      _ = try transcriber.run(long, configuration: nil) { _ in
        #expect(Runs.status { _ = try transcriber.run(long, configuration: nil) { _ in 0 } } == .busy)
        transcriber.cancel()
        return 0
      }
    }
    #expect(failure?.status == .cancelled && failure?.message == "the transcriber was cancelled")
  }

  @Test func timeLimitsCountFromTheCall() throws {
    let transcriber = try Self.open()
    let failure = #expect(throws: Failure.self) {
      _ = try transcriber.run(try Self.voice(16000 * 600, seed: 5), configuration: #"{"time_limit": 0.01}"#) { _ in 0 }
    }
    #expect(failure == Failure(.timedOut, "time_limit of 0.01 s passed before the work was done"))
    #expect(try transcriber.run(try Self.voice(16000, seed: 4), configuration: #"{"time_limit": 600}"#) { _ in 0 } == 0)
  }

  /// Samples that are made for a transcription count beside its working memory.
  @Test func samplesKeepToTheMemoryLimit() throws {
    let path = Fixtures.path("Fixtures/whisper/good-multilingual")
    var options = EngineOptions()
    options.threadCount = 2
    let plan = try WhisperFolder(path).plan(threadCount: 2, kernels: Kernels.selected())
    options.memoryLimit = UInt64(plan.totalByteCount) + 200_000
    let transcriber = try Transcriber(path: path, options: options)
    func run(_ count: Int) throws {
      var audio = try HeldAudio(channelCount: 1, rate: 48000)
      try SyntheticAudio.voice(count, seed: 1).withUnsafeBufferPointer { try audio.append($0) }
      _ = try transcriber.run(.audio(audio), configuration: nil) { _ in 0 }
    }
    try run(140_000)
    let failure = #expect(throws: Failure.self) { try run(160_000) }
    #expect(failure?.status == .outOfMemory && failure?.message.hasPrefix("the samples of audio: ") == true)
    try run(140_000)
  }

  @Test(arguments: [
    (#"{"language": "xx"}"#, #"language "xx" is unknown"#),
    (#"{"task": "sing"}"#, #"task is "sing"; expected transcribe or translate"#),
    (#"{"temperature": "hot"}"#, "temperature is"), (#"{"temperature": [0, -1]}"#, "a temperature of -1.0"),
    (#"{"temperature": []}"#, "0 temperatures"), (#"{"beams": 5}"#, "beams is not a known member"),
    (#"{"logprob_threshold": null}"#, "needs one for the mean log probability"), ("[]", "config_json"),
    (#"{"seed": 0.5}"#, "seed is 0.5"), (#"{"timestamps": 1}"#, "timestamps is 1"),
    (#"{"time_limit": 0}"#, "time_limit is 0"),
  ])
  func badConfigurations(json: String, fragment: String) throws {
    let item = try Self.voice(16000, seed: 1)
    let failure = #expect(throws: Failure.self) {
      _ = try Self.open().run(item, configuration: json) { _ in 0 }
    }
    #expect(failure?.status == .invalidArgument)
    #expect(failure?.message.contains(fragment) == true, "\(String(describing: failure))")
  }

  @Test func badItemsAndOptions() throws {
    let image = MediaItem.image(try SyntheticImages.image(9, 9, seed: 1))
    #expect(Runs.status { _ = try Self.open().run(image, configuration: nil) { _ in 0 } } == .invalidArgument)
    for (status, change) in [
      (Status.unsupported, { $0.precision = .int8 }), (.invalidArgument, { $0.withoutWeights = true }),
      (.outOfMemory, { $0.memoryLimit = 1000 }), (.cancelled, { $0.progress = { _, _ in false } }),
    ] as [(Status, (inout EngineOptions) -> Void)] {
      var options = EngineOptions()
      change(&options)
      let path = Fixtures.path("Fixtures/whisper/good-english")
      #expect(Runs.status { _ = try Transcriber(path: path, options: options) } == status)
    }
  }
}
