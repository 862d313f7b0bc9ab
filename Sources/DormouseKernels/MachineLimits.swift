internal import CPlatform
public import DormouseSupport
import Glibc

/// What this machine can do at best, measured: the figures that a benchmark's results stand beside.
public struct MachineLimits: Sendable {
  /// Bytes of ordinary memory that `pool` reads a second, in GB (10^9): the limit of decoding.
  ///
  /// - Parameters:
  ///   - byteCount: size of the buffer read, which must be well over the last cache.
  ///   - repetitions: passes over it; the median counts.
  /// - Throws: `Failure(.outOfMemory)`.
  public static func measureReadBandwidth(
    kernels: Kernels, pool: ThreadPool, byteCount: Int = 256 << 20, repetitions: Int = 5
  ) throws(Failure) -> Double {
    0
  }

  /// Float32 multiplications and additions `pool` does a second, in 10^9: the limit of prefill.
  public static func measureArithmetic(kernels: Kernels, pool: ThreadPool, repetitions: Int = 5) -> Double {
    0
  }
}
