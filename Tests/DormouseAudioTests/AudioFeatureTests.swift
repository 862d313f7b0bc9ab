import DormouseAudio
import DormouseSupport
import Testing

/// Log-mel features against transformers' extractors (`Tests/Fixtures/audio/generate.py`).
@Suite struct AudioFeatureTests {
  static let bound: Float = 1e-4

  struct Case: CustomStringConvertible, Sendable {
    let name: String
    let channels: Int
    let samples: [Float]
    let paddedTo: Int
    var chunk = 30

    var description: String { name }
  }

  static let chunk = 480_000

  static func cases() -> [Case] {
    let long = SyntheticAudio.voice(40 * SyntheticAudio.rate + 5927, seed: 2)
    let dots = SyntheticAudio.voice(61 * SyntheticAudio.rate + 4321, seed: 6)
    let minute = 60 * SyntheticAudio.rate
    return [
      Case(name: "short-80", channels: 80, samples: SyntheticAudio.voice(75001, seed: 1), paddedTo: chunk),
      Case(name: "whole-128", channels: 128, samples: SyntheticAudio.voice(chunk, seed: 3), paddedTo: chunk),
      Case(name: "cut-80", channels: 80, samples: Array(long[..<chunk]), paddedTo: chunk),
      Case(name: "long-80", channels: 80, samples: long, paddedTo: 0),
      Case(name: "windows-128", channels: 128, samples: long, paddedTo: 2 * chunk),
      Case(name: "silence-80", channels: 80, samples: [Float](repeating: 0, count: 16000), paddedTo: chunk),
      Case(
        name: "loud-80", channels: 80, samples: (0..<48000).map { Float(30 * SyntheticAudio.noise($0, seed: 4)) },
        paddedTo: chunk),
      Case(name: "few-samples-80", channels: 80, samples: SyntheticAudio.voice(3, seed: 5), paddedTo: chunk),
      Case(name: "dots-0", channels: 128, samples: Array(dots[..<minute]), paddedTo: minute, chunk: 60),
      Case(name: "dots-1", channels: 128, samples: Array(dots[minute...]), paddedTo: minute, chunk: 60),
    ]
  }

  static func features(_ test: Case, threads: Int = 2) throws -> [Float] {
    let configuration = try LogMelConfiguration(featureSize: test.channels, chunkLength: test.chunk)
    let spectrogram = try LogMelSpectrogram(configuration)
    let pool = try ThreadPool(threadCount: threads)
    return try test.samples.withUnsafeBufferPointer { samples in
      let signal = PaddedSignal(samples, paddedTo: test.paddedTo)
      var rows = [Float](
        repeating: .nan, count: configuration.frameCount(sampleCount: signal.count) * test.channels)
      try rows.withUnsafeMutableBufferPointer { try spectrogram.features(of: signal, pool: pool, into: $0) }
      return rows
    }
  }

  @Test(arguments: cases()) func equalThePublishedExtractors(_ test: Case) throws {
    let golden = try TensorFile(Fixtures.path("audio/features.safetensors"))
    let rows = try Self.features(test)
    let chosen = try golden.integers("\(test.name).frames").map(Int.init)
    let expected = try golden.floats("\(test.name).rows")
    let size = test.channels
    var worst: Float = 0
    for (place, frame) in chosen.enumerated() {
      for channel in 0..<size {
        worst = max(worst, abs(rows[frame * size + channel] - expected[place * size + channel]))
      }
    }
    // dots3_note cuts the frames of a chunk behind its last token.
    let count = Int(try golden.integers("\(test.name).count")[0])
    #expect(count <= rows.count / size)
    for (index, mean) in try golden.floats("\(test.name).frame_means").enumerated() {
      let row = rows[8 * index * size..<(8 * index + 1) * size]
      worst = max(worst, abs(Float(row.reduce(0.0) { $0 + Double($1) } / Double(size)) - mean))
    }
    var channelSums = [Double](repeating: 0, count: size)
    for (index, value) in rows[..<(count * size)].enumerated() { channelSums[index % size] += Double(value) }
    for (channel, mean) in try golden.floats("\(test.name).channel_means").enumerated() {
      worst = max(worst, abs(Float(channelSums[channel] / Double(count)) - mean))
    }
    #expect(worst <= Self.bound, "\(test.name): \(worst)")
  }

  /// One thread or several, and whatever the length of the pieces: the same bits.
  @Test func piecesGiveTheSameEnergies() throws {
    let configuration = try LogMelConfiguration(featureSize: 80)
    let spectrogram = try LogMelSpectrogram(configuration)
    for (count, padded) in [(9973, 0), (16000, 32000), (201, 0), (163, 1600)] {
      let samples = SyntheticAudio.voice(count, seed: 8)
      let expected = try samples.withUnsafeBufferPointer { samples in
        let signal = PaddedSignal(samples, paddedTo: padded)
        let frames = configuration.frameCount(sampleCount: signal.count)
        var rows = [Float](repeating: .nan, count: frames * 80)
        let pool = try ThreadPool(threadCount: 3)
        try rows.withUnsafeMutableBufferPointer {
          try spectrogram.energies(of: signal, frames: 0..<frames, pool: pool, into: $0)
        }
        return rows
      }
      for sizes in [[1], [160], [7, 4001, 0, 333], [100_000]] {
        #expect(try Self.pieces(samples, sizes, padded: padded, spectrogram) == expected, "\(count), \(sizes)")
      }
    }
  }

  static func pieces(
    _ samples: [Float], _ sizes: [Int], padded: Int, _ spectrogram: LogMelSpectrogram
  ) throws -> [Float] {
    var stream = try LogMelStream(spectrogram)
    var result: [Float] = []
    var start = 0
    var turn = 0
    while start < samples.count {
      let end = min(start + sizes[turn % sizes.count], samples.count)
      let piece = Array(samples[start..<end])
      var rows = [Float](repeating: .nan, count: stream.frameCount(appending: piece.count) * 80)
      let written = try piece.withUnsafeBufferPointer { piece in
        try rows.withUnsafeMutableBufferPointer { try stream.append(piece, into: $0) }
      }
      #expect(written * 80 == rows.count)
      result += rows
      start = end
      turn += 1
    }
    var rows = [Float](repeating: .nan, count: stream.finalFrameCount(paddedTo: padded) * 80)
    let written = try rows.withUnsafeMutableBufferPointer { try stream.finish(paddedTo: padded, into: $0) }
    #expect(written * 80 == rows.count)
    return result + rows
  }

  /// Other lengths of the transform than 400: against the definition, in double precision.
  @Test(arguments: [16, 18, 20, 24, 30, 50, 512, 800]) func anyTransformLength(_ count: Int) throws {
    let configuration = try LogMelConfiguration(featureSize: 8, fftLength: count, hopLength: count / 2, chunkLength: 1)
    let spectrogram = try LogMelSpectrogram(configuration)
    let samples = (0..<5 * count).map { Float(SyntheticAudio.noise($0, seed: 9)) }
    let pool = try ThreadPool(threadCount: 1)
    var rows = [Float](repeating: .nan, count: 10 * 8)
    try samples.withUnsafeBufferPointer { samples in
      try rows.withUnsafeMutableBufferPointer {
        try spectrogram.energies(of: PaddedSignal(samples), frames: 0..<10, pool: pool, into: $0)
      }
    }
    for frame in 1..<9 {
      let expected = Reference.energies(
        Array(samples[(frame * count / 2 - count / 2)..<(frame * count / 2 + count / 2)]), channels: 8)
      for channel in 0..<8 { #expect(abs(rows[frame * 8 + channel] - expected[channel]) < 2e-5) }
    }
  }

  // MARK: - Bad input

  @Test func shortSoundsAndSmallBuffersAreRefused() throws {
    let spectrogram = try LogMelSpectrogram(LogMelConfiguration(featureSize: 80))
    let pool = try ThreadPool(threadCount: 1)
    let samples = [Float](repeating: 0.5, count: 320)
    var rows = [Float](repeating: 0, count: 80)
    func run(_ count: Int, _ frames: Range<Int>) throws {
      try samples[..<count].withUnsafeBufferPointer { samples in
        try rows.withUnsafeMutableBufferPointer {
          try spectrogram.energies(of: PaddedSignal(samples), frames: frames, pool: pool, into: $0)
        }
      }
    }
    #expect(failureMessage { try run(200, 0..<1) } == "audio of 200 samples; log-mel features need more than 200")
    #expect(failureMessage { try run(0, 0..<0) } == "audio of 0 samples; log-mel features need more than 200")
    #expect(failureMessage { try run(320, 0..<2) }.contains("frames 0..<2 of 2 into 80 values"))
    #expect(failureMessage { try run(320, 1..<3) }.contains("frames 1..<3 of 2"))
    #expect(failureMessage { try run(320, 0..<1) } == "no failure")
  }

  @Test func configurationIsCheckedFieldByField() throws {
    func read(_ text: String) -> String {
      failureMessage { _ = try LogMelConfiguration(JSONFields(JSON.parse(Array(text.utf8)), file: "p.json")) }
    }
    #expect(read("{}") == "no failure")
    #expect(read(#"{"feature_size": 0}"#) == "p.json: feature_size is 0; expected an integer from 1 to 512")
    #expect(read(#"{"n_fft": 402}"#).contains("n_fft is 402, which is not supported"))
    #expect(read(#"{"n_fft": 4000000000000000000000}"#).contains("n_fft is"))
    #expect(read(#"{"hop_length": 0}"#).contains("expected an integer from 1 to 400"))
    #expect(read(#"{"chunk_length": 1e3}"#).contains("chunk_length is"))
    #expect(read(#"{"sampling_rate": 8000}"#).contains("sampling_rate is 8000, which is not supported"))
    #expect(read(#"{"dither": 0.1}"#).contains("dither is 0.1"))
    #expect(read(#"{"do_normalize": true}"#).contains("do_normalize is true"))
    #expect(read(#"{"feature_extractor_type": "CLAP"}"#).contains(#"feature_extractor_type is "CLAP""#))
  }
}
