import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseMedia

/// Voice towers against transformers on tiny random models (`Tests/Fixtures/models-media/generate_audio.py`).
@Suite struct WhisperTowerTests {
  static let bound = 1e-5
  static let models = ["good-voxtral", "good-audioflamingo3"]
  /// The audio of each prompt: samples and seed.
  static let prompts = ["one": [(40001, 1)], "two": [(11234, 2), (75003, 3)]]

  static func open(_ name: String, threads: Int = 2) throws -> WhisperTower {
    try WhisperTower(
      WhisperTowerFolder(Fixtures.path("models-media/\(name)")), pool: ThreadPool(threadCount: threads),
      kernels: Kernels.selected())
  }

  static func rows(_ tower: WhisperTower, _ samples: [Float], _ interruption: Interruption = .never) throws -> [Float] {
    let count = try tower.tokenCount(sampleCount: samples.count) * tower.configuration.textHiddenSize
    var rows = [Float](repeating: .nan, count: count)
    try rows.withUnsafeMutableBufferPointer { try tower.encode(samples, into: $0, interruption) }
    return rows
  }

  @Test(arguments: models, ["one", "two"]) func rowsEqualTheReference(_ name: String, _ prompt: String) throws {
    let golden = try TensorFile(Fixtures.path("models-media/\(name)/golden.safetensors"))
    let tower = try Self.open(name)
    let expected = try golden.floats("\(prompt).rows")
    var found: [Float] = []
    for (count, seed) in Self.prompts[prompt] ?? [] {
      found += try Self.rows(tower, SyntheticAudio.voice(count, seed: seed))
    }
    #expect(found.count == expected.count)
    let size = tower.configuration.textHiddenSize
    for start in stride(from: 0, to: min(found.count, expected.count), by: size) {
      let error = relativeError(found[start..<start + size], expected[start..<start + size])
      #expect(error <= Self.bound, "\(name) \(prompt), row \(start / size): \(error)")
    }
    // As many places in the prompt as rows.
    let token = try #require(tower.configuration.audioToken)
    let places = try golden.integers("\(prompt).input_ids").count { $0 == token }
    #expect(places * size == found.count)
  }

  @Test func tokenCounts() throws {
    let voxtral = try WhisperTowerFolder(Fixtures.path("models-media/good-voxtral"))
    for (samples, tokens) in [(1, 25), (32000, 25), (32001, 50), (96001, 100)] {
      #expect(try voxtral.tokenCount(sampleCount: samples) == tokens)
    }
    // `_get_audio_token_length` of the processor, for frames that samples begin.
    let flamingo = try WhisperTowerFolder(Fixtures.path("models-media/good-audioflamingo3"))
    for samples in [481, 800, 16000, 31999, 32000, 32000 + 640, 96001] {
      let frames = samples / 32000 * 200 + (samples % 32000 + 159) / 160
      #expect(try flamingo.tokenCount(sampleCount: samples) == ((frames - 1) / 2 + 1 - 2) / 2 + 1)
    }
  }

  @Test func threadsChangeNoBit() throws {
    for name in Self.models {
      let samples = SyntheticAudio.voice(50_000, seed: 4)
      let results = try [1, 2, 5].map { try Self.rows(Self.open(name, threads: $0), samples) }
      #expect(results[1] == results[0] && results[2] == results[0], "\(name)")
    }
  }

  /// The plan is what will be taken, byte by byte.
  @Test(arguments: models) func planIsKept(_ name: String) throws {
    let folder = try WhisperTowerFolder(Fixtures.path("models-media/\(name)"))
    let kernels = try Kernels.selected()
    let plan = try folder.plan(threadCount: 3, kernels: kernels)
    let tower = try WhisperTower(folder, residency: .memory, pool: ThreadPool(threadCount: 3), kernels: kernels)
    let samples = SyntheticAudio.voice(75003, seed: 3)
    let count = try tower.tokenCount(sampleCount: samples.count) * tower.configuration.textHiddenSize
    var rows = [Float](repeating: .nan, count: count)
    try rows.withUnsafeMutableBufferPointer { rows in
      try HeldMemory.expectKept(plan, by: tower, tower.pool) { try tower.begin(samples, into: rows) }
    }
  }

  // MARK: - Bad input

  @Test func soundsThatMakeNoSenseAreRefused() throws {
    let tower = try Self.open("good-audioflamingo3")
    func message(_ samples: [Float]) -> String { failureMessage { _ = try Self.rows(tower, samples) } }
    #expect(message([]) == "audio without samples")
    #expect(message([Float](repeating: 0, count: 320)) == "audio of 320 samples is too short for the model to hear")
    #expect(message([Float](repeating: .nan, count: 3200)) == "sample 0 is nan; expected finite numbers")
    #expect(
      failureMessage { _ = try tower.tokenCount(sampleCount: 600 * 16000 + 1) }
        == "audio of 600.0000625 s; the model takes 600 s at most")
    #expect(throws: Failure.self) { _ = try tower.tokenCount(sampleCount: -1) }
    let samples = SyntheticAudio.voice(16000, seed: 1)
    var rows = [Float](repeating: 0, count: 7)
    #expect(
      failureMessage {
        try rows.withUnsafeMutableBufferPointer { try tower.encode(samples, into: $0) }
      } == "room for 7 values of the audio's rows; 900 are to be written")
  }

  @Test func cancelsOnceALayer() throws {
    let tower = try Self.open("good-voxtral")
    let asked = Locked(0)
    let message = failureMessage {
      let interruption = Interruption {
        asked.withLock { $0 += 1 }
        return asked.withLock { $0 } == 5 ? Failure(.cancelled, "the encoding of audio was cancelled") : nil
      }
      _ = try Self.rows(tower, SyntheticAudio.voice(64000, seed: 1), interruption)
    }
    #expect(message == "the encoding of audio was cancelled")
    #expect(asked.withLock { $0 } == 5)
  }
}
