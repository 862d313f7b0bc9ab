import Testing

@testable import DormouseSupport

@Suite struct ContentionTests {
  private let millisecond: UInt64 = 1_000_000

  @Test func hiccupsArePutUpWith() {
    var contention = Contention()
    for round in 1...100 {
      let start = UInt64(round) * 100 * millisecond
      contention.stalled(from: start, to: start + Contention.tolerance / 2)
      let isShared = contention.allowsSharing(at: start)
      #expect(isShared)
    }
  }

  @Test func hiccupsInQuickSuccessionAreNot() {
    var contention = Contention()
    for round in 1...3 {
      let start = 100 * millisecond + UInt64(round) * millisecond
      contention.stalled(from: start, to: start + Contention.tolerance / 2)
    }
    let isShared = contention.allowsSharing(at: 104 * millisecond)
    #expect(!isShared)
  }

  @Test func pausesGrowWhileTroubleLastsAndShrinkAfterwards() {
    var contention = Contention()
    var now = 100 * millisecond
    func pauseAfterStall() -> UInt64 {
      let start = now
      now += 3 * millisecond
      contention.stalled(from: start, to: now)
      let begin = now
      while !contention.allowsSharing(at: now) { now += millisecond / 4 }
      return now - begin
    }
    let pauses = (0..<7).map { _ in pauseAfterStall() }
    #expect(pauses.first == Contention.shortestPause)
    #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $1 == min(2 * $0, Contention.longestPause) })
    #expect(pauses.last == Contention.longestPause)
    now += 1000 * millisecond
    let later = pauseAfterStall()
    #expect(later == Contention.shortestPause)
  }

  /// A pool may be told to share during a pause, and clocks may fail.
  @Test func clocksThatGoBackAreHarmless() {
    var contention = Contention()
    for (start, end) in [(100, 200), (110, 120), (5, 0), (0, 0), (UInt64.max / millisecond, 1)] as [(UInt64, UInt64)] {
      contention.stalled(from: start * millisecond, to: end * millisecond)
    }
    let isShared = contention.allowsSharing(at: 1000 * millisecond)
    #expect(isShared)
  }
}
