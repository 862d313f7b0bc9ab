internal import CHost
import Glibc
import Synchronization

/// The border between the host and the library on one thread, and the floating-point environment on either side.
///
/// A host may round upwards, flush denormal numbers to zero or trap exceptions: results must not depend on that, nor may
/// its traps end the process inside the library. So whatever the library does, it does in the environment that processes
/// start with; the caller gets its own back, and callbacks run in the caller's. All this costs nanoseconds.
public enum HostCall {
  /// Runs the body of an exported function.
  public static func enter(_ body: () -> Int32) -> Int32 {
    var call = host_call()
    host_begin_call(&call)
    defer { host_end_call(&call) }
    return body()
  }

  /// Runs a function of the host's, from inside of `enter` or on a thread of the library's own.
  public static func leave(_ body: () -> Int32) -> Int32 {
    host_begin_callback()
    defer { host_end_callback() }
    return body()
  }
}

/// A callback of the host's in the midst of a call that only one thread may make at a time.
///
/// A callback must return. One that throws an exception (of C++, say), ends its thread or calls `longjmp` skips the
/// library's own frames: the memory that they held is lost, and the session or transcriber whose call it was must not be
/// used again. This object notices that: at once where the stack is unwound, and otherwise when the same thread asks
/// the next time.
public final class HostCallback: @unchecked Sendable {
  /// The thread that is inside the callback; 0 for none. Only that thread reads and writes `frame`.
  private let thread = Atomic<UInt>(0)
  private let frame: UnsafeMutablePointer<host_frame>
  private let wasLeft = Atomic<Bool>(false)
  private let whenLeft = Locked<(@Sendable () -> Void)?>(nil)

  public init() {
    frame = .allocate(capacity: 1)
    frame.initialize(to: host_frame())
  }

  deinit { frame.deallocate() }

  /// Has `body` called once, where a callback is left; on the thread that notices it.
  public func whenLeft(_ body: @escaping @Sendable () -> Void) { whenLeft.withLock { $0 = body } }

  /// Runs the host's function. Allocates nothing. Thread: one at a time.
  public func run(_ body: () -> Int32) -> Int32 {
    var result: Int32 = 0
    thread.store(UInt(pthread_self()), ordering: .relaxed)
    callOut({ result = body() }, frame, HostCallback.noteLeft, Unmanaged.passUnretained(self).toOpaque())
    thread.store(0, ordering: .relaxed)
    return result
  }

  /// Whether a callback was left and will never return. Thread: any.
  public var isLeft: Bool {
    if wasLeft.load(ordering: .acquiring) { return true }
    guard thread.load(ordering: .relaxed) == UInt(pthread_self()), host_frame_is_gone(frame) != 0 else { return false }
    noteLeft()
    return true
  }

  private func noteLeft() {
    guard !wasLeft.exchange(true, ordering: .acquiringAndReleasing) else { return }
    whenLeft.withLock { $0 }?()
  }

  private static let noteLeft: @convention(c) (UnsafeMutableRawPointer?) -> Void = {
    if let callback = $0 { Unmanaged<HostCallback>.fromOpaque(callback).takeUnretainedValue().noteLeft() }
  }
}

/// Calls `body` from a frame that is noted, and `left(argument)` where it is unwound: see host.h.
@_silgen_name("host_call_out")
private func callOut(
  _ body: () -> Void, _ frame: UnsafeMutablePointer<host_frame>,
  _ left: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ argument: UnsafeMutableRawPointer)
