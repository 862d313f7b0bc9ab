internal import CPlatform
import Glibc
import Synchronization

/// Plain threads that share a loop: fork and join in half a microsecond when they are awake.
///
/// Tasks are claimed one by one from a counter, so uneven tasks balance themselves. `run` waits only for workers that
/// took part: one that the system scheduled late misses a job, and does not hold it up. Waiting threads spin for a
/// bounded time and then sleep in the kernel, so that an idle pool costs nothing and a busy machine loses little.
public final class ThreadPool: @unchecked Sendable {
  /// The calling thread and the workers.
  public let threadCount: Int

  /// Iterations a thread waits in a loop before it sleeps: 20 to 50 microseconds, about the price of a sleep.
  public static let defaultSpinCount = 2000
  /// More threads than any machine of today has processors; a larger number is a caller's mistake.
  public static let maximumThreadCount = 4096

  private let shared: SharedState
  private let oneCaller = Mutex<Void>(())
  private let workers: [pthread_t]

  /// Creates `threadCount - 1` workers, which block every signal.
  ///
  /// - Parameters:
  ///   - threadCount: threads that work in a `run`, its caller among them; 1 for no workers.
  ///   - spinCount: iterations of a waiting loop before a thread sleeps.
  /// - Throws: `Failure(.invalidArgument)` for a count outside 1...`maximumThreadCount`, `Failure(.outOfMemory)` or
  ///   `Failure(.internalError)` when the system refuses a thread; none is left behind then.
  public init(threadCount: Int, spinCount: Int = ThreadPool.defaultSpinCount) throws(Failure) {
    guard threadCount >= 1, threadCount <= ThreadPool.maximumThreadCount else {
      throw Failure(
        .invalidArgument, "thread count \(threadCount): expected 1 to \(ThreadPool.maximumThreadCount)")
    }
    let shared = SharedState(spinCount: max(0, spinCount))
    var created: [pthread_t] = []
    for worker in 1..<max(1, threadCount) {
      do {
        created.append(try ThreadPool.createThread(shared, worker: worker))
      } catch {
        ThreadPool.stop(shared, created)
        throw error
      }
    }
    self.threadCount = threadCount
    self.shared = shared
    workers = created
  }

  deinit { ThreadPool.stop(shared, workers) }

  /// Runs `body(task, worker)` for every task in `0..<count` on at most `threadCount` threads, the caller among them,
  /// and returns when all are done.
  ///
  /// No two calls of one run have the same `worker` (in `0..<threadCount`) at the same time, so it may index scratch
  /// memory. Thread: any; callers take turns. Inside a body it runs serially on the thread it was called on, as that
  /// thread's worker of this pool, or as worker 0 when the body belongs to another pool.
  public func run(_ count: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
    guard count > 0 else { return }
    if let current = platform_thread_pool() {
      let worker = current == identity ? Int(platform_thread_worker()) : 0
      for task in 0..<count { body(task, worker) }
      return
    }
    oneCaller.withLock { _ in
      platform_set_thread_role(identity, 0)
      if workers.isEmpty || count == 1 {
        for task in 0..<count { body(task, 0) }
      } else {
        withoutActuallyEscaping(body) { shared.run(count, $0, workerCount: workers.count) }
      }
      platform_set_thread_role(nil, 0)
    }
  }

  /// Processors that this process may use: its affinity mask, and its control group's quota rounded up; at least 1.
  public static func defaultThreadCount() -> Int { min(ProcessorCount.available(), maximumThreadCount) }

  /// What marks a thread as working for this pool.
  private var identity: UnsafeRawPointer { UnsafeRawPointer(Unmanaged.passUnretained(shared).toOpaque()) }
}

extension ThreadPool {
  /// What a new thread is handed.
  private final class Start {
    let shared: SharedState
    let worker: Int

    init(_ shared: SharedState, _ worker: Int) {
      self.shared = shared
      self.worker = worker
    }
  }

  /// Signals stay with the host's own threads: the new thread inherits a mask that blocks all of them.
  private static func createThread(_ shared: SharedState, worker: Int) throws(Failure) -> pthread_t {
    let start = Unmanaged.passRetained(Start(shared, worker))
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, { ThreadPool.threadMain($0) }, start.toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard code == 0 else {
      start.release()
      let isShortage = code == EAGAIN || code == ENOMEM
      throw Failure(
        isShortage ? .outOfMemory : .internalError, "thread \(worker) cannot be created: error number \(code)")
    }
    return thread
  }

  private static func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    platform_name_thread("dormouse-\(start.worker)")
    let identity = UnsafeRawPointer(Unmanaged.passUnretained(start.shared).toOpaque())
    platform_set_thread_role(identity, Int32(truncatingIfNeeded: start.worker))
    start.shared.workUntilStopped(worker: start.worker)
    return nil
  }

  private static func stop(_ shared: SharedState, _ threads: [pthread_t]) {
    shared.stop()
    for thread in threads { pthread_join(thread, nil) }
  }
}

/// What the caller of a run and the workers share.
///
/// `gate` holds, from the top, the number of the job, one bit "open", and the count of workers inside. A worker enters
/// by adding 1 while the gate is open; the caller closes it when no task is left to claim, and waits until it is empty.
private final class SharedState: @unchecked Sendable {
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

  // Written by the caller while the gate is closed and empty, read by workers inside.
  private var taskCount = 0
  private var body: ((Int, Int) -> Void)?

  init(spinCount: Int) { self.spinCount = spinCount }

  func run(_ count: Int, _ body: @escaping (Int, Int) -> Void, workerCount: Int) {
    taskCount = count
    self.body = body
    nextTask.store(0, ordering: .relaxed)
    let job = (gate.load(ordering: .relaxed) & ~(Self.oneJob - 1)) &+ Self.oneJob
    gate.store(job | Self.openBit, ordering: .sequentiallyConsistent)
    wakeSleepers(min(workerCount, count - 1))
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

  /// Claims tasks until none is left. Not inlined, so that the body is released before the worker leaves the gate.
  @inline(never) private func runTasks(worker: Int) {
    guard let body else { return }
    while true {
      let task = nextTask.wrappingAdd(1, ordering: .relaxed).oldValue
      guard task < taskCount else { return }
      body(task, worker)
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
        platform_pause()
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
    isCallerAsleep.store(true, ordering: .sequentiallyConsistent)
    while true {
      let signal = leaveSignal.value
      if isEmpty { break }
      leaveSignal.wait(while: signal)
    }
    isCallerAsleep.store(false, ordering: .relaxed)
  }

  private var isEmpty: Bool { gate.load(ordering: .sequentiallyConsistent) & Self.insideMask == 0 }

  private func wakeSleepers(_ count: Int) {
    jobSignal.change()
    let sleeping = sleepers.load(ordering: .sequentiallyConsistent)
    guard sleeping > 0 else { return }
    jobSignal.wake(Int32(truncatingIfNeeded: count))
  }
}

/// A number at a fixed address that threads can sleep on.
private struct FutexWord: ~Copyable, @unchecked Sendable {
  private let word: UnsafeMutablePointer<Atomic<UInt32>>

  init() {
    word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
    word.initialize(to: Atomic<UInt32>(0))
  }

  deinit {
    word.deinitialize(count: 1)
    word.deallocate()
  }

  var value: UInt32 { word.pointee.load(ordering: .sequentiallyConsistent) }

  func change() { word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent) }

  func wait(while value: UInt32) { platform_futex_wait(address, value) }

  func wake(_ count: Int32) { platform_futex_wake(address, count) }

  private var address: UnsafePointer<UInt32> { UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self) }
}
