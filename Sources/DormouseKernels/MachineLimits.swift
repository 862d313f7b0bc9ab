public import DormouseSupport
import Glibc

/// What this machine can do at best, measured: the figures that a benchmark's results stand beside.
///
/// Neighbours on the same host share the memory system: on the virtual machine this was written on, two threads read
/// 34 or 57 GB/s for seconds or minutes at a time, with nothing else awake and no time stolen, whatever the loop, the
/// size of the pages or their place. A figure is therefore good for the seconds around it: measure beside what it is
/// compared with.
public struct MachineLimits: Sendable {
  /// Bytes of ordinary memory that `pool` reads a second, in GB (10^9): the limit of decoding.
  ///
  /// - Parameters:
  ///   - byteCount: size of the buffer read; nil: 32 MiB a thread and 256 MiB at least, several times the last cache.
  ///   - repetitions: passes over it, after one to warm up; the median counts.
  /// - Throws: `Failure(.outOfMemory)`.
  public static func measureReadBandwidth(
    kernels: Kernels, pool: ThreadPool, byteCount: Int? = nil, repetitions: Int = 15
  ) throws(Failure) -> Double {
    let wanted = byteCount ?? max(256 << 20, pool.threadCount << 25)
    let buffer = try AlignedBuffer(byteCount: max(blockSize, wanted), for: "read bandwidth")
    guard let base = buffer.bytes.baseAddress else { return 0 }
    let blocks = buffer.bytes.count / blockSize
    // Pages that were never written are all the same page of zeroes, which the cache holds.
    pool.run(blocks) { block, _ in memset(base + block * blockSize, 1, blockSize) }
    let seconds = medianSeconds(repetitions) {
      pool.run(blocks) { block, _ in _ = kernels.table.readAll(base + block * blockSize, blockSize) }
    }
    // The pointer alone does not keep the memory.
    withExtendedLifetime(buffer) {}
    return Double(blocks * blockSize) / seconds / 1e9
  }

  /// Float32 multiplications and additions that `pool` does a second, in 10^9: the limit of prefill.
  public static func measureArithmetic(kernels: Kernels, pool: ThreadPool, repetitions: Int = 15) -> Double {
    let iterations = 1 << 20
    let seconds = medianSeconds(repetitions) {
      pool.run(pool.threadCount) { _, _ in _ = kernels.table.multiplyAndAdd(iterations, 0.999_999, 1e-7) }
    }
    let perThread = Double(iterations * 12 * 2 * kernels.table.vectorLength())
    return perThread * Double(pool.threadCount) / seconds / 1e9
  }

  /// What a thread reads at a time.
  private static let blockSize = 1 << 20

  private static func medianSeconds(_ repetitions: Int, _ body: () -> Void) -> Double {
    body()
    let clock = ContinuousClock()
    let times = (0..<max(1, repetitions)).map { _ in clock.measure(body) / .seconds(1) }.sorted()
    return max(times[times.count / 2], 1e-9)
  }
}
