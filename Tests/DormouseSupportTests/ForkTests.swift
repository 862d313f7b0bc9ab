internal import CHost
import Glibc
import Synchronization
import Testing

@testable import DormouseSupport

/// What a fork waits for: threads inside the library may hold locks of Swift's runtime, which its child would find closed
/// for ever. Real forks are made by Tests/ABITests/promises_fork.c.
@Suite struct ForkTests {
  @Test func aForkStopsWhatIsAtWorkAndWhatBegins() throws {
    let rounds = Atomic<Int>(0)
    let isDone = Atomic<Bool>(false)
    let wasCalled = Atomic<Bool>(false)
    let working = try BackgroundThread(name: "working") {
      while !isDone.load(ordering: .sequentiallyConsistent) {
        usleep(1000)
        rounds.add(1, ordering: .sequentiallyConsistent)
        _ = Interruption.never.failure
      }
    }
    while rounds.load(ordering: .sequentiallyConsistent) == 0 { sched_yield() }
    host_prepare_fork()
    let before = rounds.load(ordering: .sequentiallyConsistent)
    let calling = try BackgroundThread(name: "calling") { wasCalled.store(true, ordering: .sequentiallyConsistent) }
    usleep(20_000)
    let meanwhile = (rounds.load(ordering: .sequentiallyConsistent), wasCalled.load(ordering: .sequentiallyConsistent))
    host_finish_fork()
    calling.join()
    #expect(meanwhile == (before, false))
    let wasCalledAtLast = wasCalled.load(ordering: .sequentiallyConsistent)
    #expect(wasCalledAtLast)
    while rounds.load(ordering: .sequentiallyConsistent) == before { sched_yield() }
    isDone.store(true, ordering: .sequentiallyConsistent)
    working.join()
  }

  /// A thread that sleeps holds nothing back; one that is woken before the child is made stays where it is.
  @Test func aForkStopsWhoWakesUp() throws {
    let monitor = Monitor()
    let condition = monitor.makeCondition()
    let isWaiting = Atomic<Bool>(false)
    let isAwake = Atomic<Bool>(false)
    let sleeper = try BackgroundThread(name: "sleeper") {
      monitor.withLock {
        isWaiting.store(true, ordering: .sequentiallyConsistent)
        condition.wait()
      }
      isAwake.store(true, ordering: .sequentiallyConsistent)
    }
    while !isWaiting.load(ordering: .sequentiallyConsistent) { sched_yield() }
    // It has let the lock go when this gets it.
    monitor.withLock {}
    host_prepare_fork()
    condition.signal()
    usleep(20_000)
    let wasAwake = isAwake.load(ordering: .sequentiallyConsistent)
    host_finish_fork()
    sleeper.join()
    let isAwakeAtLast = isAwake.load(ordering: .sequentiallyConsistent)
    #expect(!wasAwake && isAwakeAtLast)
  }

  /// Callbacks may take as long as they like, and fork; they may also call the library.
  @Test func callsAreWorkAndCallbacksAreNot() {
    var isAtWork: [Bool] = []
    func note() {
      let worked = host_begin_wait()
      isAtWork.append(worked != 0)
      host_end_wait(worked)
    }
    note()
    _ = HostCall.enter {
      note()
      _ = HostCall.leave {
        note()
        _ = HostCall.enter {
          note()
          return 0
        }
        note()
        return 0
      }
      note()
      return 0
    }
    note()
    #expect(isAtWork == [false, true, false, true, false, true, false])
  }
}
