import DormouseKernels
import DormouseModel
import DormouseSupport
import DormouseWeights

/// How an engine is opened; the header's `dormouse_engine_options`, checked.
public struct EngineOptions: Sendable {
  /// Opens for texts, info and plan only.
  public var withoutWeights = false
  /// 0: what the machine allows.
  public var threadCount = 0
  /// Whether each thread of the engine's own is bound to one processor.
  public var pinsThreads = false
  /// Whether weights are read into memory or mapped; packed ones are in memory in any case.
  public var residency = Checkpoint.Residency.memory
  /// In what precision weights are held: as the files have them, or packed.
  public var precision = WeightPrecision.native
  /// The folder that keeps packed weights for the next start; nil: none.
  public var packedCacheFolder: String?
  /// Bytes for weights, working memory and the caches of all sessions; nil: no limit.
  public var memoryLimit: UInt64?
  /// Bytes for the cache pages of all sessions and of shared prefixes; nil: no limit but `memoryLimit`.
  public var cacheLimit: UInt64?
  /// Whether sessions reuse the pages of equal prefixes of other sessions.
  public var sharesPrefixes = true
  /// Bytes of pages, of each type of rows, that are kept for later sessions; nil: 4,096 tokens'.
  public var prefixCacheLimit: UInt64?
  /// Sessions computed at a time; nil: 16.
  public var batchLimit: Int?
  /// Sessions that may wait for their turn; nil: 256.
  public var queueLimit: Int?
  /// Tokens of prompts that a step computes while other sessions generate; nil: 64.
  public var promptTokensPerStep: Int?
  /// Of chats with images, videos or audio.
  public var media = MediaOptions()
  /// What holds for answers whose config says nothing: the JSON that `dormouse_session_generate` describes. Nil: the
  /// model's own defaults.
  public var generationDefaults: String?
  /// Told the bytes of weights that are loaded, of all; `false` cancels. Nil: nobody listens.
  public var progress: Progress?
  /// Told what was missing and is guessed, and what cannot be used.
  public var log = Log.silent

  /// A loaded model, with no limits of memory.
  public init() {}

  static let maximumThreadCount = 1024

  /// Rows of sessions that ask for none: packed weights have lost far more than rows lose in bfloat16.
  var defaultCacheType: CacheRowType { precision == .native ? .float32 : .bfloat16 }

  /// The scheduler's limits.
  /// - Throws: `Failure(.invalidArgument)` for one out of range.
  func limits() throws(Failure) -> Scheduler.Limits {
    let standard = Scheduler.Limits()
    let limits = Scheduler.Limits(
      batch: batchLimit ?? standard.batch, queue: queueLimit ?? standard.queue,
      promptTokensPerStep: promptTokensPerStep ?? standard.promptTokensPerStep)
    for (name, value, range) in [
      ("batch_limit", limits.batch, DecoderOptions.batchRange), ("queue_limit", limits.queue, 0...1 << 20),
      ("prompt_tokens_per_step", limits.promptTokensPerStep, DecoderOptions.chunkRange),
    ] where !range.contains(value) {
      throw Failure(
        .invalidArgument, "\(name) is \(value); expected \(range.lowerBound) to \(range.upperBound)")
    }
    return limits
  }

  /// The decoder's sizes, which all sessions share.
  /// - Throws: as `limits`.
  func decoderOptions() throws(Failure) -> DecoderOptions { DecoderOptions(batch: try limits().batch) }
}

/// How a session is opened; the header's `dormouse_session_options`, checked.
public struct SessionOptions: Sendable, Equatable {
  /// What happens when the context is full.
  public enum Overflow: Sendable, Equatable {
    /// The answer ends, and no more tokens are taken.
    case stop
    /// The oldest tokens behind the first `keeping` go, so that half of the rest is free again; what stays is computed
    /// anew, as a session that never saw the others would have it.
    case slide(keeping: Int)
  }

  /// Tokens; nil: the model's maximum, but at most `defaultContextLength`.
  public var contextLength: Int?
  /// nil: what the engine's weights ask for.
  public var cacheType: CacheRowType?
  /// The form of attention: automatically absorbed for few tokens and expanded for many, or always the same.
  public var attention = AttentionForm.automatic
  /// What happens when the context is full.
  public var overflow = Overflow.stop
  /// Whether the session neither uses prefixes of others nor leaves its own to them.
  public var isPrivate = false
  /// Whether rows of others are taken over only where the session would have computed the same bits.
  public var isReproducible = false

  /// A session that stops where its context is full, and shares what it can.
  public init() {}

  static let defaultContextLength = 4096
}
