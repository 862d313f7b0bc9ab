import DormouseKernels
import DormouseSupport

/// A loaded tower that makes rows of sounds.
protocol SoundTower: Sendable {
  var kernels: Kernels { get }

  /// Rows of a sound, and places of the model's token in its prompt.
  /// - Throws: `Failure(.invalidArgument)` for a sound that the tower does not take.
  func tokenCount(sampleCount: Int) throws(Failure) -> Int

  /// - Parameters:
  ///   - samples: mono, 16,000 a second, of finite numbers.
  ///   - rows: [tokenCount(sampleCount: samples.count), text hidden size]; the caller keeps them until the run is over.
  func begin(_ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>) throws(Failure) -> any EncodingRun
}
