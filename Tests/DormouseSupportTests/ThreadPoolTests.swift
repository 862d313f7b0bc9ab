import Glibc
import Synchronization
import Testing

@testable import DormouseSupport

@Suite struct ThreadPoolTests {
  @Test(arguments: [1, 2, 3, 8], [0, 2000])
  func runsEveryTaskOnce(threadCount: Int, spinCount: Int) throws {
    let pool = try ThreadPool(threadCount: threadCount, spinCount: spinCount)
    #expect(pool.threadCount == threadCount)
    for count in [0, 1, 2, 3, 7, 100, 1000] {
      let counts = (0..<count).map { _ in Counter() }
      pool.run(count) { task, worker in
        #expect((0..<threadCount).contains(worker))
        counts[task].add()
      }
      #expect(counts.allSatisfy { $0.value == 1 })
    }
    pool.run(-1) { _, _ in Issue.record("a negative count has no tasks") }
  }

  @Test(arguments: [0, 1, -5, ThreadPool.maximumThreadCount + 1])
  func refusesImpossibleCounts(count: Int) throws {
    guard count != 1 else {
      _ = try ThreadPool(threadCount: 1)
      return
    }
    #expect { try ThreadPool(threadCount: count) } throws: { ($0 as? Failure)?.status == .invalidArgument }
  }

  @Test func manyTinyJobs() throws {
    let pool = try ThreadPool(threadCount: 4)
    let total = Counter()
    for _ in 0..<20_000 { pool.run(3) { _, _ in total.add() } }
    #expect(total.value == 60_000)
  }

  /// Sleeping and waking is where a lost wake-up would hang: no spinning makes every job take that way.
  @Test func manyJobsWithoutSpinning() throws {
    let pool = try ThreadPool(threadCount: 4, spinCount: 0)
    let total = Counter()
    for round in 0..<3_000 {
      pool.run(4) { _, _ in total.add() }
      if round % 100 == 0 { usleep(200) }
    }
    #expect(total.value == 12_000)
  }

  @Test func oneWorkerIndexIsNeverUsedTwiceAtOnce() throws {
    let pool = try ThreadPool(threadCount: 4)
    let busy = (0..<4).map { _ in Counter() }
    let clashes = Counter()
    for _ in 0..<500 {
      pool.run(16) { _, worker in
        if busy[worker].add() != 1 { clashes.add() }
        busy[worker].subtract()
      }
    }
    #expect(clashes.value == 0)
  }

  @Test func nestedRunsDoNotDeadlock() throws {
    let pool = try ThreadPool(threadCount: 3)
    let other = try ThreadPool(threadCount: 2)
    let total = Counter()
    for _ in 0..<50 {
      pool.run(5) { _, outer in
        pool.run(4) { _, inner in
          if inner == outer { total.add() }
        }
        other.run(2) { _, _ in pool.run(1) { _, _ in total.add() } }
      }
    }
    #expect(total.value == 50 * 5 * (4 + 2))
  }

  @Test func callersTakeTurns() throws {
    let pool = try ThreadPool(threadCount: 3)
    let total = Counter()
    let inside = Counter()
    let clashes = Counter()
    let callers = (0..<4).map { _ in
      HostThread {
        for _ in 0..<500 {
          pool.run(8) { task, _ in
            if task == 0 && inside.add() != 1 { clashes.add() }
            total.add()
            if task == 0 { inside.subtract() }
          }
        }
      }
    }
    for caller in callers { caller.join() }
    #expect(total.value == 4 * 500 * 8)
    #expect(clashes.value == 0)
  }

  @Test func poolsComeAndGo() throws {
    for _ in 0..<200 {
      let pool = try ThreadPool(threadCount: 3)
      let total = Counter()
      pool.run(3) { _, _ in total.add() }
      #expect(total.value == 3)
    }
  }

  /// A host's crash reporter wants to see the faults; everything else is for the host's threads.
  @Test func workersBlockSignalsButThoseOfTheirFaults() throws {
    let pool = try ThreadPool(threadCount: 2)
    let blocked = Counter()
    let workerRan = Counter()
    for _ in 0..<10_000 where workerRan.value == 0 {
      pool.run(2) { _, worker in
        guard worker == 1 else { return usleep(100).discard() }
        var mask = sigset_t()
        pthread_sigmask(SIG_SETMASK, nil, &mask)
        workerRan.add()
        let isBlocked = { sigismember(&mask, $0) == 1 }
        let faults = [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS]
        if [SIGINT, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE].allSatisfy(isBlocked), !faults.contains(where: isBlocked) {
          blocked.add()
        }
      }
    }
    #expect(workerRan.value > 0)
    #expect(blocked.value == workerRan.value)
  }

  @Test(arguments: [1, 2, 5]) func everyThreadIsReachedOnce(threadCount: Int) throws {
    let pool = try ThreadPool(threadCount: threadCount)
    for _ in 0..<50 {
      let counts = (0..<threadCount).map { _ in Counter() }
      pool.onEveryThread { counts[$0].add() }
      #expect(counts.allSatisfy { $0.value == 1 })
    }
    let inside = Counter()
    pool.run(3) { _, outer in pool.onEveryThread { if $0 == outer { inside.add() } } }
    #expect(inside.value == 3)
  }

  @Test func pinnedWorkersStayOnOneProcessorOfTheMask() throws {
    let allowed = ProcessorPins.affinity()
    let pool = try ThreadPool(threadCount: 3, pinsThreads: true)
    let masks = Mutex<[Int: [Int32]]>([:])
    pool.onEveryThread { worker in
      let mask = ProcessorPins.affinity()
      masks.withLock { $0[worker] = mask }
    }
    let found = masks.withLock { $0 }
    #expect(found[0] == allowed)
    for worker in 1...2 {
      let processors = try #require(found[worker])
      #expect(processors.count == 1)
      #expect(processors.allSatisfy(allowed.contains))
    }
  }

  @Test func defaultThreadCountIsWithinTheMachine() {
    let count = ThreadPool.defaultThreadCount()
    #expect(count >= 1)
    #expect(count <= max(1, sysconf(Int32(_SC_NPROCESSORS_CONF))))
  }
}

extension Int32 {
  /// Says that a result is of no interest where an expression must have the type `Void`.
  fileprivate func discard() {}
}

/// A number that several threads change.
private final class Counter: Sendable {
  private let number = Atomic<Int>(0)

  var value: Int { number.load(ordering: .sequentiallyConsistent) }

  @discardableResult func add() -> Int { number.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue }
  func subtract() { number.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
}

/// A thread as a host program would make it.
private final class HostThread: @unchecked Sendable {
  private let body: @Sendable () -> Void
  private var thread = pthread_t()

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
    let start = Unmanaged.passRetained(self)
    pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<HostThread>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, start.toOpaque())
  }

  func join() { pthread_join(thread, nil) }
}
