internal import CDormouse

extension OpenEngine {
  /// How a model is opened. Zero means the library's default, which dormouse.h states for each.
  public struct Options: Sendable {
    /// Tokens, templates, `info` and `plan` only: opens at once, and has no sessions.
    public var withoutWeights = false
    /// Keeps no beginnings of texts for later sessions.
    public var withoutPrefixCache = false
    public var threadCount: UInt32 = 0
    /// Binds each thread of the engine to one processor.
    public var pinsThreads = false
    public var residency: Residency?
    public var weights: Weights?
    /// Bytes for weights, working memory and the caches of all sessions.
    public var memoryLimit: UInt64 = 0
    /// Bytes for the cache alone, kept beginnings included.
    public var cacheLimit: UInt64 = 0
    /// Bytes of kept beginnings, for each type of rows.
    public var prefixCacheLimit: UInt64 = 0
    /// Sessions computed at a time.
    public var batchLimit: UInt32 = 0
    /// Sessions that may wait before `overloaded`.
    public var queueLimit: UInt32 = 0
    /// Tokens of prompts computed in one step while another session generates.
    public var promptTokensPerStep: UInt32 = 0
    /// Where int8 and int4 weights are kept packed for the next start; nil: nowhere.
    public var packedCacheFolder: String?
    public var media: MediaOptions?
    /// Bytes of weights loaded so far, and in all; false cancels the loading. Called on any thread, one call at a time;
    /// must not call the library.
    public var progress: (@Sendable (_ done: UInt64, _ total: UInt64) -> Bool)?
    /// Called on any thread, several at a time, until the engine and its sessions are gone; must not call the library.
    public var log: (@Sendable (LogLevel, String) -> Void)?

    public init() {}
  }

  public enum Residency: String, Sendable, CaseIterable {
    /// Weights are read into memory of the process.
    case memory
    /// The files are mapped: a quick start, shared between processes. Nobody may write into them.
    case mapped
  }

  public enum Weights: String, Sendable, CaseIterable {
    /// As the files hold them.
    case native
    /// Packed while loading: 8 bits, and a scale for each group of 32.
    case int8
    /// Packed while loading: 4 bits, and a scale for each group of 32.
    case int4
  }

  public enum LogLevel: Int32, Sendable, Comparable {
    case error = 1
    case warning, information, debug

    public static func < (one: LogLevel, other: LogLevel) -> Bool { one.rawValue < other.rawValue }
  }

  /// What messages may name or hold. What is nil is the library's default; `media_config` in dormouse.h says more.
  public struct MediaOptions: Configuration, Sendable {
    /// Folders that files may come from.
    public var roots: [String]?
    /// The folder in which relative paths begin.
    public var base: String?
    /// Of a file.
    public var maxBytes: UInt64?
    /// Of an image or a frame.
    public var maxPixels: UInt64?
    /// Of a video.
    public var maxFrames: UInt64?
    /// Of a video or audio.
    public var maxSeconds: Double?
    /// Decoded in all.
    public var maxOutputBytes: UInt64?
    /// Seconds for one call of the decoder.
    public var timeLimit: Double?
    /// Of what towers have made that are kept.
    public var cacheBytes: UInt64?
    /// A Whisper folder that transcribes audio, for a model that does not hear itself.
    public var speechModel: String?

    public init() {}
  }
}

extension OpenEngine.Options {
  /// Shows `body` the header's struct; its strings live until `body` returns, its callbacks as long as `hooks`.
  /// - Parameter media: `media` as JSON.
  func withStruct<Result>(
    _ hooks: Hooks, media: String?, _ body: (UnsafePointer<dormouse_engine_options>) -> Result
  ) -> Result {
    var options = dormouse_engine_options()
    options.struct_size = UInt32(MemoryLayout<dormouse_engine_options>.size)
    options.flags =
      (withoutWeights ? UInt32(DORMOUSE_ENGINE_WITHOUT_WEIGHTS) : 0)
      | (withoutPrefixCache ? UInt32(DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE) : 0)
    options.thread_count = threadCount
    options.pin_threads = pinsThreads ? 1 : 0
    options.residency = residency?.code ?? 0
    options.weights = weights?.code ?? 0
    options.memory_limit = memoryLimit
    options.cache_limit = cacheLimit
    options.prefix_cache_limit = prefixCacheLimit
    options.batch_limit = batchLimit
    options.queue_limit = queueLimit
    options.prompt_tokens_per_step = promptTokensPerStep
    hooks.install(in: &options)
    return withCString(packedCacheFolder) { folder in
      withCString(media) { media in
        options.packed_cache_folder = folder
        options.media_config = media
        return body(&options)
      }
    }
  }
}

/// The closures that the library calls while it loads and works.
final class Hooks: Sendable {
  private let progress: (@Sendable (UInt64, UInt64) -> Bool)?
  private let log: (@Sendable (OpenEngine.LogLevel, String) -> Void)?

  init(_ options: OpenEngine.Options) {
    progress = options.progress
    log = options.log
  }

  /// The library calls them until what is opened with `options` is freed: whoever opens it keeps this object as long.
  fileprivate func install(in options: inout dormouse_engine_options) {
    let pointer = Unmanaged.passUnretained(self).toOpaque()
    if progress != nil {
      options.progress = { Hooks.at($0)?.progress?($1, $2) == false ? 1 : 0 }
      options.progress_user_data = pointer
    }
    if log != nil {
      options.log = { Hooks.at($0)?.log?(OpenEngine.LogLevel(rawValue: $1) ?? .debug, String($2, count: $3)) }
      options.log_user_data = pointer
    }
  }

  private static func at(_ pointer: UnsafeMutableRawPointer?) -> Hooks? {
    pointer.map { Unmanaged<Hooks>.fromOpaque($0).takeUnretainedValue() }
  }
}

extension OpenEngine.Residency {
  fileprivate var code: Int32 {
    switch self {
    case .memory: Int32(DORMOUSE_RESIDENCY_MEMORY)
    case .mapped: Int32(DORMOUSE_RESIDENCY_MAPPED)
    }
  }
}

extension OpenEngine.Weights {
  fileprivate var code: Int32 {
    switch self {
    case .native: Int32(DORMOUSE_WEIGHTS_NATIVE)
    case .int8: Int32(DORMOUSE_WEIGHTS_INT8)
    case .int4: Int32(DORMOUSE_WEIGHTS_INT4)
    }
  }
}
