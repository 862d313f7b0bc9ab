import DormouseSupport
import Testing

@testable import DormouseModel

@Suite struct TopPositionsTests {
  private func picked(_ wanted: Int, of scores: [Float]) -> [Int32] {
    var positions = [Int32](repeating: -1, count: wanted)
    var histogram = [Float](repeating: 0, count: TopPositions.bucketCount)
    TopPositions.pick(wanted, of: scores, count: scores.count, histogram: &histogram, into: &positions)
    return positions
  }

  /// Both zeroes are equal, so that the earlier one wins.
  @Test func zeroesAreEqual() {
    #expect(picked(2, of: [-0.0, 0, 1]) == [0, 2])
    #expect(picked(2, of: [0, -0.0, 1]) == [0, 2])
    #expect(picked(1, of: [-0.0, 0]) == [0])
  }

  /// Against a sort, with many equal scores, infinities and NaN among them.
  @Test func picksWhatASortPicks() {
    var random = SystemRandomNumberGenerator()
    let few: [Float] = [-.infinity, -2, -0.0, 0, 1e-40, 1, 1.0000001, .infinity, .nan]
    for count in [1, 2, 7, 64, 300] {
      let scores = (0..<count).map { _ in few.randomElement(using: &random) ?? 0 }
      for wanted in Set([1, count / 2, count]) where wanted > 0 {
        let order = scores.indices.sorted { left, right in
          let (a, b) = (scores[left], scores[right])
          if a.isNaN || b.isNaN { return a.isNaN != b.isNaN ? a.isNaN : left < right }
          return a != b ? a > b : left < right
        }
        #expect(picked(wanted, of: scores) == order.prefix(wanted).sorted().map { Int32($0) }, "\(scores)")
      }
    }
  }
}
