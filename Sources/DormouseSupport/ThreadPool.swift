internal import CHost
internal import CPlatform
import Glibc
import Synchronization

/// Plain threads that share a loop: fork and join in half a microsecond when they are awake.
///
/// Tasks are claimed one by one from a counter, so uneven tasks balance themselves. `run` waits only for workers that
/// took part: one that the system scheduled late misses a job, and does not hold it up. Waiting threads spin for a
/// bounded time, yielding to whoever else wants their processor, and then sleep in the kernel, so that an idle pool
/// costs nothing and a busy machine loses little. Where other processes, or other pools of this one, keep stopping the
/// workers, jobs run on their caller alone for a while (see `Contention`).
public final class ThreadPool: @unchecked Sendable {
  /// The calling thread and the workers.
  public let threadCount: Int

  /// Iterations a thread waits in a loop before it sleeps: 20 to 50 microseconds, about the price of a sleep.
  public static let defaultSpinCount = 2000
  /// More threads than any machine of today has processors; a larger number is a caller's mistake.
  public static let maximumThreadCount = 4096

  private let shared: ThreadPoolState
  private let oneCaller = Monitor()
  private let workers: [BackgroundThread]
  private let pins: ProcessorPins?

  /// Creates `threadCount - 1` workers.
  ///
  /// - Parameters:
  ///   - threadCount: threads that work in a `run`, its caller among them; 1 for no workers.
  ///   - pinsThreads: whether each worker is bound to one processor of the process's affinity mask, where the fewest
  ///     workers of other pools are; the calling threads are the host's and stay free.
  ///   - spinCount: iterations of a waiting loop before a thread sleeps.
  /// - Throws: `Failure(.invalidArgument)` for a count outside 1...`maximumThreadCount`, `Failure(.outOfMemory)` or
  ///   `Failure(.internalError)` when the system refuses a thread, `Failure(.unsupported)` when it refuses to pin one;
  ///   none is left behind then.
  public init(
    threadCount: Int, pinsThreads: Bool = false, spinCount: Int = ThreadPool.defaultSpinCount
  ) throws(Failure) {
    guard threadCount >= 1, threadCount <= ThreadPool.maximumThreadCount else {
      throw Failure(
        .invalidArgument, "thread count \(threadCount): expected 1 to \(ThreadPool.maximumThreadCount)")
    }
    let shared = ThreadPoolState(spinCount: max(0, spinCount))
    let pins = pinsThreads ? ProcessorPins(threadCount: threadCount) : nil
    var created: [BackgroundThread] = []
    do {
      for worker in 1..<max(1, threadCount) {
        created.append(try ThreadPool.createThread(shared, worker: worker))
        try created.last.map { (thread) throws(Failure) in try pins?.pin(thread.handle, worker: worker) }
      }
    } catch {
      ThreadPool.stop(shared, created)
      throw error
    }
    shared.watch(created.map(\.handle))
    self.threadCount = threadCount
    self.shared = shared
    self.pins = pins
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
    host_let_forks_pass()
    oneCaller.withLock {
      platform_set_thread_role(identity, 0)
      if workers.isEmpty || count == 1 || !shared.allowsSharing() {
        for task in 0..<count { body(task, 0) }
      } else {
        shared.run(count, body, workerCount: workers.count)
      }
      platform_set_thread_role(nil, 0)
    }
  }

  /// Runs `body(worker)` once on each of the pool's threads, the caller's among them, and returns when all are done: to
  /// prepare what belongs to a thread. Inside a body of a pool it runs on the calling thread alone.
  public func onEveryThread(_ body: (_ worker: Int) -> Void) {
    guard platform_thread_pool() == nil else { return body(Int(platform_thread_worker())) }
    let arrived = Atomic<Int>(0)
    oneCaller.withLock {
      platform_set_thread_role(identity, 0)
      // A thread that waits for all others takes no second task.
      shared.run(
        threadCount,
        { _, worker in
          body(worker)
          arrived.add(1, ordering: .sequentiallyConsistent)
          while arrived.load(ordering: .sequentiallyConsistent) < threadCount { sched_yield() }
        }, workerCount: workers.count)
      platform_set_thread_role(nil, 0)
    }
  }

  /// Binds the calling thread to the processor that is counted as the caller's; without pinned workers it stays free.
  /// For a thread that is the pool's only caller, and the library's own.
  /// - Throws: `Failure(.unsupported)` when the system refuses.
  public func pinCaller() throws(Failure) { try pins?.pin(pthread_self(), worker: 0) }

  /// Processors that this process may use: its affinity mask, and its control group's quota rounded up; at least 1.
  public static func defaultThreadCount() -> Int { min(ProcessorCount.available(), maximumThreadCount) }

  /// What marks a thread as working for this pool.
  private var identity: UnsafeRawPointer { UnsafeRawPointer(Unmanaged.passUnretained(shared).toOpaque()) }
}

extension ThreadPool {
  private static func createThread(_ shared: ThreadPoolState, worker: Int) throws(Failure) -> BackgroundThread {
    try BackgroundThread(name: "dormouse-\(worker)") {
      let identity = UnsafeRawPointer(Unmanaged.passUnretained(shared).toOpaque())
      platform_set_thread_role(identity, Int32(truncatingIfNeeded: worker))
      shared.workUntilStopped(worker: worker)
    }
  }

  private static func stop(_ shared: ThreadPoolState, _ threads: [BackgroundThread]) {
    shared.stop()
    for thread in threads { thread.join() }
  }
}
