internal import CHost
import Synchronization

/// A number that tells a process from its children: what was made in the parent is of no use to a child of `fork`, whose
/// copy has none of the parent's threads, and locks that nobody will ever open.
public struct ProcessGeneration: Equatable, Sendable {
  private let number: UInt32

  /// Of this process. Takes a nanosecond.
  public static var current: ProcessGeneration { ProcessGeneration(number: host_generation()) }
}

/// A value of the whole process behind a lock. A child of `fork` begins with a value and a lock of its own: at the fork
/// another thread may have held the parent's.
public final class ProcessLocked<Value>: Sendable {
  private let initial: @Sendable () -> Value
  private let life: Atomic<Unmanaged<Life>>

  private final class Life: Sendable {
    let generation = ProcessGeneration.current
    let value: Locked<Value>

    init(_ value: Value) { self.value = Locked(value) }
  }

  public init(_ initial: @escaping @Sendable () -> Value) {
    self.initial = initial
    life = Atomic(.passRetained(Life(initial())))
  }

  deinit { life.load(ordering: .acquiring).release() }

  public func withLock<Result, Problem: Error>(
    _ body: (inout Value) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try current().withLock(body)
  }

  /// What the parent had stays where it is, as whoever held it at the fork left it.
  private func current() -> Locked<Value> {
    let known = life.load(ordering: .acquiring)
    let value = known.takeUnretainedValue()
    guard value.generation != .current else { return value.value }
    let made = Unmanaged.passRetained(Life(initial()))
    let (isMine, now) = life.compareExchange(expected: known, desired: made, ordering: .acquiringAndReleasing)
    guard isMine else {
      made.release()
      return now.takeUnretainedValue().value
    }
    return made.takeUnretainedValue().value
  }
}
