import DormouseModel
import DormouseSupport

/// The memory that an engine and one session take, in bytes, known before anything is loaded.
public struct EnginePlan: Sendable {
  /// Weights, packed or as the files hold them, and the small tensors that are converted to float32.
  public let weightBytes: UInt64
  /// The session's latent cache at its full context.
  public let cacheBytes: UInt64
  /// The session's working memory, its tokens, and what the engine's threads keep for the kernels.
  public let workingBytes: UInt64

  /// - Parameter tokenBytes: what the session's list of tokens takes.
  init(_ plan: ModelPlan, tokenBytes: Int) {
    weightBytes = UInt64(clamping: plan.weightByteCount + plan.floatByteCount)
    cacheBytes = UInt64(clamping: plan.cacheByteCount)
    workingBytes =
      UInt64(clamping: plan.scratchByteCount) + UInt64(clamping: plan.threadScratchByteCount)
      + UInt64(clamping: tokenBytes)
  }

  /// What a session adds to the weights.
  public var sessionBytes: UInt64 { cacheBytes + workingBytes }

  /// The document of `dormouse_engine_plan`.
  public var json: JSON {
    [
      "weights": .integer(Int64(clamping: weightBytes)),
      "cache": .integer(Int64(clamping: cacheBytes)),
      "working_memory": .integer(Int64(clamping: workingBytes)),
      "total": .integer(Int64(clamping: weightBytes + sessionBytes)),
    ]
  }
}

extension Engine {
  /// The memory plan of the engine with one session.
  public func plan(for options: SessionOptions) throws(Failure) -> EnginePlan {
    let modelFolder = try modelFolder()
    let decoderOptions = try decoderOptions(for: options, modelFolder)
    let contextLength = decoderOptions.contextLength ?? modelFolder.configuration.maximumPositions
    return EnginePlan(
      try modelFolder.plan(decoderOptions, threadCount: pool.threadCount, kernels: kernels),
      tokenBytes: try CheckedSize.product(contextLength, MemoryLayout<Int32>.stride, of: "a session's tokens"))
  }

  /// The decoder's sizes for a session: a context that was not asked for is the model's, but not a huge one.
  func decoderOptions(for options: SessionOptions, _ modelFolder: ModelFolder) throws(Failure) -> DecoderOptions {
    let maximum = modelFolder.configuration.maximumPositions
    let contextLength = options.contextLength ?? min(maximum, SessionOptions.defaultContextLength)
    guard (1...max(1, maximum)).contains(contextLength) else {
      throw Failure(
        .invalidArgument,
        "context_length is \(contextLength), beyond the model's max_position_embeddings of \(maximum)")
    }
    return DecoderOptions(contextLength: contextLength, cacheType: options.cacheType)
  }
}
