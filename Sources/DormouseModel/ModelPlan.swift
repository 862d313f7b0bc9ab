public import DormouseKernels
public import DormouseCache
import DormouseSupport

/// Sizes of a decoder and of a timeline that it computes.
public struct DecoderOptions: Sendable {
  /// Tokens of the timeline at most; nil for the model's `max_position_embeddings`, the most there can be.
  public var contextLength: Int?
  public var cacheType: CacheRowType
  /// Tokens computed at a time at most.
  public var chunk: Int
  /// Timelines whose next logits are computed at a time at most.
  public var batch: Int

  /// Half as many take 7 % more time for 4,096 tokens, since keys and values are expanded once a chunk, and half the
  /// working memory.
  public static let defaultChunk = 1024
  public static let chunkRange = 1...16384
  public static let batchRange = 1...1024

  public init(
    contextLength: Int? = nil, cacheType: CacheRowType = .float32, chunk: Int = defaultChunk, batch: Int = 1
  ) {
    self.contextLength = contextLength
    self.cacheType = cacheType
    self.chunk = chunk
    self.batch = batch
  }
}

/// A decoder's sizes, checked against the model.
struct DecoderSizes {
  let contextLength: Int
  let chunk: Int
  let batch: Int

  init(_ configuration: ModelConfiguration, _ options: DecoderOptions) throws(Failure) {
    let most = configuration.maximumPositions
    contextLength = options.contextLength ?? most
    guard contextLength >= 1, contextLength <= most else {
      throw Failure(
        .invalidArgument,
        "a context of \(contextLength) tokens; expected 1 to max_position_embeddings, which is \(most)")
    }
    guard DecoderOptions.chunkRange.contains(options.chunk) else {
      throw Failure(
        .invalidArgument,
        "a chunk of \(options.chunk) tokens; expected \(DecoderOptions.chunkRange.lowerBound) to"
          + " \(DecoderOptions.chunkRange.upperBound)")
    }
    guard DecoderOptions.batchRange.contains(options.batch) else {
      throw Failure(
        .invalidArgument,
        "a batch of \(options.batch) timelines; expected \(DecoderOptions.batchRange.lowerBound) to"
          + " \(DecoderOptions.batchRange.upperBound)")
    }
    batch = options.batch
    // No batch is larger than all its timelines together.
    chunk = contextLength >= options.chunk ? options.chunk : min(options.chunk, contextLength * options.batch)
  }
}

/// The memory that a model and one decoder will take, known from headers before anything is loaded.
public struct ModelPlan: Sendable, Equatable {
  /// Weights, packed or as they lie in the files, mapped or in memory.
  public var weightByteCount: Int
  /// float32 copies of norms and biases.
  public var floatByteCount: Int
  /// The pages of one timeline at its full length.
  public var cacheByteCount: Int
  /// Scratch memory of one decoder.
  public var scratchByteCount: Int
  /// What the pool's threads keep for the kernels, shared by all decoders.
  public var threadScratchByteCount: Int

  public var totalByteCount: Int {
    weightByteCount + floatByteCount + cacheByteCount + scratchByteCount + threadScratchByteCount
  }
}

extension ModelFolder {
  /// - Throws: `Failure(.invalidArgument)` for sizes out of range, `Failure(.malformed)` for sums beyond 64 bits.
  public func plan(
    _ options: DecoderOptions = DecoderOptions(), threadCount: Int, kernels: Kernels
  ) throws(Failure) -> ModelPlan {
    let c = configuration
    let sizes = try DecoderSizes(c, options)
    let cache = try c.pageLayout(options.cacheType).byteCount(tokens: sizes.contextLength)
    let scratch = try Scratch.byteCount(c, precision: precision, sizes: sizes, threadCount: threadCount)
    let threadScratch = try CheckedSize.product(
      threadCount, c.threadScratchByteCount(kernels, chunk: sizes.chunk), of: "the threads' scratch memory")
    _ = try CheckedSize.sum(weightByteCount, floatByteCount, cache, scratch, threadScratch, of: "the memory plan")
    return ModelPlan(
      weightByteCount: weightByteCount, floatByteCount: floatByteCount, cacheByteCount: cache,
      scratchByteCount: scratch, threadScratchByteCount: threadScratch)
  }
}

extension ModelConfiguration {
  /// The sections of a page of the cache, layer by layer.
  var cacheSections: [RowSection] { attentionKinds.flatMap { attentions[$0].rowSections } }

  /// The pages of the model's caches.
  public func pageLayout(_ rowType: CacheRowType) throws(Failure) -> PageLayout {
    try PageLayout(sections: cacheSections, rowType: rowType)
  }

  /// Bytes that one thread keeps for the kernels when chunks have `chunk` tokens.
  func threadScratchByteCount(_ kernels: Kernels, chunk: Int) -> Int {
    let ofAttention = attentions.map(\.latent).map {
      max($0.qLoraRank ?? 0, $0.latentWidth, $0.headCount * $0.vHeadDimension)
    }
    let widest = max(
      hiddenSize, intermediateSize, moeIntermediateSize, sharedExpertsWidth, ofAttention.max() ?? 0)
    return kernels.scratchByteCount(columns: widest, count: chunk)
  }
}
