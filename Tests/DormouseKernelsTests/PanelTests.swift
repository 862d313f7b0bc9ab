import DormouseKernels
import DormouseSupport
import Testing

/// Packed matrices and rounded activations, against sums in double precision of what both stand for.
@Suite struct PanelTests {
  @Test(arguments: PackedType.allCases)
  func multiplies(type: PackedType) throws {
    for kernels in usableKernels {
      for (rows, columns, count) in [
        (1, 1, 1), (16, 32, 1), (15, 31, 2), (17, 33, 3), (37, 100, 13), (48, 64, 8), (5, 7, 4), (64, 1030, 9),
        (33, 96, 21), (361, 70, 1),
      ] {
        let w = try PackedMatrix(type, rows, columns, kernels: kernels, seed: rows)
        let x = try RoundedRows(Random.list(count * columns, seed: columns), columns: columns, kernels: kernels)
        var y = [Float](repeating: .nan, count: count * rows)
        kernels.multiply(w.matrix, rows: 0..<rows, x: x.rows, count: count, into: &y, yStride: rows)
        for i in 0..<count {
          for r in 0..<rows {
            let (exact, size) = w.product(r, x, i)
            #expect(abs(Double(y[i * rows + r]) - exact) <= 1e-6 * size, "\(kernels.instructionSet) \(rows)x\(columns)")
          }
        }
      }
    }
  }

  /// A row's result is the same bits alone, in any batch, and in any range of rows: within two panels, and over twenty-two,
  /// which one row of x meets eight at a time, the rest in pairs.
  @Test(arguments: PackedType.allCases, [7..<27, 5..<347])
  func resultsDoNotDependOnTheBatch(type: PackedType, range: Range<Int>) throws {
    let (rows, columns, count) = (range.upperBound + 10, 160, 23)
    for kernels in usableKernels {
      let w = try PackedMatrix(type, rows, columns, kernels: kernels, seed: 1)
      let x = try RoundedRows(Random.list(count * columns, seed: 2), columns: columns, kernels: kernels)
      var all = [Float](repeating: .nan, count: count * rows)
      kernels.multiply(w.matrix, rows: 0..<rows, x: x.rows, count: count, into: &all, yStride: rows)
      for i in 0..<count {
        var one = [Float](repeating: .nan, count: range.count)
        kernels.multiply(
          w.matrix, rows: range, x: x.rows.dropFirst(i), count: 1, into: &one, yStride: range.count)
        let same = all[i * rows + range.lowerBound..<i * rows + range.upperBound]
        #expect(one == Array(same), "\(kernels.instructionSet) row \(i)")
      }
    }
  }

  @Test func takesRowsByNumber() throws {
    let (rows, columns) = (16, 64)
    let numbers: [Int32] = [3, 0, 3, 2, 1, 1, 0, 2, 3]
    for kernels in usableKernels {
      let w = try PackedMatrix(.int8, rows, columns, kernels: kernels, seed: 5)
      let x = try RoundedRows(Random.list(4 * columns, seed: 6), columns: columns, kernels: kernels)
      var all = [Float](repeating: .nan, count: 4 * rows)
      kernels.multiply(w.matrix, rows: 0..<rows, x: x.rows, count: 4, into: &all, yStride: rows)
      var chosen = [Float](repeating: .nan, count: numbers.count * rows)
      numbers.withUnsafeBufferPointer { buffer in
        var picked = x.rows
        picked.indices = buffer.baseAddress
        kernels.multiply(w.matrix, rows: 0..<rows, x: picked, count: numbers.count, into: &chosen, yStride: rows)
      }
      for (i, number) in numbers.enumerated() {
        let source = Int(number) * rows
        #expect(Array(chosen[i * rows..<(i + 1) * rows]) == Array(all[source..<source + rows]))
      }
    }
  }

  /// int8 is within half a step of each weight, int4 below the error of rounding to sixteen even steps (Q4_0).
  @Test func keepsCloseToTheWeights() throws {
    let (rows, columns) = (64, 512)
    for kernels in usableKernels {
      let eight = try PackedMatrix(.int8, rows, columns, kernels: kernels, seed: 7, isNormal: true)
      let four = try PackedMatrix(.int4, rows, columns, kernels: kernels, seed: 7, isNormal: true)
      #expect(eight.relativeError < 0.006)
      let even = evenSteps(four.source)
      #expect(four.relativeError < 0.9 * relativeError(even, four.source))
      for group in stride(from: 0, to: eight.source.count, by: 32) {
        let top = eight.source[group..<group + 32].map(abs).max() ?? 0
        let step = Float(eight.scale(row: group / columns, group: group % columns / 32))
        // Rounded upward to a square of whole numbers, the greatest of which is 127.
        #expect(step >= top / 127 * 0.999999 && step <= top / 127 * 1.03)
        for index in group..<group + 32 { #expect(abs(eight.values[index] - eight.source[index]) <= step * 0.5001) }
      }
    }
  }

  /// Every set packs the same bytes: a file of packed weights serves all of them. The hashes are those that
  /// Tests/NEON/panels.c finds for the sets of Arm.
  @Test(arguments: [(PackedType.int8, 6_812_491_481_589_759_594 as UInt64), (.int4, 936_875_748_942_390_644)])
  func packsTheSameWithEverySet(type: PackedType, hash: UInt64) throws {
    let (rows, columns) = (35, 582)
    var state: UInt64 = 1
    let source = (0..<rows * columns).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 40) - (1 << 23)) / 0x1p23
    }
    for kernels in usableKernels {
      let packed = try PackedMatrix(type, rows, columns, source: source, kernels: kernels)
      // FNV-1a.
      let found = packed.bytes.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
      #expect(found == hash, "\(kernels.instructionSet)")
    }
  }

  /// Turned round on the way into panels or out of them, a matrix is the same.
  @Test(arguments: PackedType.allCases, [(1, 1), (17, 33), (48, 64), (131, 20)])
  func turnsRound(type: PackedType, shape: (rows: Int, columns: Int)) throws {
    let (rows, columns) = shape
    for kernels in usableKernels {
      let w = try PackedMatrix(type, rows, columns, kernels: kernels, seed: 12)
      // Room beside each row that stays as it was.
      let yRow = rows + 3
      var y = [Float](repeating: -1, count: columns * yRow)
      kernels.dequantizeTransposed(w.matrix, into: &y, yRow: yRow)
      for c in 0..<columns {
        for r in 0..<yRow { #expect(y[c * yRow + r] == (r < rows ? w.values[r * columns + c] : -1)) }
      }

      let source = (0..<columns * rows).map { w.source[$0 % rows * columns + $0 / rows] }
      // What fills up the scales is never written.
      var bytes = [UInt8](repeating: 0, count: w.bytes.count)
      var scratch = [Float](
        repeating: .nan, count: try kernels.packTransposedScratchCount(rows: columns, columns: rows))
      source.withUnsafeBytes { data in
        guard let base = data.baseAddress else { return }
        let turned = WeightMatrix(elementType: .float32, rows: columns, columns: rows, data: base)
        bytes.withUnsafeMutableBytes { target in
          if let target = target.baseAddress {
            kernels.packTransposed(turned, as: type, into: target, scratch: &scratch)
          }
        }
      }
      let isSame = bytes == w.bytes
      #expect(isSame, "\(kernels.instructionSet)")
    }
  }

  /// int4 stores the level nearest to each weight, in units of the scale that it chose, but for ties in their 256ths.
  @Test func storesTheNearestLevel() throws {
    let levels: [Double] = [-127, -101, -81, -64, -48, -34, -21, -9, 3, 14, 26, 39, 52, 68, 88, 119]
    let (rows, columns) = (48, 320)
    for kernels in usableKernels {
      for isNormal in [false, true] {
        let w = try PackedMatrix(.int4, rows, columns, kernels: kernels, seed: 11, isNormal: isNormal)
        for group in stride(from: 0, to: w.values.count, by: 32) {
          let (values, source) = (w.values[group..<group + 32].map(Double.init), w.source[group..<group + 32])
          let scale = w.scale(row: group / columns, group: group % columns / 32)
          for (value, weight) in zip(values, source) {
            let nearest = levels.map { abs($0 * scale - Double(weight)) }.min() ?? 0
            #expect(abs(value - Double(weight)) <= nearest + abs(scale) / 250, "\(kernels.instructionSet)")
          }
        }
      }
    }
  }

  @Test(arguments: PackedType.allCases)
  func notANumberShows(type: PackedType) throws {
    let (rows, columns) = (20, 64)
    for kernels in usableKernels {
      for bad in [Float.nan, .infinity, -.infinity] {
        var source = Random.list(rows * columns, seed: 8)
        source[3 * columns + 40] = bad
        let w = try PackedMatrix(type, rows, columns, source: source, kernels: kernels)
        let x = try RoundedRows([Float](repeating: 1, count: columns), columns: columns, kernels: kernels)
        var y = [Float](repeating: 0, count: rows)
        kernels.multiply(w.matrix, rows: 0..<rows, x: x.rows, count: 1, into: &y, yStride: rows)
        #expect(y.indices.allSatisfy { y[$0].isNaN == ($0 == 3) })

        var input = [Float](repeating: 1, count: columns)
        input[63] = bad
        let spoilt = try RoundedRows(input, columns: columns, kernels: kernels)
        let good = try PackedMatrix(type, rows, columns, kernels: kernels, seed: 9)
        kernels.multiply(good.matrix, rows: 0..<rows, x: spoilt.rows, count: 1, into: &y, yStride: rows)
        #expect(y.allSatisfy { $0.isNaN })
      }
    }
  }

  /// Scales beyond float16 at both ends, and rows of nothing.
  @Test(arguments: PackedType.allCases)
  func keepsAnyMagnitude(type: PackedType) throws {
    for kernels in usableKernels {
      for scale: Float in [0, 1e-38, 1e-25, 1e-7, 1, 1e9, 1e30] {
        let source = Random.list(5 * 64, seed: 10).map { $0 * scale }
        let w = try PackedMatrix(type, 5, 64, source: source, kernels: kernels)
        if scale >= 1e-25 { #expect(w.relativeError < (type == .int8 ? 0.01 : 0.12), "\(scale)") }
        #expect(w.values.allSatisfy { $0.isFinite })
      }
    }
  }

  @Test func sizesAreChecked() throws {
    let (small, ragged) = (
      try PanelMatrix.byteCount(.int8, rows: 16, columns: 32), try PanelMatrix.byteCount(.int4, rows: 17, columns: 65)
    )
    #expect(small == 64 + 64 + 512)
    #expect(ragged == 2 * (64 + 64 + 3 * 256))
    #expect(throws: Failure.self) { _ = try PanelMatrix.byteCount(.int8, rows: 1 << 40, columns: 1 << 40) }
    #expect(throws: Failure.self) { _ = try PanelMatrix.byteCount(.int8, rows: 1, columns: Int.max) }
  }
}

/// Sixteen even steps as in GGUF's Q4_0: the weight of the greatest magnitude becomes -8.
private func evenSteps(_ weights: [Float]) -> [Float] {
  var result = weights
  for group in stride(from: 0, to: weights.count, by: 32) {
    let part = weights[group..<group + 32]
    let scale = (part.max { abs($0) < abs($1) } ?? 0) / -8
    for index in group..<group + 32 where scale != 0 {
      result[index] = (min(max((weights[index] / scale).rounded(), -8), 7)) * scale
    }
  }
  return result
}

/// A packed matrix that owns its memory, the weights it was made of, and what it stands for.
private struct PackedMatrix {
  let matrix: PanelMatrix
  let source: [Float]
  let values: [Float]
  private let memory: AlignedBuffer

  init(
    _ type: PackedType, _ rows: Int, _ columns: Int, kernels: Kernels, seed: Int, isNormal: Bool = false
  ) throws {
    var source = Random.list(rows * columns, seed: seed)
    if isNormal {
      // The sum of twelve uniform numbers is close enough to a normal one.
      let many = Random.list(12 * rows * columns, seed: seed)
      source = source.indices.map { i in many[12 * i..<12 * i + 12].reduce(0, +) / 2 }
    }
    try self.init(type, rows, columns, source: source, kernels: kernels)
  }

  init(_ type: PackedType, _ rows: Int, _ columns: Int, source: [Float], kernels: Kernels) throws {
    memory = try AlignedBuffer(
      byteCount: PanelMatrix.byteCount(type, rows: rows, columns: columns), for: "a test")
    let target = try #require(memory.bytes.baseAddress)
    let packed = PanelMatrix(type: type, rows: rows, columns: columns, data: UnsafeRawPointer(target))
    // What a wider matrix has left in the memory must not matter.
    var scratch = [Float](repeating: .nan, count: kernels.packScratchCount(columns: columns))
    source.withUnsafeBytes { bytes in
      guard let data = bytes.baseAddress else { return }
      let w = WeightMatrix(elementType: .float32, rows: rows, columns: columns, data: data)
      // In two parts, as threads would.
      kernels.pack(w, panels: 1..<packed.panelCount, as: type, into: target, scratch: &scratch)
      kernels.pack(w, panels: 0..<1, as: type, into: target, scratch: &scratch)
    }
    var values = [Float](repeating: .nan, count: rows * columns)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for row in 0..<rows { kernels.dequantize(packed, row: row, into: base + row * columns) }
    }
    matrix = packed
    self.source = source
    self.values = values
  }

  var relativeError: Double { DormouseKernelsTests.relativeError(values, source) }

  var bytes: [UInt8] { Array(UnsafeRawBufferPointer(memory.bytes)) }

  /// The scale of a group of a row, by the layout in `matrix.h`.
  func scale(row: Int, group: Int) -> Double {
    let panel = matrix.data + row / 16 * matrix.panelByteCount
    let factor = panel.load(fromByteOffset: row % 16 * 4, as: Float.self)
    let root = Double(panel.load(fromByteOffset: 64 + group * 16 + row % 16, as: Int8.self))
    return root * root.magnitude * Double(factor)
  }

  /// The exact product with a row of x, and the sum of its terms' magnitudes.
  func product(_ row: Int, _ x: RoundedRows, _ i: Int) -> (exact: Double, size: Double) {
    var exact = 0.0
    var size = 0.0
    for c in 0..<matrix.columns {
      let term = Double(values[row * matrix.columns + c]) * x.values[i * matrix.columns + c]
      exact += term
      size += abs(term)
    }
    return (exact, size)
  }
}

/// Rounded rows that own their memory, and what they stand for by the rule itself.
private struct RoundedRows {
  let rows: QuantizedRows
  let values: [Double]
  private let memory: AlignedBuffer

  init(_ x: [Float], columns: Int, kernels: Kernels) throws {
    let count = x.count / columns
    memory = try AlignedBuffer(
      byteCount: QuantizedRows.byteCount(columns: columns, capacity: count), for: "a test")
    rows = QuantizedRows(memory: try #require(memory.bytes.baseAddress), columns: columns, capacity: count)
    kernels.quantize(x, xStride: columns, count: count, columns: columns, into: rows)
    var values: [Double] = []
    for row in 0..<count {
      for start in stride(from: 0, to: columns, by: 32) {
        let group = x[row * columns + start..<row * columns + min(start + 32, columns)]
        let top = group.map(abs).max() ?? 0
        values += group.map { Double((Double($0) * Double(127 / top)).rounded(.toNearestOrEven)) * Double(top / 127) }
      }
    }
    self.values = values
  }
}
