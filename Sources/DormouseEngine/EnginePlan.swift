import DormouseCache
import DormouseModel
import DormouseSupport

/// The memory that an engine and one session take, in bytes, known before anything is loaded.
public struct EnginePlan: Sendable {
  /// What the engine takes before it has a session, in bytes.
  struct EnginePart: Sendable {
    let weights: UInt64
    let towers: UInt64
    let speech: UInt64
    /// The decoder's working memory, and what the pool's threads keep for the kernels.
    let working: UInt64
  }

  /// What a session takes, in bytes.
  struct SessionPart: Sendable {
    /// Tokens at most.
    let contextLength: Int
    let cache: UInt64
    /// Tokens, logits and the table of pages.
    let working: UInt64
    let prefixes: UInt64
  }

  let engine: EnginePart
  let session: SessionPart

  /// Weights, packed or as the files hold them, and the small tensors that are converted to float32.
  public var weightBytes: UInt64 { engine.weights }
  /// Towers for pictures, films and sound. What they work in depends on what they are given, and is no part of the
  /// plan.
  public var towerBytes: UInt64 { engine.towers }
  /// The model that writes sounds down, and one transcription of it.
  public var speechBytes: UInt64 { engine.speech }
  /// The session's latent cache at its full context, in whole pages.
  public var cacheBytes: UInt64 { session.cache }
  /// What engine and session work in: the decoder's memory, the session's tokens, logits and table of pages.
  public var workingBytes: UInt64 { EnginePlan.sum(engine.working, session.working) }
  /// Pages that no session holds, kept for later ones.
  public var prefixBytes: UInt64 { session.prefixes }
  /// All of these; at most the largest number there is.
  public var totalBytes: UInt64 { EnginePlan.sum(neededBytes, prefixBytes) }
  /// What the engine and the session cannot do without.
  var neededBytes: UInt64 { EnginePlan.sum(weightBytes, towerBytes, speechBytes, cacheBytes, workingBytes) }

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

extension EnginePlan.EnginePart {
  /// - Parameters:
  ///   - towers: bytes of their weights.
  ///   - speech: bytes of the speech model and of one transcription.
  init(_ model: ModelPlan, towers: Int, speech: UInt64) {
    weights = UInt64(clamping: model.weightByteCount + model.floatByteCount)
    self.towers = UInt64(clamping: towers)
    self.speech = speech
    working = UInt64(clamping: model.scratchByteCount + model.threadScratchByteCount)
  }
}

extension EnginePlan.SessionPart {
  /// - Parameters:
  ///   - layout: of the session's pages.
  ///   - engineOptions: say how many pages are kept for later sessions.
  /// - Throws: `Failure(.invalidArgument)` for a context that is not the model's, `.malformed` for sizes beyond 64
  ///   bits.
  init(
    _ options: SessionOptions, _ configuration: ModelConfiguration, _ layout: PageLayout,
    engineOptions: EngineOptions
  ) throws(Failure) {
    let what = "a session's memory"
    contextLength = try options.contextLength(within: configuration.maximumPositions)
    let tokens = try CheckedSize.product(contextLength, MemoryLayout<Int32>.stride, of: what)
    let logits = try CheckedSize.product(configuration.vocabularySize, MemoryLayout<Float>.stride, of: what)
    working = UInt64(
      clamping: try CheckedSize.sum(
        tokens, logits, LatentCache.tableByteCount(capacity: contextLength), of: what))
    cache = UInt64(clamping: try layout.byteCount(tokens: contextLength))
    prefixes = engineOptions.prefixByteLimit(layout)
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
    let type = options.cacheType ?? self.options.defaultCacheType
    if let runtime {
      let layout = try runtime.stores.layout(type)
      return EnginePlan(
        engine: runtime.plan,
        session: try EnginePlan.SessionPart(options, runtime.model.configuration, layout, engineOptions: self.options))
    }
    let folder = try modelFolder()
    let layout = try folder.configuration.pageLayout(type)
    let session = try EnginePlan.SessionPart(
      options, folder.configuration, layout, engineOptions: self.options)
    let model = try folder.plan(
      try self.options.decoderOptions(), threadCount: pool.threadCount, kernels: kernels)
    let towers = try towers()
    let engine = EnginePlan.EnginePart(
      model, towers: try towers?.byteCount() ?? 0, speech: try speechByteCount(besides: towers))
    return EnginePlan(engine: engine, session: session)
  }

  /// - Throws: `Failure(.outOfMemory)` when a session of this plan would not fit even alone.
  func requireRoom(for plan: EnginePlan) throws(Failure) {
    for (name, limit, bytes) in [
      ("memory_limit", options.memoryLimit, plan.neededBytes), ("cache_limit", options.cacheLimit, plan.cacheBytes),
    ] {
      guard let limit, bytes > limit else { continue }
      throw Failure(
        .outOfMemory,
        "a session of \(plan.session.contextLength) tokens: \(bytes) bytes are needed; \(name) is \(limit)")
    }
  }
}
