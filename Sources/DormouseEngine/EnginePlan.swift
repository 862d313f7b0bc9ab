import DormouseCache
import DormouseModel
import DormouseSupport

/// The memory that an engine and one session take, in bytes, known before anything is loaded.
public struct EnginePlan: Sendable {
  /// Tokens of the session at most.
  let contextLength: Int
  /// Weights, packed or as the files hold them, and the small tensors that are converted to float32.
  public let weightBytes: UInt64
  /// Towers for pictures, films and sound. What they work in depends on what they are given, and is no part of the plan.
  public let towerBytes: UInt64
  /// The model that writes sounds down, and one transcription of it.
  public let speechBytes: UInt64
  /// The session's latent cache at its full context, in whole pages.
  public let cacheBytes: UInt64
  /// The engine's working memory, and what its threads keep for the kernels.
  let engineWorkingBytes: UInt64
  /// The session's tokens, logits and table of pages.
  let sessionWorkingBytes: UInt64
  /// Pages that no session holds, kept for later ones.
  public let prefixBytes: UInt64

  public var workingBytes: UInt64 { EnginePlan.sum(engineWorkingBytes, sessionWorkingBytes) }
  /// What the engine and the session cannot do without.
  var neededBytes: UInt64 { EnginePlan.sum(weightBytes, towerBytes, speechBytes, cacheBytes, workingBytes) }
  public var totalBytes: UInt64 { EnginePlan.sum(neededBytes, prefixBytes) }

  /// At most the largest number there is: a limit may be any that the caller likes.
  private static func sum(_ terms: UInt64...) -> UInt64 {
    terms.reduce(0) { total, term in
      let (sum, overflow) = total.addingReportingOverflow(term)
      return overflow ? .max : sum
    }
  }

  /// The document of `dormouse_engine_plan`.
  public var json: JSON {
    [
      "weights": .integer(Int64(clamping: weightBytes)),
      "towers": .integer(Int64(clamping: towerBytes)),
      "speech_model": .integer(Int64(clamping: speechBytes)),
      "cache": .integer(Int64(clamping: cacheBytes)),
      "working_memory": .integer(Int64(clamping: workingBytes)),
      "prefix_cache": .integer(Int64(clamping: prefixBytes)),
      "total": .integer(Int64(clamping: totalBytes)),
    ]
  }
}

extension Engine {
  /// The memory plan of the engine with one session.
  public func plan(for options: SessionOptions) throws(Failure) -> EnginePlan {
    let modelFolder = try modelFolder()
    let contextLength = try contextLength(for: options, modelFolder)
    let sizes = try Engine.decoderOptions(self.options)
    let engine = try modelFolder.plan(sizes, threadCount: pool.threadCount, kernels: kernels)
    let layout = try modelFolder.configuration.pageLayout(options.cacheType ?? self.options.defaultCacheType)
    let what = "a session's memory"
    let tokens = try CheckedSize.product(contextLength, MemoryLayout<Int32>.stride, of: what)
    let logits = try CheckedSize.product(
      modelFolder.configuration.vocabularySize, MemoryLayout<Float>.stride, of: what)
    let session = try CheckedSize.sum(
      tokens, logits, LatentCache.tableByteCount(capacity: contextLength), of: what)
    return EnginePlan(
      contextLength: contextLength,
      weightBytes: UInt64(clamping: engine.weightByteCount + engine.floatByteCount),
      towerBytes: UInt64(clamping: try towers()?.byteCount() ?? 0), speechBytes: try speechByteCount(),
      cacheBytes: UInt64(clamping: try layout.byteCount(tokens: contextLength)),
      engineWorkingBytes: UInt64(clamping: engine.scratchByteCount + engine.threadScratchByteCount),
      sessionWorkingBytes: UInt64(clamping: session), prefixBytes: self.options.prefixByteLimit(layout))
  }

  /// - Throws: `Failure(.outOfMemory)` when a session of this plan would not fit even alone.
  func requireRoom(for plan: EnginePlan) throws(Failure) {
    for (name, limit, bytes) in [
      ("memory_limit", options.memoryLimit, plan.neededBytes), ("cache_limit", options.cacheLimit, plan.cacheBytes),
    ] {
      guard let limit, bytes > limit else { continue }
      throw Failure(
        .outOfMemory,
        "a session of \(plan.contextLength) tokens: \(bytes) bytes are needed; \(name) is \(limit)")
    }
  }

  /// The decoder's sizes, which all sessions share.
  static func decoderOptions(_ options: EngineOptions) throws(Failure) -> DecoderOptions {
    DecoderOptions(batch: try options.limits().batch)
  }

  /// A session's context: where it was not asked for the model's, but not a huge one.
  private func contextLength(for options: SessionOptions, _ modelFolder: ModelFolder) throws(Failure) -> Int {
    let maximum = modelFolder.configuration.maximumPositions
    let contextLength = options.contextLength ?? min(maximum, SessionOptions.defaultContextLength)
    guard (1...max(1, maximum)).contains(contextLength) else {
      throw Failure(
        .invalidArgument,
        "context_length is \(contextLength), beyond the model's max_position_embeddings of \(maximum)")
    }
    if case .slide(let keeping) = options.overflow, keeping >= contextLength {
      throw Failure(
        .invalidArgument, "keep_tokens is \(keeping); expected less than context_length, which is \(contextLength)")
    }
    return contextLength
  }
}
