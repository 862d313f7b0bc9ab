import CPlatform
import DormouseAudio
import DormouseLayers
import DormouseSupport
import Testing

/// What a value holds, seen from outside: to compare a plan with what is taken.
enum HeldMemory {
  /// Bytes of the aligned buffers that can be reached from `value`, each counted once.
  /// - Parameter other: whose own buffers don't count.
  static func byteCount(_ value: Any, besides other: Any = ()) -> Int {
    var walk = Walk()
    walk.visit(other)
    let before = walk.byteCount
    walk.visit(value)
    return walk.byteCount - before
  }

  private struct Walk {
    var byteCount = 0
    private var seen: Set<ObjectIdentifier> = []

    mutating func visit(_ value: Any) {
      // Numbers hold nothing, and threads are everybody's.
      if value is [Float] || value is ThreadPool { return }
      let mirror = Mirror(reflecting: value)
      if mirror.displayStyle == .class {
        guard seen.insert(ObjectIdentifier(value as AnyObject)).inserted else { return }
        if let buffer = value as? AlignedBuffer {
          byteCount += buffer.bytes.count
          return
        }
      }
      for child in mirror.children { visit(child.value) }
    }
  }

  /// A loaded model and its work on audio take what the plan says: no byte more, and none less.
  /// - Parameters:
  ///   - begin: sets aside what audio of several windows is worked on in.
  ///   - run: does the work.
  static func expectKept<Work>(
    _ plan: AudioModelPlan, by model: Any, _ pool: ThreadPool, begin: () throws -> Work,
    run: (inout Work) throws -> Void
  ) throws {
    let memory = try #require(Mirror(reflecting: model).descendant("memory") as? TensorMemory)
    #expect(memory.store.residentByteCount == plan.weightByteCount)
    #expect(byteCount(memory.floats) == plan.floatByteCount)
    var work = try begin()
    #expect(byteCount(work, besides: model) == plan.scratchByteCount + plan.cacheByteCount)
    let own = plan.threadScratchByteCount / pool.threadCount
    #expect(own > 0 && own * pool.threadCount == plan.threadScratchByteCount)
    let before = threadScratch(own, pool)
    try run(&work)
    #expect(byteCount(work, besides: model) == plan.scratchByteCount + plan.cacheByteCount)
    // Who needs more has it elsewhere.
    #expect(threadScratch(own, pool) == before)
  }

  /// Where each thread of the pool has its memory for the kernels, of which it has `byteCount` bytes at least.
  private static func threadScratch(_ byteCount: Int, _ pool: ThreadPool) -> [UnsafeMutableRawPointer?] {
    let places = Locked([UnsafeMutableRawPointer?](repeating: nil, count: pool.threadCount))
    pool.onEveryThread { worker in places.withLock { $0[worker] = platform_scratch(byteCount) } }
    return places.withLock { $0 }
  }
}
