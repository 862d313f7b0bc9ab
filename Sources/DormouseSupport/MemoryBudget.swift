/// Bytes that several owners may take together, maybe as a part of a larger budget.
public final class MemoryBudget: Sendable {
  /// Gives back what it can spare of the bytes that are missing; `false` when it had nothing.
  public typealias Reclaimer = @Sendable (_ byteCount: UInt64) -> Bool

  private struct State {
    var used: UInt64 = 0
    var peak: UInt64 = 0
    var reclaimers: [Reclaimer] = []
  }

  /// Bytes; nil for no limit.
  public let limit: UInt64?
  private let name: String
  private let parent: MemoryBudget?
  private let state = Locked(State())

  /// - Parameters:
  ///   - limit: bytes; nil for no limit but the parent's.
  ///   - name: what the caller knows the limit as.
  public init(limit: UInt64?, name: String, parent: MemoryBudget? = nil) {
    self.limit = limit
    self.name = name
    self.parent = parent
  }

  public var usedByteCount: UInt64 { state.withLock { $0.used } }
  /// The most that was ever used at a time.
  public var peakByteCount: UInt64 { state.withLock { $0.peak } }

  /// Adds someone to ask before a reservation is refused, for as long as the budget lives.
  public func addReclaimer(_ reclaimer: @escaping Reclaimer) {
    state.withLock { $0.reclaimers.append(reclaimer) }
    parent?.addReclaimer(reclaimer)
  }

  /// Sets bytes aside for as long as the returned reservation lives.
  /// - Parameter isUrgent: whether others are asked to give back what they can spare.
  /// - Throws: `Failure(.outOfMemory)` naming the purpose, the need and what is left.
  public func reserve(
    _ byteCount: UInt64, isUrgent: Bool = true, for purpose: @autoclosure () -> String
  ) throws(Failure) -> Reservation {
    while let available = take(byteCount) {
      guard isUrgent, reclaim(byteCount - min(byteCount, available)) else {
        throw Failure(
          .outOfMemory,
          "\(purpose()): \(byteCount) bytes are needed; \(name) (\(limit ?? 0) bytes) leaves \(available)")
      }
    }
    guard let parent else { return Reservation(budget: self, byteCount: byteCount, parent: nil) }
    do {
      return Reservation(
        budget: self, byteCount: byteCount, parent: try parent.reserve(byteCount, isUrgent: isUrgent, for: purpose()))
    } catch {
      giveBack(byteCount)
      throw error
    }
  }

  /// - Returns: nil, or what is left when it is too little.
  private func take(_ byteCount: UInt64) -> UInt64? {
    state.withLock { state in
      let left = limit.map { $0 - min(state.used, $0) } ?? UInt64.max - state.used
      guard byteCount <= left else { return left }
      state.used += byteCount
      state.peak = max(state.peak, state.used)
      return nil
    }
  }

  private func reclaim(_ byteCount: UInt64) -> Bool {
    let reclaimers = state.withLock { $0.reclaimers }
    return reclaimers.contains { $0(byteCount) }
  }

  private func giveBack(_ byteCount: UInt64) { state.withLock { $0.used -= min($0.used, byteCount) } }

  /// Bytes set aside; given back when this object goes.
  public final class Reservation: Sendable {
    private let budget: MemoryBudget
    private let parent: Reservation?
    public let byteCount: UInt64

    fileprivate init(budget: MemoryBudget, byteCount: UInt64, parent: Reservation?) {
      self.budget = budget
      self.byteCount = byteCount
      self.parent = parent
    }

    deinit { budget.giveBack(byteCount) }
  }
}
