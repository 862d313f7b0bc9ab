import DormouseSupport
import Testing

@Suite struct MemoryBudgetTests {
  /// What the parent refuses is not counted in the child either.
  @Test func aRefusalLeavesBothBudgetsAsTheyWere() throws {
    let parent = MemoryBudget(limit: 100, name: "parent")
    let child = MemoryBudget(limit: 1000, name: "child", parent: parent)
    let held = try child.reserve(60, for: "something")
    let failure = #expect(throws: Failure.self) { _ = try child.reserve(41, for: "more") }
    #expect(failure?.status == .outOfMemory && failure?.message.contains("parent (100 bytes) leaves 40") == true)
    #expect(child.usedByteCount == 60 && parent.usedByteCount == 60)
    _ = try child.reserve(40, for: "the rest")
    withExtendedLifetime(held) {}
  }

  @Test func reservationsGiveBackAtTheirEnd() throws {
    let parent = MemoryBudget(limit: 100, name: "parent")
    let child = MemoryBudget(limit: nil, name: "child", parent: parent)
    do {
      let held = try child.reserve(100, for: "all")
      #expect(child.usedByteCount == 100 && parent.usedByteCount == 100)
      withExtendedLifetime(held) {}
    }
    #expect(child.usedByteCount == 0 && parent.usedByteCount == 0)
  }

  /// Others are asked to give back only what is missing, and only where the need is urgent.
  @Test func reclaimersAreAskedForWhatIsMissing() throws {
    let budget = MemoryBudget(limit: 100, name: "budget")
    let spare = Locked<MemoryBudget.Reservation?>(try budget.reserve(70, for: "spare"))
    let asked = Locked<[UInt64]>([])
    budget.addReclaimer { byteCount in
      asked.withLock { $0.append(byteCount) }
      return spare.withLock { held in
        defer { held = nil }
        return held != nil
      }
    }
    #expect(throws: Failure.self) { _ = try budget.reserve(80, isUrgent: false, for: "something") }
    #expect(asked.withLock { $0 } == [])
    let held = try budget.reserve(80, for: "something")
    #expect(asked.withLock { $0 } == [50])
    #expect(throws: Failure.self) { _ = try budget.reserve(21, for: "too much") }
    withExtendedLifetime(held) {}
  }
}
