import DormouseKernels
import Glibc
import Testing

/// Absorbed attention, against the plain form with a whole row of scores in double precision.
@Suite struct LatentAttentionTests {
  @Test(arguments: [ElementType.float32, .bfloat16], [1, 2, 31, 32, 33, 100])
  func matchesThePlainForm(type: ElementType, count: Int) {
    for kernels in usableKernels {
      for (heads, rank, rope) in [(1, 1, 1), (3, 7, 2), (4, 64, 16), (5, 512, 64), (13, 33, 0)] {
        check(kernels, type, heads, rank, rope, count, stride: rank + rope + 3, size: 4)
      }
    }
  }

  /// Scores that rise by far from block to block: what was summed before is rescaled, in the end to nothing.
  @Test func risingScores() {
    for kernels in usableKernels { check(kernels, .float32, 4, 16, 4, 200, stride: 20, size: 60) }
  }

  @Test func headsCanBeSplit() {
    let (heads, rank, rope, count) = (10, 40, 8, 50)
    let rows = TestMatrix(.float32, count, rank + rope, seed: 1)
    let query = Random.list(heads * (rank + rope), seed: 2)
    for kernels in usableKernels {
      var whole = [Float](repeating: 0, count: heads * rank)
      var parts = whole
      attend(kernels, query, heads, rows, count, rank, rope, &whole)
      query.withUnsafeBufferPointer { query in
        parts.withUnsafeMutableBufferPointer { out in
          guard let q = query.baseAddress, let o = out.baseAddress else { return }
          for (first, size) in [(0, 3), (3, 7)] {
            kernels.attendLatent(
              query: q + first * (rank + rope), heads: size, rows: rows.matrix.data, rowType: .float32,
              rowStride: rank + rope, count: count, rank: rank, rope: rope, scale: 0.2, into: o + first * rank)
          }
        }
      }
      for i in whole.indices { #expect(isNear(parts[i], Double(whole[i]), magnitude: 1)) }
    }
  }

  @Test func noRowsGiveZeroAndNaNSurfaces() {
    let rows = TestMatrix(.float32, 40, 10, seed: 1)
    let query = Random.list(50, seed: 2)
    for kernels in usableKernels {
      var out = [Float](repeating: 7, count: 40)
      attend(kernels, query, 5, rows, 0, 8, 2, &out)
      #expect(out.allSatisfy { $0 == 0 })
      let broken = TestMatrix(.float32, 40, 10, seed: 1)
      broken.setBits(Float.nan.bitPattern, at: 350)
      attend(kernels, query, 5, broken, 40, 8, 2, &out)
      #expect(out.allSatisfy { $0.isNaN })
      attend(kernels, query, 5, broken, 35, 8, 2, &out)
      #expect(out.allSatisfy { !$0.isNaN })
    }
  }

  private func attend(
    _ kernels: Kernels, _ query: [Float], _ heads: Int, _ rows: TestMatrix, _ count: Int, _ rank: Int, _ rope: Int,
    _ out: inout [Float]
  ) {
    kernels.attendLatent(
      query: query, heads: heads, rows: rows.matrix.data, rowType: rows.type, rowStride: rows.columns, count: count,
      rank: rank, rope: rope, scale: 0.2, into: &out)
  }

  private func check(
    _ kernels: Kernels, _ type: ElementType, _ heads: Int, _ rank: Int, _ rope: Int, _ count: Int, stride: Int,
    size: Float
  ) {
    let width = rank + rope
    let rows = TestMatrix(type, count, stride, seed: count)
    let query = Random.list(heads * width, seed: rank).map { $0 * size }
    var out = [Float](repeating: 7, count: heads * rank + 1)
    attend(kernels, query, heads, rows, count, rank, rope, &out)
    for h in 0..<heads {
      let scores = (0..<count).map { t in
        (0..<width).reduce(0.0) { $0 + Double(query[h * width + $1]) * rows.value(t, $1) } * Double(Float(0.2))
      }
      let top = scores.max() ?? 0
      let weights = scores.map { exp($0 - top) }
      let total = weights.reduce(0, +)
      for c in 0..<rank {
        let expected = (0..<count).reduce(0.0) { $0 + weights[$1] * rows.value($1, c) } / total
        // A score's own error is a relative error of its weight.
        let tolerance = 5e-7 * (1 + Double(size) * Double(width).squareRoot())
        let near = isNear(out[h * rank + c], expected, magnitude: 1, tolerance: tolerance)
        #expect(near, "\(kernels.instructionSet) \(type) head \(h) of \(heads), column \(c) of \(rank), \(count) rows")
        if !near { return }
      }
    }
    #expect(out[heads * rank] == 7)
  }
}
