import DormouseKernels
import DormouseSupport
import Testing

/// All products with weights, against sums in double precision.
@Suite struct MatrixTests {
  @Test(arguments: ElementType.allCases)
  func multipliesVectors(type: ElementType) {
    for kernels in usableKernels {
      for columns in awkwardCounts {
        for count in [1, 2, 3, 4, 5] { check(kernels, TestMatrix(type, 5, columns, seed: columns), count) }
      }
    }
  }

  /// A result has the same bits whatever the number of x and the rows beside it, while few x go the same way.
  @Test(arguments: ElementType.allCases)
  func fewVectorsDoNotDependOnEachOther(type: ElementType) {
    for kernels in usableKernels {
      for columns in [1, 63, 200, 1030] {
        let blocks = TestMatrix.Blocks(storage: .float32, rowBlock: 4, columnBlock: 50, firstRow: 3)
        let w = TestMatrix(type, 7, columns, seed: columns, blocks: type == .float8E4M3 ? blocks : nil)
        let most = kernels.matrixCount(columns: columns) - 1
        let x = Random.list(most * columns, seed: 14)
        let all = product(kernels, w, x, most)
        for count in 1...8 { #expect(product(kernels, w, x, count) == Array(all[..<(count * 7)])) }
        for row in 0..<7 {
          var y: [Float] = [0]
          kernels.multiply(
            w.matrix, rows: row..<row + 1, following: 6 - row, x: x, xStride: columns, count: 1, into: &y, yStride: 1)
          #expect(y[0] == all[row])
        }
      }
    }
  }

  /// A huge or tiny scale keeps the range as well.
  @Test(arguments: [Float(0x1p100), 0x1p-100])
  func keepsTheRangeOfScales(scale: Float) {
    let bytes: [UInt8] = [0x01, 0x38, 0x7E, 0x81, 0xB8]
    let x: [Float] = [1, -1, 0.5, 3, 2].map { $0 / scale }
    let sum: Float = 0x1p-9 - 1 + 224 - 3 * 0x1p-9 - 2
    for kernels in usableKernels {
      withUnsafePointer(to: scale) { scales in
        let w = WeightMatrix(
          elementType: .float8E4M3, rows: 1, columns: 5, data: bytes,
          scales: BlockScales(storage: .float32, data: scales, columns: 1, rowBlock: 1, columnBlock: 128))
        for count in [1, 8] {
          let xs = [[Float]](repeating: x, count: count).flatMap { $0 }
          for y in products(kernels, w, xs, count) {
            #expect(y.allSatisfy { abs($0 - sum) <= abs(sum) * 1e-6 }, "\(kernels.instructionSet) \(count)")
          }
        }
      }
    }
  }

  /// The number of x decides which kernel runs; rows and x fill its tiles or not.
  @Test(arguments: ElementType.allCases)
  func multipliesMatrices(type: ElementType) {
    for kernels in usableKernels {
      for (rows, columns, count) in [
        (4, 32, 8), (5, 33, 9), (7, 129, 12), (3, 257, 13), (16, 1, 17), (6, 1030, 11), (9, 2051, 8), (2, 40, 97),
        (5, 70, 205), (32, 257, 20), (40, 130, 11), (48, 80, 31),
      ] {
        check(kernels, TestMatrix(type, rows, columns, seed: rows), count)
      }
    }
  }

  /// Packed before or within, in any task and beside any other rows of x: the same bits.
  @Test(arguments: ElementType.allCases)
  func manyVectorsDoNotDependOnEachOther(type: ElementType) {
    for kernels in usableKernels {
      for (rows, columns, count) in [(5, 33, 9), (16, 300, 13), (37, 530, 25), (64, 257, 40), (33, 70, 600)] {
        let blocks = TestMatrix.Blocks(storage: .float32, rowBlock: 12, columnBlock: 50, firstRow: 3)
        let w = TestMatrix(type, rows, columns, seed: columns, blocks: type == .float8E4M3 ? blocks : nil)
        let x = Random.list(count * columns, seed: 15)
        let all = products(kernels, w, x, count)[1]
        var packed = [Float](repeating: 0, count: count * columns)
        kernels.packActivations(x, xStride: columns, count: count, columns: columns, into: &packed)
        for range in [0..<rows, 3..<rows, 0..<rows - 4] {
          var y = [Float](repeating: 0, count: count * range.count)
          kernels.multiply(
            w.matrix, rows: range, packed: packed, count: count, into: &y, yStride: range.count)
          #expect(
            (0..<count).allSatisfy { i in
              range.allSatisfy { r in
                y[i * range.count + r - range.lowerBound] == all[i * rows + r]
              }
            })
        }
        #expect(products(kernels, w, x, 8)[1] == Array(all[..<(8 * rows)]))
        if count >= kernels.matrixCount(columns: columns) { #expect(product(kernels, w, x, count) == all) }
      }
    }
  }

  @Test(arguments: [BlockScales.Storage.float32, .float8E8M0], [1, 4, 9])
  func multipliesScaledBlocks(storage: BlockScales.Storage, count: Int) {
    for kernels in usableKernels {
      for (rowBlock, columnBlock) in [(128, 128), (1, 1), (3, 5), (2, 32), (7, 100), (1, 4096)] {
        for columns in [1, 31, 128, 129, 300, 1100] {
          let blocks = TestMatrix.Blocks(storage: storage, rowBlock: rowBlock, columnBlock: columnBlock, firstRow: 2)
          check(kernels, TestMatrix(.float8E4M3, 9, columns, seed: columns, blocks: blocks), count)
        }
      }
    }
  }

  /// Scales are not tied to float8.
  @Test func multipliesScaledBlocksOfOtherTypes() {
    for kernels in usableKernels {
      for type in ElementType.allCases {
        let blocks = TestMatrix.Blocks(storage: .float32, rowBlock: 2, columnBlock: 24)
        check(kernels, TestMatrix(type, 5, 100, seed: 1, blocks: blocks), 3)
      }
    }
  }

  @Test func multipliesSlices() {
    let blocks = TestMatrix.Blocks(storage: .float32, rowBlock: 4, columnBlock: 16)
    let whole = TestMatrix(.float8E4M3, 11, 40, seed: 3, blocks: blocks)
    let x = Random.list(40, seed: 4)
    for kernels in usableKernels {
      var all = [Float](repeating: 0, count: 11)
      var part = [Float](repeating: 0, count: 5)
      kernels.multiply(whole.matrix, rows: 0..<11, x: x, xStride: 40, count: 1, into: &all, yStride: 11)
      let slice = whole.matrix.slice(rows: 2..<9).slice(rows: 1..<6)
      #expect(slice.rows == 5)
      kernels.multiply(slice, rows: 0..<5, x: x, xStride: 40, count: 1, into: &part, yStride: 5)
      #expect(part == Array(all[3..<8]))
    }
    #expect(whole.matrix.slice(rows: 9..<50).rows == 2)
    #expect(whole.matrix.slice(rows: 20..<50).rows == 0)
  }

  @Test(arguments: [1, 6, 30, 70])
  func sharesRowsOverAPool(count: Int) throws {
    let pool = try ThreadPool(threadCount: 3)
    let w = TestMatrix(.bfloat16, 203, 65, seed: 5)
    let x = Random.list(count * 65, seed: 6)
    for kernels in usableKernels {
      var alone = [Float](repeating: 0, count: count * 203)
      var shared = alone
      kernels.multiply(w.matrix, rows: 0..<203, x: x, xStride: 65, count: count, into: &alone, yStride: 203)
      kernels.multiply(w.matrix, x: x, count: count, into: &shared, pool: pool)
      #expect(alone == shared)
    }
  }

  @Test(arguments: ElementType.allCases)
  func dequantizesExactly(type: ElementType) {
    let blocks = TestMatrix.Blocks(storage: .float8E8M0, rowBlock: 2, columnBlock: 9)
    for kernels in usableKernels {
      for w in [TestMatrix(type, 3, 131, seed: 7), TestMatrix(type, 3, 131, seed: 7, blocks: blocks)] {
        var y = [Float](repeating: 0, count: 131)
        for r in 0..<3 {
          kernels.dequantize(w.matrix, row: r, into: &y)
          #expect((0..<131).allSatisfy { Double(y[$0]) == w.value(r, $0) })
        }
      }
    }
  }

  /// The sum of float8 products keeps its accuracy where activations or scales are huge or tiny.
  @Test(arguments: [Float(1e30), 1e-30, 1])
  func keepsTheRangeOfFloat8(size: Float) {
    for kernels in usableKernels {
      for count in [1, 4, 9] {
        check(kernels, TestMatrix(.float8E4M3, 3, 200, seed: 8), count, size: size)
      }
    }
  }

  @Test(arguments: ElementType.allCases)
  func nanWeightsSurface(type: ElementType) {
    let pattern: UInt32 = type == .float32 ? 0x7FC0_0000 : type == .bfloat16 ? 0xFFC0 : type == .float16 ? 0x7E01 : 0xFF
    for kernels in usableKernels {
      for column in [0, 5, 63, 64, 130, 255, 256, 298, 299] {
        for blocks in [nil, TestMatrix.Blocks(storage: .float32, rowBlock: 1, columnBlock: 128)] {
          let w = TestMatrix(type, 3, 300, seed: 9, blocks: blocks)
          w.setBits(pattern, at: 300 + column)
          for count in [1, 4, 9] {
            for y in products(kernels, w, Random.list(300 * count, seed: 10), count) {
              #expect((0..<count).allSatisfy { !y[3 * $0].isNaN && y[3 * $0 + 1].isNaN && !y[3 * $0 + 2].isNaN })
            }
          }
          var row = [Float](repeating: 0, count: 300)
          kernels.dequantize(w.matrix, row: 1, into: &row)
          #expect(row.indices.allSatisfy { row[$0].isNaN == ($0 == column) })
        }
      }
    }
  }

  /// The same where whole vectors of rows are decoded together.
  @Test(arguments: ElementType.allCases)
  func nanWeightsSurfaceAmongManyRows(type: ElementType) {
    let pattern: UInt32 = type == .float32 ? 0x7FC0_0000 : type == .bfloat16 ? 0xFFC0 : type == .float16 ? 0x7E01 : 0x7F
    for kernels in usableKernels {
      for (row, column) in [(0, 0), (17, 130), (38, 299), (39, 255)] {
        let blocks = TestMatrix.Blocks(storage: .float32, rowBlock: 32, columnBlock: 128)
        let w = TestMatrix(type, 40, 300, seed: 9, blocks: blocks)
        w.setBits(pattern, at: row * 300 + column)
        for count in [1, 9] {
          for y in products(kernels, w, Random.list(300 * count, seed: 10), count) {
            #expect(y.indices.allSatisfy { y[$0].isNaN == ($0 % 40 == row) })
          }
        }
      }
    }
  }

  @Test func infinitiesPassThrough() {
    for kernels in usableKernels {
      for (type, pattern) in [(ElementType.float32, UInt32(0xFF80_0000)), (.bfloat16, 0xFF80), (.float16, 0xFC00)] {
        let w = TestMatrix(type, 1, 100, seed: 11)
        w.setBits(pattern, at: 40)
        for count in [1, 4, 9] {
          for y in products(kernels, w, [Float](repeating: 1, count: 100 * count), count) {
            #expect(y.allSatisfy { $0 == -.infinity })
          }
        }
      }
    }
  }

  @Test func leavesTheRestOfTheOutputAlone() {
    for kernels in usableKernels {
      for count in [1, 4, 9] {
        let w = TestMatrix(.float32, 5, 20, seed: 12)
        var y = [Float](repeating: 77, count: count * 8)
        let x = Random.list(count * 23, seed: 13)
        kernels.multiply(w.matrix, rows: 1..<4, x: x, xStride: 23, count: count, into: &y, yStride: 8)
        #expect(y.indices.allSatisfy { ($0 % 8 < 3) == (y[$0] != 77) })
      }
    }
  }

  @Test func nothingToDo() {
    for kernels in usableKernels {
      var y: [Float] = [7]
      kernels.multiply(
        TestMatrix(.float32, 3, 0, seed: 1).matrix, rows: 1..<2, x: [], xStride: 0, count: 1, into: &y, yStride: 1)
      #expect(y == [0])
      kernels.multiply(
        TestMatrix(.float32, 3, 4, seed: 1).matrix, rows: 3..<9, x: [], xStride: 0, count: 1, into: &y, yStride: 1)
      #expect(y == [0])
    }
  }

  private func product(_ kernels: Kernels, _ w: TestMatrix, _ x: [Float], _ count: Int) -> [Float] {
    products(kernels, w.matrix, x, count)[0]
  }

  private func products(_ kernels: Kernels, _ w: TestMatrix, _ x: [Float], _ count: Int) -> [[Float]] {
    products(kernels, w.matrix, x, count)
  }

  /// By the kernel that the number of x chooses, and by the one for many x.
  private func products(_ kernels: Kernels, _ w: WeightMatrix, _ x: [Float], _ count: Int) -> [[Float]] {
    var y = [Float](repeating: 0, count: count * w.rows)
    kernels.multiply(w, rows: 0..<w.rows, x: x, xStride: w.columns, count: count, into: &y, yStride: w.rows)
    var packed = [Float](repeating: 0, count: count * w.columns)
    kernels.packActivations(x, xStride: w.columns, count: count, columns: w.columns, into: &packed)
    var z = [Float](repeating: 0, count: count * w.rows)
    kernels.multiply(w, rows: 0..<w.rows, packed: packed, count: count, into: &z, yStride: w.rows)
    return [y, z]
  }

  private func check(_ kernels: Kernels, _ w: TestMatrix, _ count: Int, size: Float = 1) {
    let x = Random.list(count * w.columns, seed: 2).map { $0 * size }
    let both = products(kernels, w, x, count)
    for r in 0..<w.rows {
      let row = (0..<w.columns).map { w.value(r, $0) }
      for i in 0..<count {
        let terms = row.indices.map { row[$0] * Double(x[i * w.columns + $0]) }
        let (sum, magnitude) = (terms.reduce(0, +), terms.reduce(0) { $0 + abs($1) })
        let near = both.allSatisfy { isNear($0[i * w.rows + r], sum, magnitude: magnitude) }
        #expect(near, "\(kernels.instructionSet) \(w.type) row \(r) of \(w.rows) x \(w.columns), x \(i) of \(count)")
        if !near { return }
      }
    }
  }
}

extension Random {
  static func list(_ count: Int, seed: Int) -> [Float] {
    var random = Random(seed)
    return random.numbers(count)
  }
}
