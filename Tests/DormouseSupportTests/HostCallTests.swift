import Glibc
import Synchronization
import Testing

@testable import DormouseSupport

// The system's header has each of them as a macro too.
private let upwards: Int32 = FE_UPWARD
private let downwards: Int32 = FE_DOWNWARD
private let toNearest: Int32 = FE_TONEAREST

/// What the library does with the host's floating-point environment, callbacks and stacks. What goes wrong in callbacks
/// is tested in C++, in Tests/ABITests.
@Suite struct HostCallTests {
  /// The calling thread rounds upwards inside of `body`.
  private func roundingUpwards<Result>(_ body: () throws -> Result) rethrows -> Result {
    let before = fegetround()
    fesetround(upwards)
    defer { fesetround(before) }
    return try body()
  }

  @Test func callsComputeInTheDefaultEnvironmentAndCallbacksInTheHosts() {
    roundingUpwards {
      var rounding: [Int32] = [fegetround()]
      let answer = HostCall.enter {
        rounding.append(fegetround())
        let inner = HostCall.leave {
          rounding.append(fegetround())
          // A callback may call the library, and change its own environment.
          _ = HostCall.enter {
            rounding.append(fegetround())
            return 0
          }
          fesetround(downwards)
          return 4
        }
        rounding.append(fegetround())
        return inner + 1
      }
      rounding.append(fegetround())
      #expect(answer == 5)
      #expect(
        rounding == [upwards, toNearest, upwards, toNearest, toNearest, downwards])
    }
  }

  @Test func threadsBeginWithTheDefaultEnvironment() throws {
    let rounding = Atomic<Int>(-1)
    try roundingUpwards {
      let thread = try BackgroundThread(name: "floats") {
        rounding.store(Int(fegetround()), ordering: .sequentiallyConsistent)
      }
      thread.join()
      #expect(fegetround() == upwards)
    }
    #expect(rounding.load(ordering: .sequentiallyConsistent) == Int(toNearest))
  }

  @Test func callbacksThatReturnAreNotLost() {
    let callback = HostCallback()
    let noted = Atomic<Int>(0)
    callback.whenLeft { noted.add(1, ordering: .relaxed) }
    var wasLeftInside: Bool?
    let answer = callback.run {
      wasLeftInside = callback.isLeft
      return 7
    }
    #expect(answer == 7 && wasLeftInside == false && !callback.isLeft)
    #expect(noted.load(ordering: .relaxed) == 0)
  }

  /// Deep work runs where it is called if there is room, and else on a thread that has it.
  @Test(arguments: [true, false]) func deepWorkHasItsStack(isSmall: Bool) throws {
    struct Answer {
      var caller = pthread_self()
      var worker = pthread_self()
      var sum = 0
      var failure: Failure?
    }
    let answer = Mutex<Answer?>(nil)
    let thread = SizedThread(stackByteCount: isSmall ? 64 << 10 : 4 << 20) {
      var mine = Answer()
      do throws(Failure) {
        (mine.worker, mine.sum) = try DeepStack.run { () throws(Failure) in (pthread_self(), HostCallTests.deep(1000)) }
        try DeepStack.run { () throws(Failure) in throw Failure(.malformed, "too deep") }
      } catch { mine.failure = error }
      answer.withLock { $0 = mine }
    }
    thread.join()
    let found = try #require(answer.withLock { $0 })
    #expect(found.sum == 1000 * 1001 / 2)
    #expect(found.failure == Failure(.malformed, "too deep"))
    #expect((found.worker != found.caller) == isSmall)
  }

  /// Takes more than 128 bytes a level.
  @inline(never) @_optimize(none)
  private static func deep(_ count: Int) -> Int {
    let filling = (count, count, count, count, count, count, count, count, count, count, count, count, count, count)
    return count == 0 ? 0 : filling.13 + deep(count - 1)
  }

  @Test func aValueOfTheProcess() {
    let value = ProcessLocked { 5 }
    value.withLock { $0 += 1 }
    #expect(value.withLock { $0 } == 6)
    #expect(ProcessGeneration.current == .current)
  }
}

/// A thread of the host's, with a stack of its choice.
private final class SizedThread {
  private final class Start {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }

  private var thread = pthread_t()

  init(stackByteCount: Int, _ body: @escaping @Sendable () -> Void) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, stackByteCount)
    let start = Unmanaged.passRetained(Start(body))
    pthread_create(
      &thread, &attributes,
      {
        if let start = $0 { Unmanaged<Start>.fromOpaque(start).takeRetainedValue().body() }
        return nil
      }, start.toOpaque())
    pthread_attr_destroy(&attributes)
  }

  func join() { pthread_join(thread, nil) }
}
