import DormouseKernels
import Glibc
import Testing

/// Absorbed attention, against the plain form with a whole row of scores in double precision.
@Suite struct LatentAttentionTests {
  @Test(arguments: CacheRowType.allCases, [1, 31, 32, 33, 64, 65, 200])
  func matchesThePlainForm(type: CacheRowType, count: Int) throws {
    for kernels in usableKernels {
      for (heads, rank, rope) in [(1, 1, 0), (1, 1, 2), (3, 7, 2), (16, 16, 64), (17, 512, 0), (5, 33, 64)] {
        try check(kernels, type, heads, rank, rope, count)
      }
    }
  }

  @Test(arguments: CacheRowType.allCases)
  func manyRows(type: CacheRowType) throws {
    for kernels in usableKernels { try check(kernels, type, 16, 512, 64, 1000) }
  }

  /// Scores that rise by far from block to block: what was summed before is rescaled, in the end to nothing.
  @Test func risingScores() throws {
    for kernels in usableKernels { try check(kernels, .float32, 4, 16, 4, 200, size: 60) }
  }

  /// A first block whose scores are all -infinity counts for nothing, and makes no NaN.
  @Test(arguments: [1, 16]) func scoresOfMinusInfinityCountForNothing(_ heads: Int) {
    let (rank, rope, count) = (16, 4, 150)
    for kernels in usableKernels {
      var values = Random.list(count * (rank + rope), seed: 1)
      // The first rotated channel of the rows of the first block, and of one behind it.
      for row in Array(0..<64) + [100] { values[row * (rank + rope) + rank] = -.infinity }
      var query = Random.list(heads * (rank + rope), seed: 2)
      for head in 0..<heads { query[head * (rank + rope) + rank] = 1 }
      let rows = TestRows(kernels, .float32, values, rank: rank, rope: rope)
      let kept = (64..<count).filter { $0 != 100 }
      let others = TestRows(
        kernels, .float32, kept.flatMap { Array(values[$0 * (rank + rope)..<($0 + 1) * (rank + rope)]) }, rank: rank,
        rope: rope)
      func attended(_ rows: TestRows) -> [Float] {
        var out = [Float](repeating: .nan, count: heads * rank)
        kernels.attendLatent(query: query, heads: heads, rows: rows.rows, count: rows.count, scale: 0.3, into: &out)
        return out
      }
      let (found, wanted) = (attended(rows), attended(others))
      #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-5 }, "\(kernels.instructionSet)")
    }
  }

  /// Spans of rows joined are the whole, whatever their lengths; the scratch memory is as large as it is said to be.
  @Test(arguments: [[50], [1, 49], [20, 20, 10], [3, 4, 5, 6, 7, 25]])
  func spansCanBeJoined(_ lengths: [Int]) throws {
    let (heads, rank, rope) = (18, 40, 8)
    for kernels in usableKernels {
      let rows = TestRows(kernels, .bfloat16, Random.list(50 * (rank + rope), seed: 1), rank: rank, rope: rope)
      let query = Random.list(heads * (rank + rope), seed: 2).map { $0 * 4 }
      let size = try Kernels.latentScratchCount(heads: heads, rank: rank, rope: rope)
      var scratch = [Float](repeating: 0, count: size + 16)
      scratch.replaceSubrange(size..., with: repeatElement(-7, count: 16))
      let stride = heads * (rank + 2)
      var partials = [Float](repeating: .nan, count: lengths.count * stride)
      var out = [Float](repeating: .nan, count: heads * rank)
      partials.withUnsafeMutableBufferPointer { partials in
        guard let base = partials.baseAddress else { return }
        var first = 0
        for (span, length) in lengths.enumerated() {
          kernels.attendLatent(
            query: query, scale: 0.2,
            over: LatentSpans(rows: rows.rows, range: first..<first + length, length: length),
            into: LatentPartials(base + span * stride, stride: stride, heads: heads, rank: rank), scratch: &scratch)
          first += length
        }
        out.withUnsafeMutableBufferPointer { out in
          guard let target = out.baseAddress else { return }
          for head in 0..<heads {
            kernels.combineLatent(
              LatentPartials(base, stride: stride, heads: heads, rank: rank), spans: lengths.count, head: head,
              into: target + head * rank)
          }
        }
      }
      #expect(scratch[size...].allSatisfy { $0 == -7 })
      expectPlain(kernels, out, query, heads, rows, 50, tolerance: 1e-5)
    }
  }

  /// Several spans of one call are worth what each is worth alone, to the bit, and nothing is written between them.
  @Test(arguments: CacheRowType.allCases, [3, 64, 65, 128, 150, 151])
  func spansOfOneCallAreThoseOfSeveral(type: CacheRowType, length: Int) throws {
    let (heads, rank, rope, count) = (5, 40, 8, 150)
    let spans = (count + length - 1) / length
    let partialCount = heads * (rank + 2)
    let stride = partialCount + 3
    for kernels in usableKernels {
      let rows = TestRows(kernels, type, Random.list(count * (rank + rope), seed: 1), rank: rank, rope: rope)
      let query = Random.list(heads * (rank + rope), seed: 2).map { $0 * 4 }
      var scratch = [Float](
        repeating: 0, count: try Kernels.latentScratchCount(heads: heads, rank: rank, rope: rope))
      var together = [Float](repeating: -7, count: spans * stride)
      together.withPartials(stride: stride, heads: heads, rank: rank) { partials in
        kernels.attendLatent(
          query: query, scale: 0.2, over: LatentSpans(rows: rows.rows, range: 0..<count, length: length),
          into: partials, scratch: &scratch)
      }
      for span in 0..<spans {
        var alone = [Float](repeating: .nan, count: partialCount)
        let range = span * length..<min((span + 1) * length, count)
        alone.withPartials(stride: partialCount, heads: heads, rank: rank) { partials in
          kernels.attendLatent(
            query: query, scale: 0.2, over: LatentSpans(rows: rows.rows, range: range, length: range.count),
            into: partials, scratch: &scratch)
        }
        #expect(Array(together[span * stride..<span * stride + partialCount]) == alone)
        #expect(together[span * stride + partialCount..<(span + 1) * stride].allSatisfy { $0 == -7 })
      }
    }
  }

  /// Rows at positions of a list are attended to as the same rows in a cache of their own.
  @Test(arguments: CacheRowType.allCases, [1, 15, 64, 65, 130])
  func rowsOfAListAreGathered(type: CacheRowType, count: Int) throws {
    let (heads, rank, rope, total) = (18, 40, 8, 300)
    let positions = (0..<count).map { Int32($0 * total / count) }
    for kernels in usableKernels {
      let values = Random.list(total * (rank + rope), seed: 5)
      let rows = TestRows(kernels, type, values, rank: rank, rope: rope)
      let picked = positions.flatMap { values[Int($0) * (rank + rope)..<(Int($0) + 1) * (rank + rope)] }
      let own = TestRows(kernels, type, picked, rank: rank, rope: rope)
      let query = Random.list(heads * (rank + rope), seed: 6).map { $0 * 4 }
      var scratch = [Float](
        repeating: 0, count: try Kernels.latentScratchCount(heads: heads, rank: rank, rope: rope))
      var partial = [Float](repeating: .nan, count: heads * (rank + 2))
      var out = [Float](repeating: .nan, count: heads * rank)
      partial.withPartials(stride: heads * (rank + 2), heads: heads, rank: rank) { partials in
        positions.withUnsafeBufferPointer { positions in
          kernels.attendLatent(
            query: query, scale: 0.2,
            over: LatentSpans(rows: rows.rows, range: 0..<count, length: count, positions: positions.baseAddress),
            into: partials, scratch: &scratch)
        }
        out.withUnsafeMutableBufferPointer { out in
          guard let target = out.baseAddress else { return }
          for head in 0..<heads {
            kernels.combineLatent(partials, spans: 1, head: head, into: target + head * rank)
          }
        }
      }
      expectPlain(kernels, out, query, heads, own, count, tolerance: 1e-5)
    }
  }

  @Test func noRowsGiveZeroAndNaNSurfaces() {
    var values = Random.list(400, seed: 1)
    let query = Random.list(50, seed: 2)
    for kernels in usableKernels {
      var out = [Float](repeating: 7, count: 40)
      let rows = TestRows(kernels, .float32, values, rank: 8, rope: 2)
      kernels.attendLatent(query: query, heads: 5, rows: rows.rows, count: 0, scale: 0.2, into: &out)
      #expect(out.allSatisfy { $0 == 0 })
    }
    values[350] = .nan
    for kernels in usableKernels {
      for type in CacheRowType.allCases {
        var out = [Float](repeating: 7, count: 40)
        let rows = TestRows(kernels, type, values, rank: 8, rope: 2)
        kernels.attendLatent(query: query, heads: 5, rows: rows.rows, count: 40, scale: 0.2, into: &out)
        #expect(out.allSatisfy { $0.isNaN })
        kernels.attendLatent(query: query, heads: 5, rows: rows.rows, count: 35, scale: 0.2, into: &out)
        #expect(out.allSatisfy { !$0.isNaN })
      }
    }
  }

  private func check(
    _ kernels: Kernels, _ type: CacheRowType, _ heads: Int, _ rank: Int, _ rope: Int, _ count: Int, size: Float = 4
  ) throws {
    let width = rank + rope
    let rows = TestRows(kernels, type, Random.list(count * width, seed: count), rank: rank, rope: rope)
    let query = Random.list(heads * width, seed: rank).map { $0 * size }
    var out = [Float](repeating: 7, count: heads * rank + 1)
    kernels.attendLatent(query: query, heads: heads, rows: rows.rows, count: count, scale: 0.2, into: &out)
    // A score's own error is a relative error of its weight.
    let tolerance = 5e-7 * (1 + Double(size) * Double(width).squareRoot())
    expectPlain(kernels, out, query, heads, rows, count, tolerance: tolerance)
    #expect(out[heads * rank] == 7)
  }

  private func expectPlain(
    _ kernels: Kernels, _ out: [Float], _ query: [Float], _ heads: Int, _ rows: TestRows, _ count: Int,
    tolerance: Double
  ) {
    let (rank, width) = (rows.rank, rows.rank + rows.rope)
    // AVX-512 rounds what it multiplies to bfloat16 where the rows are rounded already: queries and rows here, and the
    // weights, whose share of the result is off by 2^-9 at most.
    let isPaired = kernels.instructionSet == .avx512 && rows.type != .float32 && width % 2 == 0
    let rounded = { (x: Double) -> Double in isPaired ? Double(Self.bfloat16(Float(x))) : x }
    let tolerance = tolerance + (isPaired ? 0x1p-9 : 0)
    let values: [[Double]] = (0..<count).map { t in (0..<width).map { c in rounded(rows.value(t, c)) } }
    let scale: Float = 0.2
    for h in 0..<heads {
      let scaled: [Double] = query[h * width..<(h + 1) * width].map { q in
        isPaired ? rounded(Double(q * scale)) : Double(q) * Double(scale)
      }
      let scores: [Double] = values.map { row in
        var sum = 0.0
        for c in 0..<width { sum += scaled[c] * row[c] }
        return sum
      }
      let top = scores.max() ?? 0
      let weights = scores.map { exp($0 - top) }
      let total = weights.reduce(0, +)
      for c in 0..<rank {
        var expected = 0.0
        for t in 0..<count { expected += weights[t] * values[t][c] / total }
        let near = isNear(out[h * rank + c], expected, magnitude: 1, tolerance: tolerance)
        #expect(near, "\(kernels.instructionSet) \(rows.type) head \(h) of \(heads), column \(c) of \(rank), \(count)")
        if !near { return }
      }
    }
  }

  /// To nearest, ties to even.
  private static func bfloat16(_ x: Float) -> Float {
    let bits = x.bitPattern
    return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
  }
}
