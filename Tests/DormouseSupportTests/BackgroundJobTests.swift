import DormouseSupport
import Glibc
import Synchronization
import Testing

@Suite struct BackgroundJobTests {
  @Test func runsOnAQuietThreadOfItsOwn() throws {
    let seen = Seen()
    let caller = UInt(pthread_self())
    try BackgroundJob(name: "test") {
      var mask = sigset_t()
      pthread_sigmask(SIG_SETMASK, nil, &mask)
      let blocks = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1
      seen.all.withLock { $0 = (UInt(pthread_self()) != caller, threadPriority(), blocks) }
    }.wait()
    let (isOwnThread, priority, blocksSignals) = seen.all.withLock { $0 }
    #expect(isOwnThread && priority == 19 && blocksSignals)
    #expect(threadPriority() < 19)
  }

  @Test func endIsWaitedFor() throws {
    let done = Counter()
    let job = try BackgroundJob(name: "test") {
      usleep(50_000)
      done.value.add(1, ordering: .relaxed)
    }
    job.wait()
    job.wait()
    #expect(done.value.load(ordering: .relaxed) == 1)
    _ = try BackgroundJob(name: "a name of more than fifteen bytes") {
      usleep(50_000)
      done.value.add(1, ordering: .relaxed)
    }
    #expect(done.value.load(ordering: .relaxed) == 2)
  }
}

/// Of the thread that asks.
private func threadPriority() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

/// What a job finds on its thread.
private final class Seen: Sendable {
  let all = Mutex<(isOwnThread: Bool, priority: Int32, blocksSignals: Bool)>((false, 0, false))
}

private final class Counter: Sendable {
  let value = Atomic<Int>(0)
}
