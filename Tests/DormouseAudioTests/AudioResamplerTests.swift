import DormouseAudio
import DormouseKernels
import DormouseSupport
import Glibc
import Testing

/// The resampler against its formula in double precision (`Tests/Fixtures/audio/generate.py`), and the quality that it
/// states.
@Suite struct AudioResamplerTests {
  static func resample(_ samples: [Float], from rate: Int, to target: Int = 16000, pieces: [Int] = [1 << 20]) throws
    -> [Float]
  {
    var resampler = try AudioResampler(from: rate, to: target, kernels: Kernels.selected())
    var result: [Float] = []
    var start = 0
    var turn = 0
    while start < samples.count {
      let end = min(start + pieces[turn % pieces.count], samples.count)
      var output = [Float](repeating: .nan, count: try resampler.outputCount(appending: end - start))
      let written = try samples[start..<end].withUnsafeBufferPointer { piece in
        try output.withUnsafeMutableBufferPointer { try resampler.append(piece, into: $0) }
      }
      #expect(written == output.count)
      result += output
      start = end
      turn += 1
    }
    var output = [Float](repeating: .nan, count: try resampler.finalCount())
    let written = try output.withUnsafeMutableBufferPointer { try resampler.finish(into: $0) }
    #expect(written == output.count)
    return result + output
  }

  @Test(arguments: [(8000, 1001), (44100, 4003), (48000, 3999), (11025, 1001), (22050, 2003), (96000, 7011)])
  func equalsItsFormula(rate: Int, count: Int) throws {
    let golden = try TensorFile(Fixtures.path("audio/resampled.safetensors")).floats("rate-\(rate)")
    let found = try Self.resample(SyntheticAudio.voice(count, seed: 7), from: rate)
    #expect(found.count == golden.count)
    let worst = zip(found, golden).map { abs($0 - $1) }.max() ?? .infinity
    #expect(worst < 2e-6, "\(rate): \(worst)")
  }

  /// The formula in double precision.
  private static func weight(_ distance: Double) -> Double {
    func besselI0(_ x: Double) -> Double {
      var (sum, term) = (1.0, 1.0)
      for k in 1...200 {
        term *= (x / Double(2 * k)) * (x / Double(2 * k))
        sum += term
      }
      return sum
    }
    guard abs(distance) < 64 else { return 0 }
    let beta = 14.769656459379492
    let window = besselI0(beta * (1 - distance * distance / 4096).squareRoot()) / besselI0(beta)
    return distance == 0 ? window : sin(Double.pi * distance) / (Double.pi * distance) * window
  }

  /// Rates without a common factor have as many phases as samples: 44101 keeps the weights of all, 767999 of none.
  @Test(arguments: [(44101, 30000), (767_999, 30000), (1009, 3000), (15999, 9000)])
  func ratesWithoutACommonFactor(rate: Int, count: Int) throws {
    let samples = SyntheticAudio.voice(count, seed: 7)
    let found = try Self.resample(samples, from: rate)
    let cutoff = min(1, 16000 / Double(rate)) * 0.9475937167399596
    var worst = 0.0
    for index in stride(from: 0, to: found.count, by: max(1, found.count / 23)) {
      let place = Double(index) * Double(rate) / 16000
      let reach = 64 / cutoff + 2
      let inside = max(0, Int(place - reach))...min(count - 1, Int(place + reach))
      let expected = inside.reduce(0) { $0 + Double(samples[$1]) * Self.weight((Double($1) - place) * cutoff) * cutoff }
      worst = max(worst, abs(Double(found[index]) - expected))
    }
    #expect(worst < 2e-6, "\(rate): \(worst)")
    let pieces = try Self.resample(samples, from: rate, pieces: [1009, 3])
    #expect(pieces == found)
  }

  @Test func piecesChangeNoBit() throws {
    let samples = SyntheticAudio.voice(20011, seed: 3)
    for rate in [8000, 44100, 48000] {
      let whole = try Self.resample(samples, from: rate)
      for pieces in [[1], [441, 3], [10_000, 0, 17]] {
        #expect(try Self.resample(samples, from: rate, pieces: pieces) == whole, "\(rate), \(pieces)")
      }
    }
  }

  /// Equal rates go through the filter too, which lets all but the highest frequencies pass.
  @Test func equalRatesChangeNothingAudible() throws {
    let samples = (0..<3000).map { Float(sin(0.3 * Double($0)) + 0.5 * cos(1.1 * Double($0))) }
    let found = try Self.resample(samples, from: 16000)
    #expect(found.count == samples.count)
    let worst = zip(found, samples).dropFirst(100).dropLast(100).map { abs($0 - $1) }.max() ?? .infinity
    #expect(worst < 1e-4, "\(worst)")
  }

  /// Amplitude of a tone behind the resampler, away from the ends.
  static func gain(_ frequency: Double, from rate: Int) throws -> Double {
    let samples = (0..<rate / 2).map { Float(sin(2 * Double.pi * frequency * Double($0) / Double(rate))) }
    let found = try resample(samples, from: rate)
    let middle = found[found.count / 4..<found.count * 3 / 4]
    return (2 * middle.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(middle.count)).squareRoot()
  }

  @Test(arguments: [44100, 48000]) func passesTheBandAndKeepsAliasesOut(_ rate: Int) throws {
    for (frequency, bound) in [(50.0, 0.001), (1000, 0.001), (5000, 0.001), (6960, 0.001), (7200, 0.03)] {
      let decibels = 20 * log10(try Self.gain(frequency, from: rate))
      #expect(abs(decibels) < bound, "\(rate) Hz, \(frequency) Hz: \(decibels) dB")
    }
    for frequency in [8000, 8300, 9000, 12000, 15000, 20000.0] {
      let decibels = 20 * log10(try Self.gain(frequency, from: rate))
      #expect(decibels < -120, "\(rate) Hz, \(frequency) Hz: \(decibels) dB")
    }
  }

  @Test func absurdRatesAreRefused() throws {
    let kernels = try Kernels.selected()
    for rate in [0, -1, 999, 768_001, .max, .min] {
      #expect(throws: Failure.self) { _ = try AudioResampler(from: rate, to: 16000, kernels: kernels) }
      #expect(throws: Failure.self) { _ = try AudioResampler(from: 16000, to: rate, kernels: kernels) }
    }
    var resampler = try AudioResampler(from: 48000, to: 16000, kernels: kernels)
    let message = failureMessage {
      _ = try [Float](repeating: 0, count: 4800).withUnsafeBufferPointer {
        try resampler.append($0, into: UnsafeMutableBufferPointer(start: nil, count: 0))
      }
    }
    #expect(message.hasPrefix("room for 0 samples; "))
  }

  @Test func mixesChannelsDown() throws {
    let samples: [Float] = [1, 3, -2, 4, 0.5, 0.25]
    var mono = [Float](repeating: .nan, count: 3)
    try samples.withUnsafeBufferPointer { samples in
      try mono.withUnsafeMutableBufferPointer { try Waveform.mixDown(samples, channels: 2, into: $0) }
    }
    #expect(mono == [2, 1, 0.375])
    for channels in [0, -1, 4, 33] {
      #expect(throws: Failure.self) {
        try samples.withUnsafeBufferPointer { samples in
          try mono.withUnsafeMutableBufferPointer { try Waveform.mixDown(samples, channels: channels, into: $0) }
        }
      }
    }
    #expect(
      failureMessage { try [1, .nan].withUnsafeBufferPointer { try Waveform.requireFinite($0) } }
        == "sample 1 is nan; expected finite numbers")
    #expect(throws: Failure.self) { try [Float.infinity].withUnsafeBufferPointer { try Waveform.requireFinite($0) } }
  }
}
