public import DormouseLayers
import DormouseSupport

/// The memory of a model that hears, known before anything is loaded.
public struct AudioModelPlan: Sendable, Equatable {
  /// Weights as they lie in the files, mapped or in memory.
  public let weightByteCount: Int
  /// float32 copies of norms, biases and positions.
  public let floatByteCount: Int
  /// Keys and values of one transcription; none for a tower.
  public let cacheByteCount: Int
  /// What one audio input at a time is worked on in.
  public let scratchByteCount: Int
  /// What the pool's threads keep for the kernels, shared by all.
  public let threadScratchByteCount: Int

  public var totalByteCount: Int {
    weightByteCount + floatByteCount + cacheByteCount + scratchByteCount + threadScratchByteCount
  }

  /// - Parameter ownByteCount: what each thread keeps.
  /// - Throws: `Failure(.malformed)` for sums beyond 64 bits.
  public init<Weights>(
    _ tensors: CheckedTensors<Weights>, cacheByteCount: Int = 0, scratchByteCount: Int, ownByteCount: Int,
    threadCount: Int
  ) throws(Failure) {
    weightByteCount = tensors.weightByteCount
    floatByteCount = tensors.floatByteCount
    self.cacheByteCount = cacheByteCount
    self.scratchByteCount = scratchByteCount
    threadScratchByteCount = try CheckedSize.product(threadCount, ownByteCount, of: "the threads' scratch memory")
    _ = try CheckedSize.sum(
      weightByteCount, floatByteCount, cacheByteCount, scratchByteCount, threadScratchByteCount,
      of: "the memory plan")
  }
}
