import CDormouse
import DormouseBoundary
import DormouseEngine
import DormouseKernels
import DormouseSupport

extension EngineOptions {
  init(_ options: dormouse_engine_options) throws(Failure) {
    self.init()
    let knownFlags = UInt32(DORMOUSE_ENGINE_WITHOUT_WEIGHTS) | UInt32(DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE)
    guard options.flags & ~knownFlags == 0, options.reserved == 0, options.reserved_2 == 0, options.reserved_3 == 0
    else {
      throw Failure(.invalidArgument, "dormouse_engine_options: flags or a reserved member has bits that mean nothing")
    }
    withoutWeights = options.flags & UInt32(DORMOUSE_ENGINE_WITHOUT_WEIGHTS) != 0
    sharesPrefixes = options.flags & UInt32(DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE) == 0
    threadCount = Int(options.thread_count)
    switch options.pin_threads {
    case 0: pinsThreads = false
    case 1: pinsThreads = true
    default: throw invalidMember("dormouse_engine_options.pin_threads", Int32(clamping: options.pin_threads))
    }
    switch options.residency {
    case 0, Int32(DORMOUSE_RESIDENCY_MEMORY): residency = .memory
    case Int32(DORMOUSE_RESIDENCY_MAPPED): residency = .mapped
    default: throw invalidMember("dormouse_engine_options.residency", options.residency)
    }
    switch options.weights {
    case 0, Int32(DORMOUSE_WEIGHTS_NATIVE): precision = .native
    case Int32(DORMOUSE_WEIGHTS_INT8): precision = .int8
    case Int32(DORMOUSE_WEIGHTS_INT4): precision = .int4
    default: throw invalidMember("dormouse_engine_options.weights", options.weights)
    }
    memoryLimit = options.memory_limit == 0 ? nil : options.memory_limit
    cacheLimit = options.cache_limit == 0 ? nil : options.cache_limit
    prefixCacheLimit = options.prefix_cache_limit == 0 ? nil : options.prefix_cache_limit
    batchLimit = options.batch_limit == 0 ? nil : Int(options.batch_limit)
    queueLimit = options.queue_limit == 0 ? nil : Int(options.queue_limit)
    promptTokensPerStep = options.prompt_tokens_per_step == 0 ? nil : Int(options.prompt_tokens_per_step)
    packedCacheFolder = try readPackedCacheFolder(options.packed_cache_folder)
    if let json = try readOptionalString(options.media_config, "dormouse_engine_options.media_config") {
      media = try MediaOptions(json: json)
    }
    generationDefaults = try readOptionalString(
      options.generation_defaults, "dormouse_engine_options.generation_defaults")
    progress = options.progress.map {
      makeProgress(Callback(function: $0, userData: options.progress_user_data))
    }
    if let callback = options.log { log = makeLog(Callback(function: callback, userData: options.log_user_data)) }
  }
}

extension SessionOptions {
  init(_ options: dormouse_session_options) throws(Failure) {
    self.init()
    contextLength = options.context_length == 0 ? nil : Int(options.context_length)
    switch options.cache {
    case 0: cacheType = nil
    case Int32(DORMOUSE_CACHE_F32): cacheType = .float32
    case Int32(DORMOUSE_CACHE_BF16): cacheType = .bfloat16
    case Int32(DORMOUSE_CACHE_INT8): cacheType = .int8
    default: throw invalidMember("dormouse_session_options.cache", options.cache)
    }
    switch options.attention {
    case 0: attention = .automatic
    case Int32(DORMOUSE_ATTENTION_EXPANDED): attention = .expanded
    case Int32(DORMOUSE_ATTENTION_ABSORBED): attention = .absorbed
    default: throw invalidMember("dormouse_session_options.attention", options.attention)
    }
    let knownFlags = UInt32(DORMOUSE_SESSION_PRIVATE) | UInt32(DORMOUSE_SESSION_REPRODUCIBLE)
    guard options.flags & ~knownFlags == 0, options.reserved == 0 else {
      throw Failure(.invalidArgument, "dormouse_session_options: flags or reserved has bits that mean nothing")
    }
    isPrivate = options.flags & UInt32(DORMOUSE_SESSION_PRIVATE) != 0
    isReproducible = options.flags & UInt32(DORMOUSE_SESSION_REPRODUCIBLE) != 0
    switch options.overflow {
    case 0, Int32(DORMOUSE_OVERFLOW_STOP): overflow = .stop
    case Int32(DORMOUSE_OVERFLOW_SLIDE): overflow = .slide(keeping: Int(options.keep_tokens))
    default: throw invalidMember("dormouse_session_options.overflow", options.overflow)
    }
    guard options.keep_tokens == 0 || overflow != .stop else {
      throw Failure(
        .invalidArgument,
        "dormouse_session_options.keep_tokens is \(options.keep_tokens), which means nothing unless the session slides")
    }
  }
}

/// NULL is no folder, and an empty path is none that could be meant.
private func readPackedCacheFolder(_ path: UnsafePointer<CChar>?) throws(Failure) -> String? {
  let name = "dormouse_engine_options.packed_cache_folder"
  guard let folder = try readOptionalString(path, name) else { return nil }
  guard !folder.isEmpty else { throw Failure(.invalidArgument, "\(name) is empty") }
  return folder
}

private func invalidMember(_ name: String, _ value: Int32) -> Failure {
  Failure(.invalidArgument, "\(name) is \(value), which means nothing")
}

/// A caller's function and the pointer that is passed back to it; the caller vouches for their use on other threads.
private struct Callback<Function>: @unchecked Sendable {
  let function: Function
  let userData: UnsafeMutableRawPointer?
}

/// Loading reports from several threads; the caller is called by one at a time.
private func makeProgress(_ callback: Callback<dormouse_progress_fn>) -> Progress {
  let turn = Monitor()
  return { done, total in
    turn.withLock { HostCall.leave { callback.function(callback.userData, done, total) } == 0 }
  }
}

private func makeLog(_ callback: Callback<dormouse_log_fn>) -> Log {
  Log { level, message in
    var message = message
    message.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        _ = HostCall.leave {
          callback.function(callback.userData, level.rawValue, text.baseAddress, text.count)
          return 0
        }
      }
    }
  }
}
