internal import CPlatform
import Glibc
import Synchronization

/// What the caller of a run and the workers share.
///
/// `gate` holds, from the top, the number of the job, one bit "open", and the count of workers inside. A worker enters
/// by adding 1 while the gate is open; the caller closes it when no task is left to claim, and waits until it is empty.
final class ThreadPoolState: @unchecked Sendable {
  private static let openBit: UInt32 = 1 << 15
  private static let insideMask: UInt32 = openBit - 1
  private static let oneJob: UInt32 = 1 << 16

  private let gate = Atomic<UInt32>(0)
  private let nextTask = Atomic<Int>(0)
  private let isStopped = Atomic<Bool>(false)
  private let sleepers = Atomic<UInt32>(0)
  /// Changes whenever a sleeping worker has a reason to look at the gate.
  private let jobSignal = FutexWord()
  /// Changes whenever the last worker leaves and the caller may be asleep.
  private let leaveSignal = FutexWord()
  private let isCallerAsleep = Atomic<Bool>(false)
  private let spinCount: Int
  /// Iterations of a wait for work, of 10 to 25 nanoseconds each.
  private static let spinsBeforeYielding = 100
  private static let spinsPerYield = 16

  // Written by the caller while the gate is closed and empty, read by workers inside.
  private var taskCount = 0
  private var body: UnsafePointer<platform_closure>?
  // Only the caller's.
  private var workerCount = 0
  private var contention = Contention()
  private var workerTimes = WorkerTimes()

  init(spinCount: Int) { self.spinCount = spinCount }

  /// Names the workers; once, before the first run.
  func watch(_ workers: [pthread_t]) { workerTimes = WorkerTimes(workers) }

  /// Whether the next job should be shared with the workers. Thread: the caller's.
  func allowsSharing() -> Bool { contention.allowsSharing() }

  /// Shares a job with the workers; allocates nothing. Thread: one caller at a time.
  func run(_ count: Int, _ body: (Int, Int) -> Void, workerCount: Int) {
    taskCount = count
    self.workerCount = workerCount
    lendClosure(body, Unmanaged.passUnretained(self).toOpaque()) { state, body in
      Unmanaged<ThreadPoolState>.fromOpaque(state).takeUnretainedValue().run(body)
    }
  }

  private func run(_ body: UnsafePointer<platform_closure>) {
    self.body = body
    nextTask.store(0, ordering: .relaxed)
    let job = (gate.load(ordering: .relaxed) & ~(Self.oneJob - 1)) &+ Self.oneJob
    gate.store(job | Self.openBit, ordering: .sequentiallyConsistent)
    wakeSleepers(min(workerCount, taskCount - 1))
    runTasks(worker: 0)
    gate.bitwiseAnd(~Self.openBit, ordering: .sequentiallyConsistent)
    waitUntilEmpty()
    self.body = nil
  }

  func workUntilStopped(worker: Int) {
    var seen: UInt32 = 1  // no job: their numbers have no low bits
    while let job = waitForJob(after: seen) {
      seen = job
      guard enter(job) else { continue }
      runTasks(worker: worker)
      leave()
    }
  }

  func stop() {
    isStopped.store(true, ordering: .sequentiallyConsistent)
    jobSignal.change()
    jobSignal.wake(.max)
  }

  /// Claims tasks until none is left.
  private func runTasks(worker: Int) {
    guard let body else { return }
    while true {
      let task = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
      guard task < taskCount else { return }
      platform_call_closure(body, task, worker)
    }
  }

  /// The number of the next open job, or nil when the pool stops.
  private func waitForJob(after seen: UInt32) -> UInt32? {
    var spins = 0
    while true {
      let signal = jobSignal.value
      if isStopped.load(ordering: .acquiring) { return nil }
      if let job = openJob(after: seen) { return job }
      if spins < spinCount {
        spins += 1
        waitBriefly(spins)
        continue
      }
      sleepers.wrappingAdd(1, ordering: .sequentiallyConsistent)
      // Looks again: the caller counts the sleepers only after it opened the gate.
      if openJob(after: seen) == nil && !isStopped.load(ordering: .sequentiallyConsistent) {
        jobSignal.wait(while: signal)
      }
      sleepers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
      spins = 0
    }
  }

  private func openJob(after seen: UInt32) -> UInt32? {
    let state = gate.load(ordering: .sequentiallyConsistent)
    let job = state & ~(Self.oneJob - 1)
    return state & Self.openBit != 0 && job != seen ? job : nil
  }

  private func enter(_ job: UInt32) -> Bool {
    var state = gate.load(ordering: .relaxed)
    while state & Self.openBit != 0 && state & ~(Self.oneJob - 1) == job {
      let (exchanged, original) = gate.weakCompareExchange(
        expected: state, desired: state + 1, ordering: .acquiringAndReleasing)
      if exchanged { return true }
      state = original
    }
    return false
  }

  private func leave() {
    let state = gate.wrappingSubtract(1, ordering: .sequentiallyConsistent).newValue
    guard state & (Self.openBit | Self.insideMask) == 0 else { return }
    guard isCallerAsleep.load(ordering: .sequentiallyConsistent) else { return }
    leaveSignal.change()
    leaveSignal.wake(1)
  }

  private func waitUntilEmpty() {
    for _ in 0...spinCount {
      if isEmpty { return }
      platform_pause()
    }
    sleepUntilEmpty()
  }

  /// A join that takes long: notes whether a worker was at work meanwhile, or none could run.
  private func sleepUntilEmpty() {
    let start = Contention.now()
    workerTimes.start()
    isCallerAsleep.store(true, ordering: .sequentiallyConsistent)
    while true {
      let signal = leaveSignal.value
      if isEmpty { break }
      leaveSignal.wait(while: signal)
    }
    isCallerAsleep.store(false, ordering: .relaxed)
    let now = Contention.now()
    if workerTimes.longest() < Contention.span(from: start, to: now) / 2 { contention.stalled(from: start, to: now) }
  }

  /// One iteration of a waiting loop: after a while it lets others on this thread's processor run now and then.
  private func waitBriefly(_ spins: Int) {
    if spins > Self.spinsBeforeYielding && spins % Self.spinsPerYield == 0 { sched_yield() } else { platform_pause() }
  }

  private var isEmpty: Bool { gate.load(ordering: .sequentiallyConsistent) & Self.insideMask == 0 }

  private func wakeSleepers(_ count: Int) {
    jobSignal.change()
    let sleeping = sleepers.load(ordering: .sequentiallyConsistent)
    guard sleeping > 0 else { return }
    jobSignal.wake(Int32(truncatingIfNeeded: count))
  }
}

/// The processor time of a pool's workers, which tells work from waiting for a processor.
private struct WorkerTimes {
  private var clocks: [clockid_t] = []
  /// Nanoseconds at `start`.
  private var times: [UInt64] = []

  init(_ workers: [pthread_t] = []) {
    for worker in workers {
      var clock = clockid_t()
      if pthread_getcpuclockid(worker, &clock) == 0 { clocks.append(clock) }
    }
    times = Array(repeating: 0, count: clocks.count)
  }

  mutating func start() {
    for (index, clock) in clocks.enumerated() { times[index] = Contention.nanoseconds(clock) }
  }

  /// Nanoseconds that the busiest worker has run since `start`.
  func longest() -> UInt64 {
    zip(clocks, times).reduce(0) { max($0, Contention.span(from: $1.1, to: Contention.nanoseconds($1.0))) }
  }
}

/// Calls `use(argument, closure)` with a closure that other threads may call until `use` returns: see platform.h.
@_silgen_name("platform_lend_closure")
private func lendClosure(
  _ body: (Int, Int) -> Void, _ argument: UnsafeMutableRawPointer,
  _ use: @convention(c) (_ argument: UnsafeMutableRawPointer, _ body: UnsafePointer<platform_closure>) -> Void)
