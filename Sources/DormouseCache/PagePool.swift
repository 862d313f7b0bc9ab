public import DormouseKernels
public import DormouseSupport
import Synchronization

/// The pages of all latent caches of one layout: takes their memory from a budget and keeps a few for the next user.
public final class PagePool: Sendable {
  public let layout: PageLayout
  public let kernels: Kernels
  private let budget: MemoryBudget
  private let free = Locked<[PageMemory]>([])
  /// Pages whose memory is asked for together, so that the system backs it with its large pages.
  private let blockPageCount: Int
  private let used = Atomic<Int>(0)
  private let shared = Atomic<Int>(0)

  /// Unused pages that stay allocated: more go back to the system, block by block.
  private static let mostFree = 16
  private static let blockByteCount = 8 << 20
  /// Smaller pages are asked for one by one.
  private static let leastBlockPageByteCount = 128 << 10

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
    blockPageCount =
      layout.byteCount < PagePool.leastBlockPageByteCount ? 1 : max(1, PagePool.blockByteCount / layout.byteCount)
    budget.addReclaimer { [weak self] byteCount in self?.releaseFree(byteCount) ?? false }
  }

  public var statistics: Statistics {
    Statistics(
      used: used.load(ordering: .relaxed), shared: shared.load(ordering: .relaxed), free: free.withLock { $0.count })
  }

  /// A page that nobody holds yet; its bytes are whatever was there.
  /// - Parameter keepsState: whether it keeps the layers' state at its end.
  /// - Throws: `Failure(.outOfMemory)` when the budget or the system has none.
  func take(keepsState: Bool) throws(Failure) -> Page {
    let state = keepsState ? try StateMemory(layout, budget) : nil
    let kept = free.withLock { free in
      let memory = free.popLast()
      memory?.block.freeCount -= 1
      return memory
    }
    let memory: PageMemory = if let kept { kept } else { try allocate() }
    used.add(1, ordering: .relaxed)
    return Page(memory: memory, state: state, pool: self)
  }

  /// The first page of a new block, whose other pages are free; of one page where the budget has no more.
  private func allocate() throws(Failure) -> PageMemory {
    let block =
      if blockPageCount > 1, let block = try? PageBlock(layout, blockPageCount, budget, isUrgent: false) {
        block
      } else {
        try PageBlock(layout, 1, budget, isUrgent: true)
      }
    free.withLock { free in
      for index in (1..<max(1, block.pageCount)).reversed() { free.append(PageMemory(block, index)) }
      block.freeCount = block.pageCount - 1
    }
    return PageMemory(block, 0)
  }

  fileprivate func giveBack(_ memory: PageMemory) {
    used.subtract(1, ordering: .relaxed)
    let block = memory.block
    // They go outside of the lock.
    let released = free.withLock { free in
      free.append(memory)
      block.freeCount += 1
      guard block.freeCount == block.pageCount, free.count - block.pageCount >= PagePool.mostFree else {
        return [PageMemory]()
      }
      let released = free.filter { $0.block === block }
      free.removeAll { $0.block === block }
      return released
    }
    withExtendedLifetime(released) {}
  }

  fileprivate func countShared(_ change: Int) { shared.wrappingAdd(change, ordering: .relaxed) }

  /// Gives blocks of unused pages back to the system: at least `byteCount` bytes, where there are as many.
  private func releaseFree(_ byteCount: UInt64) -> Bool {
    let wanted = Int(clamping: byteCount / UInt64(layout.byteCount) + 1)
    // They go outside of the lock.
    let released = free.withLock { free in
      var released: [PageMemory] = []
      for memory in free where memory.block.freeCount == memory.block.pageCount {
        if memory.index == 0, released.count >= wanted { break }
        released.append(memory)
      }
      let blocks = Set(released.map { ObjectIdentifier($0.block) })
      released = free.filter { blocks.contains(ObjectIdentifier($0.block)) }
      free.removeAll { blocks.contains(ObjectIdentifier($0.block)) }
      return released
    }
    return !released.isEmpty
  }
}

/// Memory of one or more pages, and its place in the budget; it lives as long as one of them.
private final class PageBlock: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  let pageCount: Int
  /// Of these, pages that are in the pool's list; guarded by its lock.
  var freeCount = 0
  private let buffer: AlignedBuffer
  private let reservation: MemoryBudget.Reservation

  init(_ layout: PageLayout, _ pageCount: Int, _ budget: MemoryBudget, isUrgent: Bool) throws(Failure) {
    let what = pageCount == 1 ? "a page of the latent cache" : "\(pageCount) pages of the latent cache"
    let byteCount = try CheckedSize.product(layout.byteCount, pageCount, of: what)
    reservation = try budget.reserve(UInt64(clamping: byteCount), isUrgent: isUrgent, for: what)
    buffer = try AlignedBuffer(byteCount: byteCount, isZeroed: false, for: what)
    guard let base = buffer.bytes.baseAddress else {
      throw Failure(.internalError, "a page of the latent cache has no address")
    }
    self.base = base
    self.pageCount = pageCount
  }
}

/// The memory of a page.
private final class PageMemory: Sendable {
  let block: PageBlock
  /// Its place in the block.
  let index: Int

  init(_ block: PageBlock, _ index: Int) {
    self.block = block
    self.index = index
  }
}

/// The layers' state at the end of a page, and its place in the budget.
private final class StateMemory: Sendable {
  let buffer: AlignedBuffer
  private let reservation: MemoryBudget.Reservation

  init(_ layout: PageLayout, _ budget: MemoryBudget) throws(Failure) {
    let what = "the layers' state at the end of a page"
    reservation = try budget.reserve(UInt64(clamping: layout.stateByteCount), for: what)
    buffer = try AlignedBuffer(byteCount: layout.stateByteCount, isZeroed: false, for: what)
  }
}

/// A page of a pool. Its holders count themselves; only a page with one holder may be written to.
///
/// The memory lives as long as there is a reference to the page: the count of holders decides about copying, and never
/// about memory.
final class Page: @unchecked Sendable {
  /// `PageLayout.byteCount` bytes.
  let address: UnsafeMutableRawPointer
  private let memory: PageMemory
  private let stateMemory: StateMemory?
  private let pool: PagePool
  private let holders = Atomic<Int>(0)

  fileprivate init(memory: PageMemory, state: StateMemory?, pool: PagePool) {
    self.memory = memory
    stateMemory = state
    self.pool = pool
    address = memory.block.base + memory.index * pool.layout.byteCount
  }

  deinit { pool.giveBack(memory) }

  /// `PageLayout.stateByteCount` bytes: the layers' state behind its last position, once that is held; nil where it keeps
  /// none.
  var state: UnsafeMutableRawBufferPointer? { stateMemory?.buffer.bytes }

  /// Bytes of its rows and of the state that it keeps.
  var byteCount: Int { pool.layout.byteCount + (state?.count ?? 0) }

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
