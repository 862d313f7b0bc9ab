import Glibc

/// Whether a pool's jobs are worth sharing while others want the same processors.
///
/// A worker that the system preempts in the middle of a task holds up the whole job for a time slice, some milliseconds,
/// where a job of a small model takes microseconds: another process on one of two processors would make the pool many
/// times slower. After such stalls jobs run on their caller alone for a while, which costs no more than the workers'
/// share; then sharing is tried again. The longer the contention lasts, the rarer the trials.
struct Contention {
  /// Nanoseconds of stalls within `memory` that are tolerated: interrupts and the like.
  static let tolerance: UInt64 = 200_000
  /// Nanoseconds after which stalls are forgotten.
  static let memory: UInt64 = 20_000_000
  /// Nanoseconds for which jobs are not shared, at first and at most.
  static let shortestPause: UInt64 = 4_000_000
  static let longestPause: UInt64 = 64_000_000

  private var isPausing = false
  private var pause = Contention.shortestPause
  private var end: UInt64 = 0
  private var stalled: UInt64 = 0
  private var firstStall: UInt64 = 0

  /// Whether the next job should be shared. Asks the clock during a pause only.
  mutating func allowsSharing(at now: @autoclosure () -> UInt64 = Contention.now()) -> Bool {
    guard isPausing else { return true }
    guard now() >= end else { return false }
    isPausing = false
    return true
  }

  /// Tells of a join that waited from `start` to `now`, nanoseconds, for workers that were not running.
  mutating func stalled(from start: UInt64, to now: UInt64) {
    if Contention.span(from: firstStall, to: now) > Contention.memory {
      firstStall = start
      stalled = 0
    }
    stalled &+= Contention.span(from: start, to: now)
    guard stalled > Contention.tolerance else { return }
    // Trouble right after a pause: the next one is longer.
    let isRelapse = end > 0 && Contention.span(from: end, to: now) < pause
    pause = isRelapse ? min(2 * pause, Contention.longestPause) : Contention.shortestPause
    end = now &+ pause
    isPausing = true
    stalled = 0
  }

  /// Nanoseconds of the monotonic clock.
  static func now() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

  /// Nanoseconds between two times; 0 where the second is not later.
  static func span(from start: UInt64, to end: UInt64) -> UInt64 { end > start ? end - start : 0 }

  static func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    guard clock_gettime(clock, &time) == 0 else { return 0 }
    return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
  }
}
