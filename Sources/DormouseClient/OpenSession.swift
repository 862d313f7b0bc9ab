internal import CDormouse

/// A timeline of tokens over an engine, which it keeps open. One call at a time; a second one from another thread is
/// `busy`, but `cancel` may come from any.
public final class OpenSession: Sendable {
  /// Valid as long as the session: `dormouse_session_free` takes it.
  nonisolated(unsafe) let handle: OpaquePointer
  /// The engine's log may be called until its last session is freed.
  private let engine: OpenEngine

  /// - Throws: `invalidArgument` for options that are out of range, `outOfMemory` where a limit could not hold the
  ///   context even alone, `unsupported` for an engine without weights.
  public init(_ engine: OpenEngine, _ options: Options = Options()) throws(DormouseError) {
    self.engine = engine
    var settings = options.settings
    handle = try Call.open("session") { dormouse_session_open($0, engine.handle, &settings, $1) }
  }

  private init(_ engine: OpenEngine, handle: OpaquePointer) {
    self.engine = engine
    self.handle = handle
  }

  deinit { dormouse_session_free(handle) }

  /// A second session with the same options and tokens, which goes its own way from here on. Both share what is in the
  /// cache until one of them adds to it.
  /// - Throws: `busy`, `outOfMemory`.
  public func fork() throws(DormouseError) -> OpenSession {
    OpenSession(engine, handle: try Call.open("session") { dormouse_session_fork($0, handle, $1) })
  }

  /// Stops the call that the session is in within one layer's time; that call throws `cancelled`. Any thread.
  public func cancel() { dormouse_session_cancel(handle) }

  /// Tokens in the session.
  public func length() throws(DormouseError) -> Int {
    var length = 0
    try Call.run { dormouse_session_length(&length, handle, $0) }
    return length
  }

  /// Keeps the first `length` tokens.
  /// - Throws: `invalidArgument` for a length beyond the session's.
  public func truncate(_ length: Int) throws(DormouseError) {
    try Call.run { dormouse_session_truncate(handle, length, $0) }
  }

  /// Writes the session to a file, which appears whole or not at all, and which nobody but its owner may read.
  /// - Throws: `inputOutput`.
  public func save(_ path: String) throws(DormouseError) {
    try Call.run { dormouse_session_save(handle, path, $0) }
  }

  /// Makes the session what was saved. When it fails, the session is as it was.
  /// - Throws: `notFound`, `malformed` for damage, `unsupported` for another model or type of rows, `contextFull`.
  public func restore(_ path: String) throws(DormouseError) {
    try Call.run { dormouse_session_restore(handle, path, $0) }
  }

  /// The logits after the last token: [vocabulary]. They are computed where they are not at hand.
  /// - Throws: `invalidArgument` for an empty session, `outOfMemory`, `overloaded`, `cancelled`, `numerical`.
  public func logits() throws(DormouseError) -> [Float] {
    try Call.array(of: Float(0)) { dormouse_session_logits($0, $1, $2, handle, $3) }
  }

  /// Appends tokens.
  /// - Throws: `invalidArgument` for an id outside the vocabulary, `contextFull`, `outOfMemory`, `overloaded`, `cancelled`,
  ///   `numerical`. Unless it was cancelled, the session is then as it was.
  public func prefill(_ ids: ArraySlice<Int32>) throws(DormouseError) {
    try ids.withUnsafeBufferPointer { ids throws(DormouseError) in
      try Call.run { dormouse_session_prefill(handle, ids.baseAddress, ids.count, $0) }
    }
  }

  /// Appends tokens and writes the logits after each of them to `logits` [ids, vocabulary], which may be longer.
  /// - Throws: as the other `prefill`, and where `logits` is too short.
  public func prefill(_ ids: ArraySlice<Int32>, logits: inout [Float]) throws(DormouseError) {
    var count = 0
    try ids.withUnsafeBufferPointer { ids throws(DormouseError) in
      try logits.withUnsafeMutableBufferPointer { logits throws(DormouseError) in
        try Call.run {
          dormouse_session_prefill_logits(
            logits.baseAddress, logits.count, &count, handle, ids.baseAddress, ids.count, $0)
        }
      }
    }
  }
}
