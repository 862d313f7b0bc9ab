import DormouseAudio
import DormouseEngine
import DormouseKernels
import DormouseMedia
import DormouseSupport
import Testing

/// Chats with audio, against transformers' own models (`Tests/Fixtures/models-media/generate_audio.py`).
@Suite struct VoiceChatTests {
  private static let bound = 1e-5

  /// A prompt of the goldens: its parts, texts and audio in turn.
  struct Prompt: Sendable, CustomTestStringConvertible {
    let model: String
    let name: String
    let texts: [String]
    /// Samples and seed.
    let audio: [(Int, Int)]

    var testDescription: String { "\(model) \(name)" }
    var folder: String { Fixtures.path("Fixtures/models-media/\(model)") }

    var messages: String {
      let parts = texts.enumerated().flatMap { index, text -> [JSON] in
        let words: JSON = ["type": "text", "text": .string(text)]
        guard index < audio.count else { return [words] }
        return [words, ["type": "input_audio", "input_audio": ["url": .string("attachment:\(index)")]]]
      }
      return JSON.array([["role": "user", "content": .array(parts)]]).text()
    }

    func attachments(rate: Int = 16000) throws -> [MediaItem] {
      try audio.map { count, seed in
        var audio = try HeldAudio(channelCount: 1, rate: rate)
        let samples = SyntheticAudio.voice(count, seed: seed)
        // As a host pushes them.
        for start in stride(from: 0, to: count, by: 7001) {
          try samples[start..<min(start + 7001, count)].withUnsafeBufferPointer { try audio.append($0) }
        }
        return .audio(audio)
      }
    }
  }

  static let prompts = [
    Prompt(model: "good-voxtral", name: "one", texts: ["what", " do you hear"], audio: [(40001, 1)]),
    Prompt(
      model: "good-voxtral", name: "two", texts: ["what", " do you hear", " count"], audio: [(11234, 2), (75003, 3)]),
    Prompt(model: "good-audioflamingo3", name: "one", texts: ["what do you ", " hear"], audio: [(40001, 1)]),
    Prompt(
      model: "good-audioflamingo3", name: "two", texts: ["what do you ", " hear in the ", "night"],
      audio: [(11234, 2), (75003, 3)]),
  ]

  private static func session(_ prompt: Prompt) throws -> Session {
    var options = EngineOptions()
    options.threadCount = 2
    return try Session(engine: try Engine(path: prompt.folder, options: options), options: SessionOptions())
  }

  @Test(arguments: prompts) func answersAreThoseOfTransformers(_ prompt: Prompt) throws {
    let golden = try TensorFile(prompt.folder + "/golden.safetensors")
    let ids = try golden.integers("\(prompt.name).input_ids")
    let session = try Self.session(prompt)
    var tokens: [Int32] = []
    var counts = GenerationEvent.Counts()
    _ = try session.chat(
      messages: prompt.messages, attachments: try prompt.attachments(),
      configuration: #"{"temperature": 0, "ignore_eos": true, "max_tokens": 16}"#
    ) { event in
      if event.kind == .token { tokens.append(event.token) }
      counts = event.counts
      return 0
    }
    #expect(tokens == (try golden.integers("\(prompt.name).greedy")))
    #expect(counts.promptTokens == ids.count)
    let rows = try golden.shape("\(prompt.name).rows")[0]
    #expect(counts.mediaTokens.audio == rows)
    try session.truncate(to: ids.count)
    var logits = [Float](repeating: .nan, count: session.vocabularySize)
    try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
    let error = relativeError(logits, try golden.floats("\(prompt.name).logits").suffix(session.vocabularySize))
    #expect(error <= Self.bound, "\(prompt): \(error)")
  }

  @Test(arguments: prompts) func promptsAreThoseOfTransformers(_ prompt: Prompt) throws {
    let golden = try TensorFile(prompt.folder + "/golden.safetensors")
    let engine = try Engine(path: prompt.folder, options: EngineOptions())
    let ids = try engine.tokenize(messages: prompt.messages, attachments: try prompt.attachments())
    #expect(ids == (try golden.integers("\(prompt.name).input_ids")))
  }

  /// Audio at another rate is heard as what the resampler makes of it.
  @Test func otherRatesAreHeardAsResampled() throws {
    let prompt = Self.prompts[0]
    func logits(_ attachments: [MediaItem]) throws -> [Float] {
      let session = try Self.session(prompt)
      _ = try session.chat(
        messages: prompt.messages, attachments: attachments, configuration: #"{"max_tokens": 1}"#
      ) { _ in 0 }
      var logits = [Float](repeating: .nan, count: session.vocabularySize)
      try logits.withUnsafeMutableBufferPointer { try session.copyLogits(to: $0) }
      return logits
    }
    var resampler = try AudioResampler(from: 48000, to: 16000, kernels: Kernels.selected())
    let samples = SyntheticAudio.voice(prompt.audio[0].0, seed: prompt.audio[0].1)
    var brought = [Float](repeating: 0, count: samples.count)
    let count = try brought.withUnsafeMutableBufferPointer { target in
      let first = try samples.withUnsafeBufferPointer { try resampler.append($0, into: target) }
      return first + (try resampler.finish(into: .init(rebasing: target[first...])))
    }
    var audio = try HeldAudio(channelCount: 1, rate: 16000)
    try brought[..<count].withUnsafeBufferPointer { try audio.append($0) }
    let found = try logits(prompt.attachments(rate: 48000))
    #expect(try relativeError(found, logits([.audio(audio)])) <= 1e-6)
    #expect(try relativeError(found, logits(prompt.attachments())) > 1e-3)
  }

  /// Audio at another rate is another audio, of as many seconds.
  @Test func otherRatesAreBroughtDown() throws {
    let prompt = Self.prompts[0]
    let session = try Self.session(prompt)
    _ = try session.chat(
      messages: prompt.messages, attachments: try prompt.attachments(rate: 48000),
      configuration: #"{"max_tokens": 1}"#
    ) { event in
      // 40,001 samples at 48 kHz are less than a second: one window.
      #expect(event.kind == .token || event.counts.mediaTokens.audio == 25)
      return 0
    }
  }

  @Test func pictureAndEmptySoundAreRefused() throws {
    let session = try Self.session(Self.prompts[0])
    let empty = MediaItem.audio(try HeldAudio(channelCount: 2, rate: 44100))
    for (item, type, fragment) in [
      (empty, "input_audio", "audio without samples"),
      (.image(try SyntheticImages.image(9, 9, seed: 1)), "image_url", "takes no parts of type image"),
    ] {
      let messages: JSON = [
        ["role": "user", "content": [["type": .string(type), type: ["url": "attachment:0"]]]]
      ]
      let failure = #expect(throws: Failure.self) {
        _ = try session.chat(messages: messages.text(), attachments: [item], configuration: nil) { _ in 0 }
      }
      #expect(failure?.message.contains(fragment) == true, "\(String(describing: failure))")
    }
  }
}
