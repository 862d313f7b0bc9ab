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
  public var residency = Checkpoint.Residency.memory
  public var precision = WeightPrecision.native
  /// The folder that keeps packed weights for the next start; nil: none.
  public var packedCacheFolder: String?
  /// Bytes for weights, working memory and the caches of all sessions; nil: no limit.
  public var memoryLimit: UInt64?
  public var progress: Progress?
  public var log = Log.silent

  public init() {}

  static let maximumThreadCount = 1024
}

/// How a session is opened; the header's `dormouse_session_options`, checked.
public struct SessionOptions: Sendable, Equatable {
  /// Tokens; nil: the model's maximum, but at most `defaultContextLength`.
  public var contextLength: Int?
  public var cacheType = CacheRowType.float32
  public var attention = AttentionForm.automatic

  public init() {}

  static let defaultContextLength = 4096
}
