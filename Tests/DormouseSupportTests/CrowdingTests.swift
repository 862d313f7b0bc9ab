import Testing

@testable import DormouseSupport

@Suite struct CrowdingTests {
  private let millisecond: UInt64 = 1_000_000

  @Test func hiccupsArePutUpWith() {
    var crowding = Crowding()
    for round in 1...100 {
      let start = UInt64(round) * 100 * millisecond
      crowding.stalled(from: start, to: start + Crowding.tolerance / 2)
      let isShared = crowding.allowsSharing(at: start)
      #expect(isShared)
    }
  }

  @Test func hiccupsInQuickSuccessionAreNot() {
    var crowding = Crowding()
    for round in 1...3 {
      let start = 100 * millisecond + UInt64(round) * millisecond
      crowding.stalled(from: start, to: start + Crowding.tolerance / 2)
    }
    let isShared = crowding.allowsSharing(at: 104 * millisecond)
    #expect(!isShared)
  }

  @Test func pausesGrowWhileTroubleLastsAndShrinkAfterwards() {
    var crowding = Crowding()
    var now = 100 * millisecond
    func pauseAfterStall() -> UInt64 {
      let start = now
      now += 3 * millisecond
      crowding.stalled(from: start, to: now)
      let begin = now
      while !crowding.allowsSharing(at: now) { now += millisecond / 4 }
      return now - begin
    }
    let pauses = (0..<7).map { _ in pauseAfterStall() }
    #expect(pauses.first == Crowding.shortestPause)
    #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $1 == min(2 * $0, Crowding.longestPause) })
    #expect(pauses.last == Crowding.longestPause)
    now += 1000 * millisecond
    let later = pauseAfterStall()
    #expect(later == Crowding.shortestPause)
  }

  /// A pool may be told to share during a pause, and clocks may fail.
  @Test func clocksThatGoBackAreHarmless() {
    var crowding = Crowding()
    for (start, end) in [(100, 200), (110, 120), (5, 0), (0, 0), (UInt64.max / millisecond, 1)] as [(UInt64, UInt64)] {
      crowding.stalled(from: start * millisecond, to: end * millisecond)
    }
    let isShared = crowding.allowsSharing(at: 1000 * millisecond)
    #expect(isShared)
  }
}
