import DormouseKernels
import Glibc
import Testing

/// Attention over tiles of keys, against the plain form with a whole row of scores in double precision.
@Suite struct TiledAttentionTests {
  struct Sizes {
    var queries: Int
    /// Positions before the first query.
    var past: Int
    var tile: Int
    var width: Int
    var valueWidth: Int
    /// Columns of a tile behind its last key, which hold NaN.
    var spare = 3
  }

  @Test(arguments: [
    Sizes(queries: 1, past: 0, tile: 1, width: 1, valueWidth: 1),
    Sizes(queries: 9, past: 0, tile: 4, width: 3, valueWidth: 5),
    Sizes(queries: 70, past: 3, tile: 16, width: 24, valueWidth: 17),
    Sizes(queries: 130, past: 40, tile: 128, width: 192, valueWidth: 128),
    Sizes(queries: 5, past: 300, tile: 100, width: 20, valueWidth: 64),
    Sizes(queries: 70, past: 9, tile: 37, width: 72, valueWidth: 80, spare: 16),
    Sizes(queries: 67, past: 130, tile: 51, width: 12, valueWidth: 16, spare: 0),
  ])
  func matchesThePlainForm(_ sizes: Sizes) throws {
    for kernels in usableKernels {
      let test = try TiledAttention(sizes)
      test.run(kernels)
      let wrong = test.firstDifference(tolerance: 2e-6 * Double(sizes.width).squareRoot())
      #expect(wrong == nil, "\(kernels.instructionSet) \(sizes): \(wrong ?? "")")
      #expect(test.isWithinBounds)
    }
  }

  /// Masks hide keys, the first tile's among them, and whole tiles.
  @Test(arguments: [
    Sizes(queries: 9, past: 0, tile: 4, width: 3, valueWidth: 5),
    Sizes(queries: 130, past: 40, tile: 128, width: 24, valueWidth: 17),
    Sizes(queries: 70, past: 300, tile: 100, width: 20, valueWidth: 64),
  ])
  func masksHideKeys(_ sizes: Sizes) throws {
    for kernels in usableKernels {
      for hidden in [
        { (query: Int, key: Int) in key <= query - 3 }, { query, key in key != query && (key * 7 + query) % 5 != 0 },
        { query, key in key != query },
      ] {
        let test = try TiledAttention(sizes)
        test.isHidden = hidden
        test.run(kernels)
        let wrong = test.firstDifference(tolerance: 2e-6 * Double(sizes.width).squareRoot())
        #expect(wrong == nil, "\(kernels.instructionSet) \(sizes): \(wrong ?? "")")
        #expect(test.isWithinBounds)
      }
    }
  }

  /// A key that is NaN reaches the queries that see it, and no other.
  @Test func nanSurfaces() throws {
    for kernels in usableKernels {
      let test = try TiledAttention(Sizes(queries: 40, past: 8, tile: 16, width: 8, valueWidth: 16))
      test.keys[20 * 8] = .nan
      test.run(kernels)
      for query in 0..<40 {
        let isNaN = test.out[query * 17..<query * 17 + 16].contains { $0.isNaN }
        #expect(isNaN == (query + 8 >= 20), "\(kernels.instructionSet) query \(query)")
      }
    }
  }
}

private final class TiledAttention {
  let sizes: TiledAttentionTests.Sizes
  let query: [Float]
  /// [past + queries, width].
  var keys: [Float]
  /// [past + queries, valueWidth].
  let values: [Float]
  /// [queries, valueWidth + 1].
  var out: [Float]
  /// Whether the query at a position may not see a key; nil: no mask.
  var isHidden: ((_ query: Int, _ key: Int) -> Bool)?
  private var scratch: [Float]
  private let scratchCount: Int

  init(_ sizes: TiledAttentionTests.Sizes) throws {
    self.sizes = sizes
    let total = sizes.past + sizes.queries
    query = Random.list(sizes.queries * (sizes.width + 1), seed: 1)
    keys = Random.list(total * sizes.width, seed: 2)
    values = Random.list(total * sizes.valueWidth, seed: 3)
    // What memory held before must not matter.
    out = [Float](repeating: .nan, count: sizes.queries * (sizes.valueWidth + 1))
    scratchCount = try Kernels.tileScratchCount(keys: sizes.tile)
    scratch = [Float](repeating: -7, count: scratchCount + 16)
  }

  var isWithinBounds: Bool {
    scratch[scratchCount...].allSatisfy { $0 == -7 }
      && (0..<sizes.queries).allSatisfy { out[$0 * (sizes.valueWidth + 1) + sizes.valueWidth].isNaN }
  }

  func run(_ kernels: Kernels) {
    let total = sizes.past + sizes.queries
    let keyRow = sizes.tile + sizes.spare
    var numbers = [Float](repeating: .nan, count: 2 * sizes.queries)
    numbers.withUnsafeMutableBufferPointer { numbers in
      out.withUnsafeMutableBufferPointer { out in
        guard let tops = numbers.baseAddress, let out = out.baseAddress else { return }
        attend(
          kernels, total, keyRow,
          AttentionSums(
            tops: tops, totals: tops + sizes.queries, out: out, outRow: sizes.valueWidth + 1, count: sizes.queries,
            valueWidth: sizes.valueWidth))
      }
    }
  }

  private func attend(_ kernels: Kernels, _ total: Int, _ keyRow: Int, _ sums: AttentionSums) {
    for start in stride(from: 0, to: total, by: sizes.tile) {
      let count = min(sizes.tile, total - start)
      var transposed = [Float](repeating: .nan, count: sizes.width * keyRow)
      for k in 0..<count {
        for c in 0..<sizes.width { transposed[c * keyRow + k] = keys[(start + k) * sizes.width + c] }
      }
      let tile = Array(values[start * sizes.valueWidth..<(start + count) * sizes.valueWidth])
      let mask = mask(start..<start + count)
      mask.withUnsafeBufferPointer { mask in
        query.withMatrix(rows: sizes.queries, columns: sizes.width, stride: sizes.width + 1) { query in
          transposed.withMatrix(rows: sizes.width, columns: count, stride: keyRow) { keys in
            let queries = TileQueries(
              query, visible: sizes.past + 1 - start, mask: isHidden == nil ? nil : mask.baseAddress, maskWords: 2)
            kernels.attendTile(queries, keys: keys, values: tile, into: sums, scratch: &scratch)
          }
        }
      }
    }
    kernels.finishAttention(sums)
  }

  /// [queries, 2].
  private func mask(_ tile: Range<Int>) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: sizes.queries * 2)
    guard let isHidden else { return words }
    for query in 0..<sizes.queries {
      for key in tile where !isHidden(sizes.past + query, key) {
        let bit = key - tile.lowerBound
        words[query * 2 + bit / 64] |= 1 << UInt64(bit % 64)
      }
    }
    return words
  }

  func firstDifference(tolerance: Double) -> String? {
    for i in 0..<sizes.queries {
      let expected = plain(i)
      for c in 0..<sizes.valueWidth {
        let got = out[i * (sizes.valueWidth + 1) + c]
        if !isNear(got, expected[c], magnitude: 1, tolerance: tolerance) {
          return "query \(i), column \(c): \(got), not \(expected[c])"
        }
      }
    }
    return nil
  }

  /// Query i's result, from all its scores at once.
  private func plain(_ i: Int) -> [Double] {
    let (width, valueWidth) = (sizes.width, sizes.valueWidth)
    let scores: [Double] = (0...sizes.past + i).map { k in
      if isHidden?(sizes.past + i, k) == true { return -.infinity }
      var sum = 0.0
      for c in 0..<width { sum += Double(query[i * (width + 1) + c]) * Double(keys[k * width + c]) }
      return sum
    }
    let top = scores.max() ?? 0
    let weights = scores.map { exp($0 - top) }
    let total = weights.reduce(0, +)
    return (0..<valueWidth).map { c in
      var sum = 0.0
      for k in weights.indices { sum += weights[k] * Double(values[k * valueWidth + c]) }
      return sum / total
    }
  }
}
