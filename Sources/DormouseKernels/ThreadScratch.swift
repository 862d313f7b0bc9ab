internal import CPlatform
public import DormouseSupport

/// The memory that each thread keeps for the kernels: it grows to the largest need and goes with the thread.
extension Kernels {
  /// Gives every thread of `pool`, and the calling one, `byteCount` bytes, so that no operation has to ask for them.
  /// - Throws: `Failure(.outOfMemory)`.
  public static func reserveThreadScratch(_ byteCount: Int, pool: ThreadPool) throws(Failure) {
    guard byteCount > 0 else { return }
    let missing = UnsafeMutablePointer<Int32>.allocate(capacity: pool.threadCount)
    missing.initialize(repeating: 0, count: pool.threadCount)
    defer { missing.deallocate() }
    pool.onEveryThread { worker in missing[worker] = platform_scratch(byteCount) == nil ? 1 : 0 }
    guard !(0..<pool.threadCount).contains(where: { missing[$0] != 0 }) else {
      throw Failure(.outOfMemory, "the threads' scratch memory: no memory for \(byteCount) bytes each")
    }
  }
}
