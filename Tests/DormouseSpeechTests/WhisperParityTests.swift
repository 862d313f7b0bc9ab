import DormouseAudio
@testable import DormouseSpeech
import DormouseSupport
import Testing

/// Rows and logits inside Whisper against transformers.
@Suite struct WhisperParityTests {
  static let bound = 1e-5

  /// Leaves what the golden's audio gives in the encoder.
  static func hear(_ model: Whisper) throws -> AudioEncoder {
    let chunk = model.spectrogram.configuration.chunkSampleCount
    let encoder = try AudioEncoder(
      model.configuration.encoder, model.weights.encoder, pool: model.pool, kernels: model.kernels)
    let count = model.configuration.encoder.windowFrameCount * model.configuration.encoder.melBinCount
    var features = [Float](repeating: .nan, count: count)
    try SyntheticAudio.voice(chunk - 4321, seed: 9).withUnsafeBufferPointer { samples in
      try features.withUnsafeMutableBufferPointer {
        try WhisperAudio(samples, model, .never).features(from: 0, into: $0)
      }
    }
    try encoder.run(features, count: model.configuration.encoder.sourcePositions, interruption: .never)
    encoder.finish(model.configuration.encoder.sourcePositions)
    return encoder
  }

  @Test(arguments: WhisperTests.models) func encoderRows(_ name: String) throws {
    let golden = try TensorFile(Fixtures.path("whisper/\(name)/golden.safetensors"))
    let model = try WhisperTests.open(name)
    let encoder = try Self.hear(model)
    let expected = try golden.floats("encoder_rows")
    let size = model.configuration.hiddenSize
    for (place, frame) in try golden.integers("frames").enumerated() {
      let row = UnsafeBufferPointer(start: encoder.blocks.normed + Int(frame) * size, count: size)
      let error = relativeError(row, expected[place * size..<(place + 1) * size])
      #expect(error <= Self.bound, "\(name), position \(frame): \(error)")
    }
  }

  /// All tokens at once, one by one, and in uneven pieces.
  @Test(arguments: WhisperTests.models, [[100], [1], [2, 1, 3]]) func logits(_ name: String, _ sizes: [Int]) throws {
    let golden = try TensorFile(Fixtures.path("whisper/\(name)/golden.safetensors"))
    let model = try WhisperTests.open(name, threads: 3)
    let decoder = try WhisperDecoder(
      model.configuration, model.weights.decoder, pool: model.pool, kernels: model.kernels)
    let encoder = try Self.hear(model)
    try decoder.listen(to: encoder.blocks, interruption: .never)
    let ids = try golden.integers("input_ids")
    let expected = try golden.floats("logits")
    let vocabulary = model.configuration.vocabularySize
    var first = 0
    var turn = 0
    while first < ids.count {
      let piece = ids[first..<min(first + sizes[turn % sizes.count], ids.count)]
      decoder.forward(piece, at: first, logitsOf: [piece.count - 1, 0])
      for (row, position) in [(0, piece.endIndex - 1), (1, first)] {
        let error = relativeError(
          UnsafeBufferPointer(decoder.logits(row)), expected[position * vocabulary..<(position + 1) * vocabulary])
        #expect(error <= Self.bound, "\(name), position \(position): \(error)")
      }
      first = piece.endIndex
      turn += 1
    }
  }

  /// The rules for timestamps, each where it decides.
  @Test func timestampRules() throws {
    let model = try WhisperTests.open("good-multilingual")
    let generation = model.generation
    let begin = Int(generation.timestampBegin)
    let rules = WhisperLogitRules(generation: generation, hasTimestamps: true)
    func allowed(after written: [Int], _ change: (inout [Float]) -> Void = { _ in }) -> [Int] {
      var scores = [Float](repeating: 0, count: model.configuration.vocabularySize)
      // All timestamps together must not win by their number.
      for token in 0..<begin { scores[token] = 20 }
      change(&scores)
      scores.withUnsafeMutableBufferPointer { rules.apply($0, after: written.map(Int32.init)) }
      return scores.indices.filter { scores[$0] > -.infinity }
    }
    let end = Int(generation.end)
    // A timestamp comes first, and not after a second.
    #expect(allowed(after: []) == Array(begin...begin + 50))
    // After a first one comes text; none of what is suppressed.
    let text = allowed(after: [begin + 5])
    #expect(text.allSatisfy { $0 < begin } && text.contains(end) && text.contains(20) && !text.contains(1))
    #expect(!text.contains(begin - 1))
    // After text any later timestamp.
    #expect(allowed(after: [begin + 5, 20]).filter { $0 >= begin }.first == begin + 6)
    // After one behind text: its pair, which may be the same, or the end.
    let pair = allowed(after: [begin + 5, 20, begin + 9])
    #expect(pair.filter { $0 >= begin }.first == begin + 9)
    #expect(pair.filter { $0 < begin }.allSatisfy { $0 >= end } && pair.contains(end))
    // Timestamps together likelier than any other token: one of them it is.
    #expect(
      allowed(after: [begin + 5, 20]) { scores in
        for token in begin..<scores.count { scores[token] = 17 }
      }.allSatisfy { $0 >= begin })
  }

  @Test func segmentsOfAWindow() {
    func cut(_ tokens: [Int32], audioLength: Double = 5) -> WhisperSegments {
      WhisperSegments(tokens, timestampBegin: 100, firstFrame: 300, frames: 200, audioLength: audioLength)
    }
    // One timestamp or none: the window is one segment.
    #expect(cut([1, 2]).segments == [.init(start: 3, end: 5, tokens: 0..<2)])
    #expect(cut([]).segments == [.init(start: 3, end: 5, tokens: 0..<0)])
    #expect(cut([100, 1, 150]).segments == [.init(start: 3, end: 4, tokens: 0..<3)])
    #expect(cut([100, 1, 150]).frameCount == 200)
    // Pairs cut; what is behind the last one is left to the next window.
    let open = cut([100, 1, 110, 110, 2, 120, 120, 3])
    #expect(open.segments.map(\.tokens) == [0..<3, 3..<7])
    #expect(open.frameCount == 40)
    // A single timestamp at the end closes the window.
    let closed = cut([100, 1, 110, 110, 2, 130])
    #expect(closed.segments.map(\.tokens) == [0..<3, 3..<6])
    #expect(closed.frameCount == 200)
  }

  /// Whatever a model writes, a segment lies within the audio and ends no earlier than it begins.
  @Test func segmentsLieWithinTheSound() {
    func times(_ tokens: [Int32], firstFrame: Int = 300, audioLength: Double = 4.25) -> [[Double]] {
      WhisperSegments(
        tokens, timestampBegin: 100, firstFrame: firstFrame, frames: 200, audioLength: audioLength
      ).segments.map { [$0.start, $0.end] }
    }
    // The window is filled up with silence.
    #expect(times([1, 2]) == [[3, 4.25]])
    #expect(times([100, 1, 190]) == [[3, 4.25]])
    #expect(times([100, 1, 110, 170, 2, 190]) == [[3, 3.2], [4.25, 4.25]])
    // Text where a time is expected, as without timestamps.
    #expect(times([1, 2, 110, 110, 3]) == [[3, 3.2]])
    #expect(times([1, 2, 110, 110, 3], firstFrame: 0) == [[0, 0.2]])
    #expect(times([1, 110, 110, 3, 120]) == [[3, 3.2], [3.2, 3.4]])
    // Times that go back.
    #expect(times([150, 1, 110, 105, 2, 103]) == [[4, 4], [3.1, 3.1]])
    // Behind the audio's end.
    #expect(times([1, 2], firstFrame: 600) == [[4.25, 4.25]])
  }

  @Test func compressionRatio() {
    // len(bytes) / len(zlib.compress(bytes)) in Python.
    #expect(TokenCompression.ratio([Int32](repeating: 7, count: 100), vocabularySize: 51865) == 200.0 / 13)
    #expect(TokenCompression.ratio([1, 2, 3], vocabularySize: 200) == 3.0 / 11)
    #expect(TokenCompression.ratio([], vocabularySize: 200) == 0)
  }
}
