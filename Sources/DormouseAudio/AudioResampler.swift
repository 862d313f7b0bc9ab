public import DormouseKernels
public import DormouseSupport
import Glibc

/// Changes the rate of audio by band-limited interpolation, also of one that comes in pieces (Smith and Gossett 1984;
/// `sinc_interp_kaiser` of torchaudio).
///
/// Output n is `sum over i of x[i] h(i / from - n / to)`, with h a sinc that ends at 0.948 of the lower rate's Nyquist
/// frequency under a Kaiser window (beta 14.77) of 64 of its zeroes on either side. The audio passes within 0.001 dB up
/// to 0.87 of that Nyquist frequency and within 0.03 dB up to 0.9, and from Nyquist on aliases are 120 dB down. Where
/// pieces begin and end changes no bit.
public struct AudioResampler {
  public let inputRate: Int
  public let outputRate: Int
  private let kernels: Kernels
  /// Input and output rate without common factors: after `outputStep` outputs the phases repeat.
  private let inputStep: Int
  private let outputStep: Int
  /// Input samples on either side of the output's place that may count.
  private let reach: Int
  private let weights: ResamplerWeights
  /// Input samples from the first one on that the next output needs.
  private var pending: [Float]
  /// The next output's place: `position + phase / outputStep` input samples.
  private var position = 0
  private var phase = 0
  /// Input samples that came, and outputs that went out.
  private var inputCount = 0
  private var outputCount = 0

  public static let rateRange = 1000...768_000
  private static let rolloff = 0.9475937167399596

  private var tapCount: Int { 2 * reach + 2 }

  /// - Throws: `Failure(.invalidArgument)` for a rate out of range, `Failure(.outOfMemory)`.
  public init(from inputRate: Int, to outputRate: Int, kernels: Kernels) throws(Failure) {
    for rate in [inputRate, outputRate] where !Self.rateRange.contains(rate) {
      throw Failure(
        .invalidArgument,
        "a sampling rate of \(rate); expected \(Self.rateRange.lowerBound) to \(Self.rateRange.upperBound)")
    }
    let common = Self.greatestCommonDivisor(inputRate, outputRate)
    let cutoff = Double(min(inputRate, outputRate)) * Self.rolloff / Double(inputRate)
    self.inputRate = inputRate
    self.outputRate = outputRate
    self.kernels = kernels
    inputStep = inputRate / common
    outputStep = outputRate / common
    reach = Int((ResamplerKernel.zeroCount / cutoff).rounded(.up)) + 1
    weights = try ResamplerWeights(reach: reach, phaseCount: outputStep, cutoff: cutoff)
    pending = [Float](repeating: 0, count: reach)
  }

  /// Outputs of `count` samples in all: their length at the other rate, rounded up.
  public func totalCount(_ count: Int) throws(Failure) -> Int {
    let scaled = try CheckedSize.product(count, outputStep, of: "a resampled audio's length")
    return CheckedSize.ceilingQuotient(scaled, inputStep)
  }

  /// Outputs that the next `append` of `count` samples will write.
  public func outputCount(appending count: Int) throws(Failure) -> Int {
    // An output at place p needs the samples up to p + reach + 1.
    let whole = try CheckedSize.sum(inputCount, count, of: "a resampled audio's length") - reach - 1
    return whole > 0 ? max(0, try totalCount(whole) - outputCount) : 0
  }

  /// Takes samples, and writes the outputs that they complete.
  /// - Parameter output: [outputCount(appending: samples.count)].
  /// - Returns: outputs written.
  /// - Throws: `Failure(.invalidArgument)` when `output` has too little room; nothing is taken then.
  public mutating func append(
    _ samples: UnsafeBufferPointer<Float>, into output: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) -> Int {
    let wanted = try outputCount(appending: samples.count)
    try require(output, wanted)
    var written = 0
    for start in stride(from: 0, to: samples.count, by: Self.pieceCount) {
      let piece = samples[start..<min(start + Self.pieceCount, samples.count)]
      pending.append(contentsOf: piece)
      inputCount += piece.count
      written += drain(limit: wanted - written, output, after: written)
    }
    return written
  }

  /// Outputs that `finish` will write.
  public func finalCount() throws(Failure) -> Int { try totalCount(inputCount) - outputCount }

  /// Ends the audio, with silence behind it. The resampler can't be used again.
  /// - Parameter output: [finalCount()].
  public mutating func finish(into output: UnsafeMutableBufferPointer<Float>) throws(Failure) -> Int {
    let wanted = try finalCount()
    try require(output, wanted)
    pending.append(contentsOf: repeatElement(0, count: tapCount))
    return drain(limit: wanted, output, after: 0)
  }

  private static let pieceCount = 4096

  private func require(_ output: UnsafeMutableBufferPointer<Float>, _ count: Int) throws(Failure) {
    guard output.count >= count else {
      throw Failure(.invalidArgument, "room for \(output.count) samples; \(count) are to be written")
    }
  }

  /// Writes what `pending` suffices for, `limit` outputs at most, and drops the samples that no further one needs.
  private mutating func drain(limit: Int, _ output: UnsafeMutableBufferPointer<Float>, after written: Int) -> Int {
    let start = position
    var done = 0
    pending.withUnsafeBufferPointer { samples in
      guard let base = samples.baseAddress else { return }
      while done < limit, position - start + tapCount <= samples.count {
        output[written + done] = kernels.dot(base + (position - start), weights.row(phase), count: tapCount)
        let next = phase + inputStep
        position += next / outputStep
        phase = next % outputStep
        done += 1
      }
    }
    pending.removeFirst(min(position - start, pending.count))
    outputCount += done
    return done
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    b == 0 ? a : greatestCommonDivisor(b, a % b)
  }
}

extension AudioResampler {
  /// Outputs that are made without a look at whether anybody waits.
  private static let outputsBetweenLooks = 1 << 16

  /// The whole audio at the other rate.
  /// - Parameters:
  ///   - budget: where the result counts; nil: nowhere.
  ///   - interruption: asked between pieces.
  /// - Throws: `Failure(.outOfMemory)` where the budget has no room for it, and what interrupts it.
  public mutating func all(
    _ samples: [Float], budget: MemoryBudget?, _ interruption: Interruption
  ) throws(Failure) -> AudioSamples {
    var result = try AudioSamples(expecting: try totalCount(samples.count), budget: budget)
    let pieceCount = max(1, min(Self.pieceCount, Self.outputsBetweenLooks / max(1, outputRate / inputRate)))
    var output: [Float] = []
    for start in stride(from: 0, to: samples.count, by: pieceCount) {
      try interruption.check()
      let piece = samples[start..<min(start + pieceCount, samples.count)]
      try write(&output, count: try outputCount(appending: piece.count), to: &result) {
        (resampler, output) throws(Failure) in
        try piece.withUnsafeBufferPointer { (piece) throws(Failure) in try resampler.append(piece, into: output) }
      }
    }
    try write(&output, count: try finalCount(), to: &result) { (resampler, output) throws(Failure) in
      try resampler.finish(into: output)
    }
    return result
  }

  /// Appends what `make` writes, `count` outputs, by way of `output`.
  private mutating func write(
    _ output: inout [Float], count: Int, to result: inout AudioSamples,
    _ make: (inout AudioResampler, UnsafeMutableBufferPointer<Float>) throws(Failure) -> Int
  ) throws(Failure) {
    if output.count < count { output = [Float](repeating: 0, count: count) }
    let outcome: Result<Void, Failure> = output.withUnsafeMutableBufferPointer { output in
      Result { () throws(Failure) in
        let written = try make(&self, output)
        try result.append(UnsafeBufferPointer(rebasing: output[..<written]))
      }
    }
    try outcome.get()
  }
}
