import DormouseCache
import DormouseModel
import DormouseSupport

/// The memory that an engine and one session take, in bytes, known before anything is loaded.
public struct EnginePlan: Sendable {
  /// Weights, packed or as the files hold them, and the small tensors that are converted to float32.
  public let weightBytes: UInt64
  /// Towers for images, videos and audio. What they work in depends on what they are given, and is no part of the
  /// plan.
  public let towerBytes: UInt64
  /// The model that transcribes audio, and one transcription of it.
  public let speechBytes: UInt64
  /// The decoder's working memory, and what the pool's threads keep for the kernels.
  let engineWorkingBytes: UInt64
  /// Tokens of the session at most.
  private(set) var contextLength = 0
  /// The session's latent cache at its full context, in whole pages.
  public private(set) var cacheBytes: UInt64 = 0
  /// The session's tokens and logits, and what its cache takes beside pages.
  private(set) var sessionWorkingBytes: UInt64 = 0
  /// Pages that no session holds, kept for later ones.
  public private(set) var prefixBytes: UInt64 = 0

  /// The engine without a session.
  /// - Parameters:
  ///   - towers: bytes of their weights.
  ///   - speech: bytes of the speech model and of one transcription.
  init(_ model: ModelPlan, towers: Int, speech: UInt64) {
    weightBytes = UInt64(clamping: model.weightByteCount + model.floatByteCount)
    towerBytes = UInt64(clamping: towers)
    speechBytes = speech
    engineWorkingBytes = UInt64(clamping: model.scratchByteCount + model.threadScratchByteCount)
  }

  /// Adds the session.
  /// - Parameters:
  ///   - layout: of its pages.
  ///   - engineOptions: say how many pages are kept for later sessions.
  /// - Throws: `Failure(.invalidArgument)` for a context that is not the model's, `.malformed` for sizes beyond 64
  ///   bits.
  mutating func add(
    _ session: SessionOptions, _ configuration: ModelConfiguration, _ layout: PageLayout,
    engineOptions: EngineOptions
  ) throws(Failure) {
    let what = "a session's memory"
    contextLength = try session.contextLength(within: configuration.maximumPositions)
    let tokens = try CheckedSize.product(contextLength, MemoryLayout<Int32>.stride, of: what)
    let logits = try CheckedSize.product(configuration.vocabularySize, MemoryLayout<Float>.stride, of: what)
    let cache = try LatentCache.workingByteCount(layout, capacity: contextLength)
    sessionWorkingBytes = UInt64(clamping: try CheckedSize.sum(tokens, logits, cache, of: what))
    cacheBytes = UInt64(clamping: try layout.byteCount(tokens: contextLength))
    prefixBytes = engineOptions.prefixByteLimit(layout)
  }

  /// What engine and session work in, their weights and pages aside.
  public var workingBytes: UInt64 { EnginePlan.sum(engineWorkingBytes, sessionWorkingBytes) }
  /// What the engine and the session cannot do without.
  var neededBytes: UInt64 { EnginePlan.sum(weightBytes, towerBytes, speechBytes, cacheBytes, workingBytes) }
  /// All of it; at most the largest number there is.
  public var totalBytes: UInt64 { EnginePlan.sum(neededBytes, prefixBytes) }

  /// At most the largest number there is: a limit may be any that the caller likes.
  private static func sum(_ terms: UInt64...) -> UInt64 {
    terms.reduce(0) { total, term in
      let (sum, overflow) = total.addingReportingOverflow(term)
      return overflow ? .max : sum
    }
  }

  /// The document of `dormouse_engine_plan`: bytes of each part, and in all.
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

extension SessionOptions {
  /// The session's context, in tokens: where it was not asked for the model's, but not a huge one.
  fileprivate func contextLength(within maximum: Int) throws(Failure) -> Int {
    let contextLength = contextLength ?? min(maximum, SessionOptions.defaultContextLength)
    guard (1...max(1, maximum)).contains(contextLength) else {
      throw Failure(
        .invalidArgument,
        "context_length is \(contextLength), beyond the model's max_position_embeddings of \(maximum)")
    }
    if case .slide(let keeping) = overflow, keeping >= contextLength {
      throw Failure(
        .invalidArgument, "keep_tokens is \(keeping); expected less than context_length, which is \(contextLength)")
    }
    return contextLength
  }
}

extension Engine {
  /// The memory plan of the engine with one session. The engine's part is known once it has weights; without, headers
  /// are read.
  /// - Throws: `Failure(.invalidArgument)` for a context that is not the model's; without weights, a `Failure` that
  ///   names the file, field or tensor at fault.
  public func plan(for options: SessionOptions) throws(Failure) -> EnginePlan {
    var plan = try planWithoutSession()
    let type = options.cacheType ?? self.options.defaultCacheType
    if let runtime {
      let layout = try runtime.stores.layout(type)
      try plan.add(options, runtime.model.configuration, layout, engineOptions: self.options)
    } else {
      let configuration = try modelFolder().configuration
      try plan.add(options, configuration, try configuration.pageLayout(type), engineOptions: self.options)
    }
    return plan
  }

  private func planWithoutSession() throws(Failure) -> EnginePlan {
    if let runtime { return runtime.plan }
    let model = try modelFolder().plan(
      try options.decoderOptions(), threadCount: pool.threadCount, kernels: kernels)
    let towers = try towers()
    return EnginePlan(model, towers: try towers?.byteCount() ?? 0, speech: try speechByteCount(besides: towers))
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
}
