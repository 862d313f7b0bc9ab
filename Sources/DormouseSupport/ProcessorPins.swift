internal import CPlatform
import Glibc

/// The processors that one pool's threads are bound to.
///
/// All pools of the process count together: each thread goes where the fewest are, in the order of the affinity mask,
/// so that two pools do not share a processor while another one is free. The first place of a pool stands for its
/// caller, which is counted, and bound only where it asks for it.
final class ProcessorPins: Sendable {
  /// The processor of each thread of the pool, the caller's place first; empty where the system names none.
  let processors: [Int32]

  private static let counts = ProcessLocked<[Int32: Int]> { [:] }

  /// - Parameter available: the processors to choose from.
  init(threadCount: Int, available: [Int32] = ProcessorPins.affinity()) {
    processors = ProcessorPins.claim(threadCount, of: available)
  }

  deinit {
    ProcessorPins.counts.withLock { counts in
      for processor in processors {
        let count = (counts[processor] ?? 1) - 1
        counts[processor] = count > 0 ? count : nil
      }
    }
  }

  /// - Throws: `Failure(.unsupported)` when the system refuses.
  func pin(_ thread: pthread_t, worker: Int) throws(Failure) {
    guard processors.indices.contains(worker) else {
      throw Failure(.unsupported, "thread \(worker) cannot be pinned: the system does not name its processors")
    }
    let code = platform_pin_thread(UInt(thread), processors[worker])
    guard code == 0 else {
      throw Failure(
        .unsupported, "thread \(worker) cannot be pinned to processor \(processors[worker]): error number \(code)")
    }
  }

  /// The processors of the process's affinity mask.
  static func affinity() -> [Int32] {
    let capacity = max(0, platform_affinity_count())
    var processors = [Int32](repeating: 0, count: Int(capacity))
    let count = platform_affinity(&processors, capacity)
    return Array(processors.prefix(max(0, Int(count))))
  }

  private static func claim(_ threadCount: Int, of available: [Int32]) -> [Int32] {
    counts.withLock { counts in
      (0..<threadCount).compactMap { _ in
        let place = available.min { (counts[$0] ?? 0) < (counts[$1] ?? 0) }
        if let place { counts[place, default: 0] += 1 }
        return place
      }
    }
  }
}
