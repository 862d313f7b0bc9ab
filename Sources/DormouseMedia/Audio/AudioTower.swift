import DormouseKernels
import DormouseSupport

/// A loaded tower that makes rows of audio.
protocol AudioTower: Sendable {
  var kernels: Kernels { get }

  /// Rows of audio, and places of the model's token in its prompt.
  /// - Throws: `Failure(.invalidArgument)` for audio that the tower does not take.
  func tokenCount(sampleCount: Int) throws(Failure) -> Int

  /// Samples of a window, of which audio is made up, and rows of one that has `sampleCount` of them: 0 for too few.
  var windowSampleCount: Int { get }
  func windowRowCount(sampleCount: Int) -> Int

  /// Samples of audio at most; nil: any number.
  var maximumSampleCount: Int? { get }

  /// - Parameters:
  ///   - samples: mono, 16,000 a second, of finite numbers.
  ///   - rows: [tokenCount(sampleCount: samples.count), text hidden size]; the caller keeps them until the run is over.
  ///   - interruption: asked while the whole audio is looked at.
  func begin(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption
  ) throws(Failure) -> any EncodingRun
}

extension AudioTower {
  /// Samples of the longest audio that makes `rows` rows at most.
  func sampleCount(rows: Int) -> Int {
    let size = windowSampleCount
    let whole = windowRowCount(sampleCount: size)
    guard whole > 0 else { return .max }
    // Fewer samples never make more rows.
    var (low, high) = (0, size)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if windowRowCount(sampleCount: middle) <= rows % whole { low = middle } else { high = middle }
    }
    let (windows, isBeyond) = (rows / whole).multipliedReportingOverflow(by: size)
    return isBeyond || windows > Int.max - low ? .max : windows + low
  }
}
