public import DormouseKernels
public import DormouseSupport
import Synchronization

/// The pages of all latent caches of one layout: takes their memory from a budget and keeps a few for the next user.
public final class PagePool: Sendable {
  public let layout: PageLayout
  public let kernels: Kernels
  private let budget: MemoryBudget
  private let free = Locked<[PageMemory]>([])
  private let used = Atomic<Int>(0)
  private let shared = Atomic<Int>(0)

  /// Unused pages that stay allocated: more go back to the system.
  private static let mostFree = 16

  /// How many pages there are.
  public struct Statistics: Sendable, Equatable {
    /// Held by anybody.
    public var used: Int
    /// Of these, by more than one holder.
    public var shared: Int
    /// Allocated and held by nobody.
    public var free: Int
  }

  public init(layout: PageLayout, kernels: Kernels, budget: MemoryBudget) {
    self.layout = layout
    self.kernels = kernels
    self.budget = budget
    budget.addReclaimer { [weak self] byteCount in self?.releaseFree(byteCount) ?? false }
  }

  public var statistics: Statistics {
    Statistics(
      used: used.load(ordering: .relaxed), shared: shared.load(ordering: .relaxed), free: free.withLock { $0.count })
  }

  /// A page that nobody holds yet; its bytes are whatever was there.
  /// - Throws: `Failure(.outOfMemory)` when the budget or the system has none.
  func take() throws(Failure) -> Page {
    let kept = free.withLock { $0.popLast() }
    let memory: PageMemory = if let kept { kept } else { try PageMemory(layout, budget) }
    used.add(1, ordering: .relaxed)
    return Page(memory: memory, pool: self)
  }

  fileprivate func giveBack(_ memory: PageMemory) {
    used.subtract(1, ordering: .relaxed)
    free.withLock { free in if free.count < PagePool.mostFree { free.append(memory) } }
  }

  fileprivate func countShared(_ change: Int) { shared.wrappingAdd(change, ordering: .relaxed) }

  /// Gives unused pages back to the system: at least `byteCount` bytes, where there are as many.
  private func releaseFree(_ byteCount: UInt64) -> Bool {
    let size = UInt64(layout.byteCount)
    // They go outside of the lock.
    let released = free.withLock { free in
      let count = min(free.count, Int(clamping: byteCount / size + 1))
      let last = Array(free.suffix(count))
      free.removeLast(count)
      return last
    }
    return !released.isEmpty
  }
}

/// The memory of a page, and its place in the budget.
private final class PageMemory: @unchecked Sendable {
  let address: UnsafeMutableRawPointer
  private let buffer: AlignedBuffer
  private let reservation: MemoryBudget.Reservation

  init(_ layout: PageLayout, _ budget: MemoryBudget) throws(Failure) {
    reservation = try budget.reserve(UInt64(clamping: layout.byteCount), for: "a page of the latent cache")
    buffer = try AlignedBuffer(byteCount: layout.byteCount, isZeroed: false, for: "a page of the latent cache")
    guard let base = buffer.bytes.baseAddress else {
      throw Failure(.internalError, "a page of the latent cache has no address")
    }
    address = base
  }
}

/// A page of a pool. Its holders count themselves; only a page with one holder may be written to.
///
/// The memory lives as long as there is a reference to the page: the count of holders decides about copying, and never
/// about memory.
final class Page: @unchecked Sendable {
  private let memory: PageMemory
  private let pool: PagePool
  private let holders = Atomic<Int>(0)

  fileprivate init(memory: PageMemory, pool: PagePool) {
    self.memory = memory
    self.pool = pool
  }

  deinit { pool.giveBack(memory) }

  /// `PageLayout.byteCount` bytes.
  var address: UnsafeMutableRawPointer { memory.address }

  func belongs(to other: PagePool) -> Bool { pool === other }

  var isShared: Bool { holders.load(ordering: .acquiring) > 1 }

  /// Counts one more holder.
  func hold() {
    if holders.add(1, ordering: .relaxed).newValue == 2 { pool.countShared(1) }
  }

  /// Counts one holder less, whose last reads of the page are over.
  func drop() {
    if holders.subtract(1, ordering: .acquiringAndReleasing).newValue == 1 { pool.countShared(-1) }
  }
}
