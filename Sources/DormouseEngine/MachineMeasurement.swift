import DormouseKernels
import DormouseSupport

/// What the machine can do at most, measured now.
public struct MachineMeasurement: Sendable {
  /// Bytes a second read from memory by all threads together.
  public let bytesPerSecond: Double
  /// Float32 operations a second (a fused multiply-add counts as two) of the chosen instruction set.
  public let operationsPerSecond: Double

  /// Measures, which takes some tenths of a second.
  /// - Parameter threadCount: 0: what the machine allows.
  /// - Throws: `Failure(.invalidArgument)` for more threads than an engine may have, `.unsupported` for an instruction
  ///   set in `DORMOUSE_ISA` that the machine lacks, `.outOfMemory`.
  public init(threadCount: Int) throws(Failure) {
    let pool = try Engine.makePool(threadCount: threadCount)
    let kernels = try Kernels.selected()
    bytesPerSecond = try MachineLimits.measureReadBandwidth(kernels: kernels, pool: pool) * 1e9
    operationsPerSecond = MachineLimits.measureArithmetic(kernels: kernels, pool: pool) * 1e9
  }
}
