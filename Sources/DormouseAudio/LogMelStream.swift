public import DormouseSupport

/// The log-mel energies of audio that comes in pieces, bit for bit those of `LogMelSpectrogram.energies`.
///
/// It keeps less than a block of frames of samples. Features need the greatest energy of the whole chunk: whoever
/// collects a chunk normalises it when the chunk is complete.
public struct LogMelStream {
  private let spectrogram: LogMelSpectrogram
  private let scratch: LogMelSpectrogram.Scratch
  /// Samples from the next frame's first one on.
  private var pending: [Float] = []
  /// Samples that came.
  public private(set) var sampleCount = 0
  /// Frames that went out.
  public private(set) var frameCount = 0

  public init(_ spectrogram: LogMelSpectrogram) throws(Failure) {
    self.spectrogram = spectrogram
    scratch = try LogMelSpectrogram.Scratch(spectrogram, count: 1)
  }

  private var half: Int { spectrogram.configuration.fftLength / 2 }

  /// Frames that the next `append` of `count` samples will write.
  public func frameCount(appending count: Int) -> Int {
    let total = sampleCount + count
    guard total > half else { return 0 }
    let whole = (total - half) / spectrogram.configuration.hopLength + 1
    return max(0, whole - frameCount)
  }

  /// Frames that `finish` will write.
  public func finalFrameCount(paddedTo count: Int = 0) -> Int {
    max(0, spectrogram.configuration.frameCount(sampleCount: max(count, sampleCount)) - frameCount)
  }

  /// Takes samples, and writes the frames that they complete.
  /// - Parameter rows: [frameCount(appending: samples.count), featureSize].
  /// - Returns: frames written.
  /// - Throws: `Failure(.invalidArgument)` when `rows` has too little room; nothing is taken then.
  public mutating func append(
    _ samples: UnsafeBufferPointer<Float>, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) -> Int {
    let wanted = frameCount(appending: samples.count)
    try require(rows, frames: wanted)
    var written = 0
    for start in stride(from: 0, to: samples.count, by: Self.pieceCount) {
      let piece = samples[start..<min(start + Self.pieceCount, samples.count)]
      take(piece)
      written += drain(limit: wanted - written, rows, after: written)
    }
    return written
  }

  /// Ends the audio, filled up with silence to `count` samples, and writes the frames that are left.
  /// - Parameter rows: [finalFrameCount(paddedTo: count), featureSize].
  public mutating func finish(
    paddedTo count: Int = 0, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) -> Int {
    let total = max(count, sampleCount)
    try spectrogram.requireMirror(total)
    let wanted = finalFrameCount(paddedTo: count)
    try require(rows, frames: wanted)
    var written = 0
    let silence = [Float](repeating: 0, count: Self.pieceCount)
    while sampleCount < total {
      take(silence[..<min(Self.pieceCount, total - sampleCount)])
      written += drain(limit: wanted - written, rows, after: written)
    }
    if written < wanted {
      // The frames that are left begin before `total - half`, so that their mirrored samples are still here.
      let end = pending.count - 1
      for distance in 1...half { pending.append(end - distance >= 0 ? pending[end - distance] : 0) }
      written += drain(limit: wanted - written, rows, after: written)
    }
    return written
  }

  private static let pieceCount = 4096

  private func require(_ rows: UnsafeMutableBufferPointer<Float>, frames: Int) throws(Failure) {
    let size = spectrogram.configuration.featureSize
    guard rows.count / size >= frames else {
      throw Failure(
        .invalidArgument, "room for \(rows.count) log-mel values; \(frames) frames of \(size) are to be written")
    }
  }

  private mutating func take(_ piece: some RandomAccessCollection<Float>) {
    let before = sampleCount
    pending.append(contentsOf: piece)
    sampleCount += piece.count
    // The first frame begins half a frame before the audio, mirrored as soon as enough of it is there.
    guard before <= half, sampleCount > half else { return }
    pending.insert(contentsOf: (1...half).reversed().map { pending[$0] }, at: 0)
  }

  /// Writes the frames that are complete, `limit` at most.
  private mutating func drain(limit: Int, _ rows: UnsafeMutableBufferPointer<Float>, after written: Int) -> Int {
    guard sampleCount > half, let base = rows.baseAddress else { return 0 }
    let c = spectrogram.configuration
    var done = 0
    while done < limit, pending.count >= c.fftLength {
      let whole = (pending.count - c.fftLength) / c.hopLength + 1
      let some = min(whole, limit - done, LogMelSpectrogram.blockFrames)
      pending.withUnsafeBufferPointer { samples in
        guard let first = samples.baseAddress else { return }
        spectrogram.energies(
          first, frames: some, scratch.vectors(0), into: base + (written + done) * c.featureSize)
      }
      pending.removeFirst(some * c.hopLength)
      frameCount += some
      done += some
    }
    return done
  }
}
