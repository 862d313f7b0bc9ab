import DormouseKernels
import Testing

/// Products with transposed weights, against sums in double precision.
@Suite struct TransposedTests {
  @Test(arguments: ElementType.allCases)
  func addsUpRows(type: ElementType) throws {
    for kernels in usableKernels {
      for (rows, columns) in [(1, 1), (3, 17), (4, 128), (9, 257), (5, 1000), (97, 30), (203, 70)] {
        let blocks = TestMatrix.Blocks(storage: .float32, rowBlock: 3, columnBlock: 50, firstRow: 1)
        for w in [
          TestMatrix(type, rows, columns, seed: rows), TestMatrix(type, rows, columns, seed: rows, blocks: blocks),
        ] {
          for count in [1, 5] { try check(kernels, w, count) }
        }
      }
    }
  }

  /// A row's result has the same bits however many there are: alone each takes another way than many.
  @Test(arguments: ElementType.allCases, [BlockScales.Storage.float32, .float8E8M0, nil])
  func rowsDoNotDependOnEachOther(type: ElementType, storage: BlockScales.Storage?) throws {
    for kernels in usableKernels {
      for (rows, columns) in [(1, 33), (96, 64), (131, 70), (200, 257)] {
        let blocks = storage.map { TestMatrix.Blocks(storage: $0, rowBlock: 7, columnBlock: 50, firstRow: 3) }
        let w = TestMatrix(type, rows, columns, seed: rows, blocks: blocks)
        let x = Random.list(16 * rows, seed: 4)
        let all = try product(kernels, w, 0..<rows, x, 16)
        let ahead = try product(kernels, w, 0..<rows, following: rows / 2, x, 1)
        #expect(ahead == Array(all[..<columns]), "what is read ahead changes nothing")
        for (first, count) in [(0, 1), (7, 2), (15, 1), (3, 9)] {
          let some = try product(kernels, w, 0..<rows, Array(x[(first * rows)...]), count)
          #expect(
            some == Array(all[first * columns..<(first + count) * columns]),
            "\(kernels.instructionSet) \(type) \(rows) x \(columns), \(count) rows of x")
        }
      }
    }
  }

  @Test(arguments: ElementType.allCases)
  func nanWeightsSurface(type: ElementType) throws {
    let pattern: UInt32 = type == .float32 ? 0x7FC0_0000 : type == .bfloat16 ? 0xFFC0 : type == .float16 ? 0x7E01 : 0xFF
    for kernels in usableKernels {
      for column in [0, 5, 63, 64, 130, 255, 256, 298, 299] {
        for blocks in [nil, TestMatrix.Blocks(storage: .float32, rowBlock: 1, columnBlock: 128)] {
          let w = TestMatrix(type, 3, 300, seed: 9, blocks: blocks)
          w.setBits(pattern, at: 300 + column)
          for count in [1, 4] {
            let y = try product(kernels, w, 0..<3, (0..<count).flatMap { _ -> [Float] in [1, 0, 1] }, count)
            #expect(y.indices.allSatisfy { y[$0].isNaN == ($0 % 300 == column) })
          }
        }
      }
    }
  }

  private func product(
    _ kernels: Kernels, _ w: TestMatrix, _ rows: Range<Int>, following: Int? = nil, _ x: [Float],
    _ count: Int
  ) throws -> [Float] {
    var y = [Float](repeating: .nan, count: count * w.columns)
    var scratch = [Float](
      repeating: .nan,
      count: try Kernels.transposedScratchCount(rows: rows.count, columns: w.columns, count: count))
    x.withMatrix(rows: count, columns: rows.count, stride: rows.count) { x in
      kernels.multiplyTransposed(
        w.matrix, rows: rows, following: following, x: x, into: &y, stride: w.columns, scratch: &scratch)
    }
    return y
  }

  private func check(_ kernels: Kernels, _ w: TestMatrix, _ count: Int) throws {
    let rows = w.rows > 3 ? 1..<w.rows : 0..<w.rows
    let x = Random.list(count * rows.count, seed: 3)
    let y = try product(kernels, w, rows, x, count)
    for i in 0..<count {
      for c in 0..<w.columns {
        let terms = rows.map { w.value($0, c) * Double(x[i * rows.count + $0 - rows.lowerBound]) }
        let near = isNear(
          y[i * w.columns + c], terms.reduce(0, +), magnitude: terms.reduce(0) { $0 + abs($1) })
        #expect(near, "\(kernels.instructionSet) \(w.type) x \(i), column \(c) of \(w.rows) x \(w.columns)")
        if !near { return }
      }
    }
  }
}
