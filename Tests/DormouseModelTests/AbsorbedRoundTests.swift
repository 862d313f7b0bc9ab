import DormouseKernels
import Testing

@testable import DormouseModel

/// How the absorbed form's tokens are put into rounds: the scratch memory has places for `slotCount` tokens times spans.
@Suite struct AbsorbedRoundTests {
  private func tokens(_ lengths: [Int]) -> [AbsorbedTokens.Token] {
    let pages = UnsafePointer<UnsafeRawPointer>(bitPattern: 64)
    return lengths.enumerated().compactMap { row, length in
      pages.map {
        AbsorbedTokens.Token(
          row: row, range: 0..<length, positions: nil, cache: CacheRows(type: .float32, rank: 1, rope: 0, pages: $0))
      }
    }
  }

  @Test(arguments: [1, 5, 16, 128], [1, 2, 7])
  func placesSuffice(_ heads: Int, _ threads: Int) {
    var random = SystemRandomNumberGenerator()
    var lists = [1, 64, 65, 256, 1024, 1025, 4096, 131_072].map { Array(repeating: $0, count: 16) }
    for _ in 0..<300 {
      let most = [80, 2000, 6000, 131_072].randomElement(using: &random) ?? 80
      lists.append((0..<Int.random(in: 1...16, using: &random)).map { _ in Int.random(in: 1...most, using: &random) })
    }
    for lengths in lists {
      let tokens = tokens(lengths)
      let round = LatentAttention.Round(tokens[...], heads: heads, threads: threads)
      let count = round.tokens.count
      #expect(count >= 1 && count * round.spans <= LatentAttention.slotCount, "\(lengths)")
      #expect(round.spans <= LatentAttention.roundSize)
      // No token is left out that there would have been room for.
      if count < tokens.count {
        let more = LatentAttention.Round(tokens[count...], heads: heads, threads: threads)
        #expect((count + 1) * max(round.spans, more.spans) > LatentAttention.slotCount, "\(lengths)")
      }
      // Every head and every span belongs to a task.
      #expect(round.groups * round.headsPerGroup >= heads && round.tasksPerGroup * round.spansPerTask >= round.spans)
    }
  }
}
