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
  ///   - byteCount: size of the buffer read; nil: `ReadProbe.defaultByteCount`.
  ///   - repetitions: passes over it, after one to warm up; the median counts.
  /// - Throws: `Failure(.outOfMemory)`.
  public static func measureReadBandwidth(
    kernels: Kernels, pool: ThreadPool, byteCount: Int? = nil, repetitions: Int = 15
  ) throws(Failure) -> Double {
    let probe = try ReadProbe(pool: pool, byteCount: byteCount ?? ReadProbe.defaultByteCount(pool))
    return probe.measure(kernels: kernels, pool: pool, repetitions: repetitions)
  }

  /// Float32 multiplications and additions that `pool` does a second, in 10^9: the limit of prefill.
  public static func measureArithmetic(kernels: Kernels, pool: ThreadPool, repetitions: Int = 15) -> Double {
    let iterations = 1 << 20
    let seconds = medianSeconds(repetitions) {
      pool.run(pool.threadCount) { _, _ in _ = kernels.table.multiply_and_add(iterations, 0.999_999, 1e-7) }
    }
    let perThread = Double(iterations * 12 * 2 * kernels.table.vector_length())
    return perThread * Double(pool.threadCount) / seconds / 1e9
  }

  fileprivate static func medianSeconds(_ repetitions: Int, _ body: () -> Void) -> Double {
    body()
    let clock = ContinuousClock()
    let times = (0..<max(1, repetitions)).map { _ in clock.measure(body) / .seconds(1) }.sorted()
    return max(times[times.count / 2], 1e-9)
  }
}

/// Memory to measure the read bandwidth with, again and again.
public struct ReadProbe: Sendable {
  private let buffer: AlignedBuffer

  /// What a thread reads at a time.
  private static let blockSize = 1 << 20

  /// Several times the last cache: 32 MiB a thread, and 256 MiB at least.
  public static func defaultByteCount(_ pool: ThreadPool) -> Int { max(256 << 20, pool.threadCount << 25) }

  /// - Throws: `Failure(.outOfMemory)`.
  public init(pool: ThreadPool, byteCount: Int) throws(Failure) {
    buffer = try AlignedBuffer(byteCount: max(ReadProbe.blockSize, byteCount), for: "read bandwidth")
    // Pages that were never written are all the same page of zeroes, which the cache holds.
    eachBlock(pool) { memset($0, 1, ReadProbe.blockSize) }
  }

  /// GB (10^9 bytes) a second: the median of `repetitions` passes, after one to warm up.
  public func measure(kernels: Kernels, pool: ThreadPool, repetitions: Int) -> Double {
    let seconds = MachineLimits.medianSeconds(repetitions) {
      eachBlock(pool) { _ = kernels.table.read_all($0, ReadProbe.blockSize) }
    }
    return Double(buffer.bytes.count / ReadProbe.blockSize * ReadProbe.blockSize) / seconds / 1e9
  }

  /// Whole blocks, shared out over `pool`.
  private func eachBlock(_ pool: ThreadPool, _ body: (UnsafeMutableRawPointer) -> Void) {
    guard let base = buffer.bytes.baseAddress else { return }
    pool.run(buffer.bytes.count / ReadProbe.blockSize) { block, _ in body(base + block * ReadProbe.blockSize) }
    // The pointer alone does not keep the memory.
    withExtendedLifetime(buffer) {}
  }
}
