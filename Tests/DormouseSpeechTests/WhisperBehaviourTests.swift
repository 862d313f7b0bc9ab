import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseSpeech

/// What holds for any Whisper model: seeds, threads, progress, cancelling, memory.
@Suite struct WhisperBehaviourTests {
  /// The model's tokens for audio, and what its opening says.
  private func written(_ path: String) throws -> (tokens: [Int32], lines: [String]) {
    let lines = Locked<[String]>([])
    let log = Log { level, line in lines.withLock { $0.append("\(level): \(line)") } }
    let folder = try WhisperFolder(path, log: log)
    let model = try Whisper(folder, pool: ThreadPool(threadCount: 1), kernels: Kernels.selected())
    let found = try WhisperTests.transcribe(
      model, SyntheticAudio.voice(20000, seed: 3),
      WhisperOptions(language: "en", temperatures: [0], noSpeechThreshold: nil))
    return (found.segments.flatMap(\.tokens), lines.withLock { $0 })
  }

  /// `tie_weights` of transformers 5.23 compares, warns and does not tie.
  @Test func aHeadThatDiffersFromTheEmbeddingIsUsed() throws {
    let path = Fixtures.path("whisper/good-multilingual")
    var model = try EditedModel(path)
    let embedding = try #require(model.tensors["model.decoder.embed_tokens.weight"])
    func written(_ rows: [Int], tied: Bool) throws -> (tokens: [Int32], lines: [String]) {
      let row = embedding.bytes.count / embedding.shape[0]
      var head = embedding
      head.bytes = rows.flatMap { embedding.bytes[$0 * row..<($0 + 1) * row] }
      model.tensors["proj_out.weight"] = head
      model.configuration["tie_word_embeddings"] = .bool(tied)
      let folder = try TemporaryFolder()
      for name in WhisperBadInputTests.files where name != "config.json" && name != "model.safetensors" {
        try folder.write(name, File(path: "\(path)/\(name)").readAll(limit: 1 << 24))
      }
      try model.write(into: folder)
      return try self.written(folder.path)
    }
    let count = embedding.shape[0]
    // The rows of two ordinary tokens change places, and so do the tokens that are written.
    let other = [1, 0] + Array(2..<17) + (17..<200).reversed() + Array(200..<count)
    let (said, untied) = (try written(other, tied: true), try written(other, tied: false))
    #expect(said.tokens == untied.tokens && untied.lines.isEmpty)
    #expect(
      said.lines.count == 1 && said.lines[0].contains("ties proj_out.weight to model.decoder.embed_tokens.weight"))
    let original = try self.written(path)
    #expect(said.tokens != original.tokens && original.lines.isEmpty)
    let copy = try written(Array(0..<count), tied: true)
    #expect(copy.tokens == original.tokens && copy.lines.isEmpty)
  }

  static let options = WhisperOptions(temperatures: [0], compressionRatioThreshold: nil, noSpeechThreshold: nil)
  static let samples = SyntheticAudio.voice(100_000, seed: 5)

  @Test func threadsChangeNoBit() throws {
    let results = try [1, 2, 5].map { threads in
      try WhisperTests.transcribe(WhisperTests.open("good-multilingual", threads: threads), Self.samples, Self.options)
    }
    #expect(results[1] == results[0] && results[2] == results[0])
  }

  @Test func severalAtOnce() async throws {
    let model = try WhisperTests.open("good-multilingual")
    let alone = try WhisperTests.transcribe(model, Self.samples, Self.options)
    let together = try await withThrowingTaskGroup(of: Transcript.self) { group in
      for _ in 0..<3 { group.addTask { try WhisperTests.transcribe(model, Self.samples, Self.options) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(together == [alone, alone, alone])
  }

  /// Thresholds that nothing meets: the last temperature is taken, and a seed decides what is drawn.
  @Test func seedsDecide() throws {
    let model = try WhisperTests.open("good-multilingual")
    func run(_ seed: UInt64) throws -> Transcript {
      let options = WhisperOptions(
        language: "de", temperatures: [0, 0.4, 1], compressionRatioThreshold: 0.1, noSpeechThreshold: nil, seed: seed)
      return try WhisperTests.transcribe(model, Self.samples, options)
    }
    let first = try run(1)
    #expect(try run(1) == first)
    #expect(try run(2) != first)
    #expect(first.segments.allSatisfy { $0.measures.temperature == 1 })
    #expect(first.language == "de")
    // Every attempt counts.
    #expect(first.tokenCount > first.segments.reduce(0) { $0 + $1.tokens.count })
  }

  /// A window that passes at a higher temperature is not tried further.
  @Test func stopsAtTheFirstThatPasses() throws {
    let model = try WhisperTests.open("good-multilingual")
    func first(_ temperatures: [Float], _ ratio: Double?) throws -> TranscriptSegment {
      let options = WhisperOptions(
        language: "de", temperatures: temperatures, compressionRatioThreshold: ratio, logProbabilityThreshold: nil,
        noSpeechThreshold: nil, seed: 1)
      return try #require(try WhisperTests.transcribe(model, Self.samples, options).segments.first)
    }
    // The greedy text repeats itself more than a drawn one: between both lies a threshold that only the second passes.
    let (greedy, drawn) = (try first([0], nil), try first([1], nil))
    let (high, low) = (greedy.measures.compressionRatio, drawn.measures.compressionRatio)
    try #require(high > low)
    let found = try first([0, 1, 2], (high + low) / 2)
    #expect(found.measures.temperature == 1 && found == drawn)
    #expect(try first([0, 1, 2], high).measures.temperature == 0)
  }

  @Test func progressGoesOn() throws {
    let model = try WhisperTests.open("good-multilingual")
    var steps: [Double] = []
    let transcript = try Self.samples.withUnsafeBufferPointer { samples in
      try model.transcribe(
        samples, options: Self.options,
        onProgress: { done, all in
          #expect(all == 6.25)
          steps.append(done)
        })
    }
    #expect(steps.first == 0 && steps.last == 6.25 && steps.count >= 3)
    #expect(steps == steps.sorted())
    #expect(transcript.seconds == 6.25)
  }

  @Test func cancelsAnywhere() throws {
    let model = try WhisperTests.open("good-multilingual")
    let counter = Asked()
    _ = try WhisperTests.transcribe(model, Self.samples, Self.options, interruption: counter.interruption())
    #expect(counter.count > 50)
    for limit in [1, 2, 3, 4, 6, 20, counter.count] {
      let asked = Asked()
      let message = failureMessage {
        _ = try WhisperTests.transcribe(
          model, Self.samples, Self.options, interruption: asked.interruption(at: limit))
      }
      #expect(message == "too late" && asked.count == limit, "\(limit): \(message)")
    }
  }

  @Test func languageAlone() throws {
    let model = try WhisperTests.open("good-multilingual")
    let code = try Self.samples.withUnsafeBufferPointer { try model.detectLanguage($0) }
    #expect(try WhisperTests.transcribe(model, Self.samples, Self.options).language == code)
    let english = try WhisperTests.open("good-english")
    #expect(try Self.samples.withUnsafeBufferPointer { try english.detectLanguage($0) } == nil)
  }

  /// The plan is what will be taken, byte by byte; two caches a layer, for the tokens and for the audio, each of keys and
  /// values.
  @Test(arguments: ["good-multilingual", "good-english"]) func planIsKept(_ name: String) throws {
    let folder = try WhisperFolder(Fixtures.path("whisper/\(name)"))
    let (pool, kernels) = (try ThreadPool(threadCount: 3), try Kernels.selected())
    let plan = try folder.plan(threadCount: 3, kernels: kernels)
    let c = folder.configuration
    let cache = c.decoderLayerCount * 2 * c.hiddenSize * (c.targetPositions + c.encoder.sourcePositions) * 4
    #expect((cache..<cache + 4 * 64).contains(plan.cacheByteCount))
    let model = try Whisper(folder, residency: .memory, pool: pool, kernels: kernels)
    try Self.samples.withUnsafeBufferPointer { samples in
      try HeldMemory.expectKept(plan, by: model, pool) {
        try WhisperTranscription(model, samples, WhisperOptions(temperatures: [0], noSpeechThreshold: nil), .never)
      } run: { transcription in
        _ = try transcription.run(interruption: .never, onProgress: { _, _ in }, onSegment: { _ in })
      }
    }
  }

  /// A window that was written at 0.5 or above is not trusted: the next one is not told of it.
  @Test(arguments: [(Float(0.4), true), (0.5, false), (0.7, false)])
  func onlySureWindowsAreTold(_ temperature: Float, _ isTold: Bool) throws {
    let model = try WhisperTests.open("good-multilingual")
    func run(_ conditions: Bool) throws -> Transcript {
      let options = WhisperOptions(
        language: "de", temperatures: [temperature], compressionRatioThreshold: nil, noSpeechThreshold: nil,
        conditionsOnPrevious: conditions, seed: 3)
      return try WhisperTests.transcribe(model, Self.samples, options)
    }
    #expect(try (run(true) != run(false)) == isTold)
  }
}
