internal import CHost
internal import CPlatform
import Synchronization

/// A number at a fixed address that threads can sleep on.
struct FutexWord: ~Copyable, @unchecked Sendable {
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

  func wait(while value: UInt32) {
    let worked = host_begin_wait()
    platform_futex_wait(address, value)
    host_end_wait(worked)
  }

  func wake(_ count: Int32) { platform_futex_wake(address, count) }

  private var address: UnsafePointer<UInt32> { UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self) }
}
