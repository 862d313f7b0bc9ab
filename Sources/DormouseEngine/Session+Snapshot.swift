import DormouseCache
import DormouseSupport

/// Saving and restoring.
extension Session {
  /// Writes tokens, cache and logits to a file, which appears whole or not at all.
  /// - Throws: `Failure(.busy)` when another session writes it, `.inputOutput` or `.notFound` when it cannot be
  ///   written: what was there stays.
  public func save(to path: String) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      try Snapshot.write(
        cache: cache, keys: timeline.keys(0..<timeline.count), logits: hasLogits ? Array(logits) : nil,
        identity: try engine.snapshotIdentity(),
        to: path)
    }
  }

  /// Makes the session what was saved. When it fails, the session is as it was.
  /// - Throws: `Failure(.notFound)` or `.inputOutput` for a file that cannot be read, `.malformed` for a damaged one,
  ///   `.unsupported` for one of another model or type of rows, `.contextFull`, `.outOfMemory`.
  public func restore(from path: String) throws(Failure) {
    try state.exclusively { () throws(Failure) in
      let restored = try Snapshot.read(
        path: path, pool: store.pool, capacity: contextLength, identity: try engine.snapshotIdentity(),
        vocabularySize: vocabularySize)
      become(Timeline(keys: restored.snapshot.keys), restored.cache)
      if let logits = restored.snapshot.logits { logits.withUnsafeBufferPointer { setLogits($0) } }
    }
  }
}
