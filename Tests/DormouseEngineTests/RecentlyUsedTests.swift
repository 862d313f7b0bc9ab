import DormouseMedia
import Testing

@testable import DormouseEngine

@Suite struct RecentlyUsedTests {
  private let hashes = (0..<4).map { ContentHash([UInt8](repeating: UInt8($0 + 1), count: 8)) }

  /// What was looked at last stays, not what came last.
  @Test func whatWasUsedLongestAgoGoes() {
    var kept = RecentlyUsed<Int>(byteLimit: 2)
    kept.insert(0, hashes[0], byteCount: 1)
    kept.insert(1, hashes[1], byteCount: 1)
    #expect(kept.value(hashes[0]) == 0)
    kept.insert(2, hashes[2], byteCount: 1)
    #expect(kept.value(hashes[0]) == 0 && kept.value(hashes[1]) == nil && kept.value(hashes[2]) == 2)
  }

  /// Bytes are counted once for each content, and what is larger than all does not stay.
  @Test func bytesAreThoseOfWhatIsKept() {
    var kept = RecentlyUsed<Int>(byteLimit: 10)
    for _ in 0..<5 { kept.insert(0, hashes[0], byteCount: 6) }
    kept.insert(1, hashes[1], byteCount: 4)
    #expect(kept.value(hashes[0]) == 0 && kept.value(hashes[1]) == 1)
    kept.insert(2, hashes[2], byteCount: 5)
    #expect(kept.value(hashes[0]) == nil && kept.value(hashes[1]) == 1 && kept.value(hashes[2]) == 2)
    kept.insert(3, hashes[3], byteCount: 11)
    #expect(hashes.allSatisfy { kept.value($0) == nil } && !kept.dropOldest())
  }
}
