import DormouseKernels
import DormouseSpeech
import DormouseSupport
import Testing

/// Whisper against transformers on tiny random checkpoints (`Tests/Fixtures/whisper/generate.py`).
@Suite struct WhisperTests {
  static let models = ["good-multilingual", "good-half-a-minute", "good-english"]

  static func open(_ name: String, threads: Int = 2) throws -> Whisper {
    try Whisper(
      folder: Fixtures.path("whisper/\(name)"), pool: ThreadPool(threadCount: threads), kernels: Kernels.selected())
  }

  /// What transformers wrote for one audio input.
  struct Golden: CustomStringConvertible, Sendable {
    struct Segment {
      let start: Double
      let end: Double
      let text: String
      let tokens: [Int32]
    }

    let model: String
    let name: String
    let entry: JSON

    var description: String { "\(model) \(name)" }

    static func all() -> [Golden] {
      models.flatMap { model in
        let document = try? File.readJSON(Fixtures.path("whisper/\(model)/transcripts.json"))
        let entries = document?["transcripts"]?.objectValue ?? JSONObject()
        return entries.map { Golden(model: model, name: $0.key, entry: $0.value) }
      }
    }

    var samples: [Float] {
      SyntheticAudio.voice(Int(entry["count"]?.integerValue ?? 0), seed: Int(entry["seed"]?.integerValue ?? 0))
    }

    var options: WhisperOptions {
      let given = entry["options"] ?? .null
      return WhisperOptions(
        language: given["language"]?.stringValue,
        task: WhisperOptions.Task(rawValue: given["task"]?.stringValue ?? "") ?? .transcribe,
        hasTimestamps: given["return_timestamps"]?.boolValue ?? true, temperatures: [0],
        compressionRatioThreshold: given["compression_ratio_threshold"]?.doubleValue,
        logProbabilityThreshold: given["logprob_threshold"]?.doubleValue,
        noSpeechThreshold: given["no_speech_threshold"]?.doubleValue,
        conditionsOnPrevious: given["condition_on_prev_tokens"]?.boolValue ?? false)
    }

    var language: String? { entry["language"]?.stringValue }

    var segments: [Segment] {
      (entry["segments"]?.arrayValue ?? []).map { segment in
        Segment(
          start: segment["start"]?.doubleValue ?? .nan, end: segment["end"]?.doubleValue ?? .nan,
          text: segment["text"]?.stringValue ?? "",
          tokens: (segment["tokens"]?.arrayValue ?? []).map { Int32($0.integerValue ?? -1) })
      }
    }

    /// Of the windows that were not left out.
    func measures(_ key: String) -> [Double] {
      (entry["windows"]?.arrayValue ?? []).filter { $0["is_skipped"]?.boolValue == false }.compactMap {
        $0[key]?.doubleValue
      }
    }
  }

  static func transcribe(
    _ model: Whisper, _ samples: [Float], _ options: WhisperOptions, interruption: Interruption = .never,
    onSegment: (TranscriptSegment) -> Void = { _ in }
  ) throws -> Transcript {
    try samples.withUnsafeBufferPointer {
      try model.transcribe($0, options: options, interruption: interruption, onSegment: onSegment)
    }
  }

  @Test func goldensAreThere() { #expect(Golden.all().count >= 19) }

  @Test(arguments: Golden.all()) func transcripts(_ golden: Golden) throws {
    let model = try Self.open(golden.model)
    var reported: [TranscriptSegment] = []
    let found = try Self.transcribe(model, golden.samples, golden.options, onSegment: { reported.append($0) })
    let expected = golden.segments
    #expect(found.segments.map(\.tokens) == expected.map(\.tokens))
    // transformers does not cut times to the audio, which it fills up with silence; and without timestamps it takes
    // what stands in their place for some, so that a segment may begin below 0 or behind its end.
    let length = Double(golden.samples.count) / 16000
    #expect(found.segments.map(\.start) == expected.map { min(max($0.start, 0), length) })
    #expect(found.segments.map(\.end) == expected.map { min(max($0.start, $0.end, 0), length) })
    #expect(found.segments.allSatisfy { 0 <= $0.start && $0.start <= $0.end && $0.end <= found.seconds })
    #expect(found.segments.map(\.text) == expected.map(\.text))
    #expect(found.text == expected.map(\.text).joined())
    #expect(reported == found.segments)
    if let language = golden.language { #expect(found.language == language) }
    Self.expectMeasures(found, golden)
  }

  /// What thresholds are held against, of every window: the first segment of each tells.
  static func expectMeasures(_ found: Transcript, _ golden: Golden) {
    var windows: [TranscriptMeasures] = []
    for segment in found.segments where windows.last != segment.measures { windows.append(segment.measures) }
    let keys: [(String, (TranscriptMeasures) -> Double, Double)] = [
      ("compression_ratio", { $0.compressionRatio }, 1e-12),
      ("average_log_probability", { $0.averageLogProbability }, 2e-5),
      ("no_speech_probability", { $0.noSpeechProbability }, 2e-5),
    ]
    for (key, value, bound) in keys {
      let expected = golden.measures(key)
      if expected.isEmpty { continue }
      #expect(windows.count == expected.count, "\(golden) \(key)")
      for (measures, expected) in zip(windows, expected) {
        #expect(abs(value(measures) - expected) <= bound * max(1, abs(expected)), "\(golden) \(key)")
      }
    }
  }
}
