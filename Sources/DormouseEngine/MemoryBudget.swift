import DormouseSupport
import Synchronization

/// Bytes that an engine and its sessions may take together.
final class MemoryBudget: Sendable {
  private let limit: UInt64?
  private let used = Mutex<UInt64>(0)

  /// - Parameter limit: bytes; nil for no limit.
  init(limit: UInt64?) { self.limit = limit }

  var usedBytes: UInt64 { used.withLock { $0 } }

  /// Sets bytes aside for as long as the returned reservation lives.
  /// - Throws: `Failure(.outOfMemory)` naming the purpose, the need and what is left.
  func reserve(_ byteCount: UInt64, for purpose: @autoclosure () -> String) throws(Failure) -> Reservation {
    let available: UInt64? = used.withLock { used in
      let left = limit.map { $0 - min(used, $0) } ?? UInt64.max - used
      guard byteCount <= left else { return left }
      used += byteCount
      return nil
    }
    if let available {
      throw Failure(
        .outOfMemory,
        "\(purpose()): \(byteCount) bytes are needed; memory_limit (\(limit ?? 0) bytes) leaves \(available)")
    }
    return Reservation(budget: self, byteCount: byteCount)
  }

  /// Bytes set aside; given back when this object goes.
  final class Reservation: Sendable {
    private let budget: MemoryBudget
    let byteCount: UInt64

    fileprivate init(budget: MemoryBudget, byteCount: UInt64) {
      self.budget = budget
      self.byteCount = byteCount
    }

    deinit { budget.used.withLock { $0 -= byteCount } }
  }
}
