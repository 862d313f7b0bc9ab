import DormouseKernels
import Testing

/// Products of float32 matrices and their transposition, against plain loops.
@Suite struct OuterProductTests {
  /// Rows, columns and depths around every tile and block, and others that fit none.
  @Test(arguments: [
    (1, 1, 1), (3, 5, 7), (4, 64, 96), (9, 79, 97), (8, 16, 400), (17, 33, 2), (12, 130, 193), (2, 3, 0),
  ])
  func matchesPlainLoops(_ sizes: (rows: Int, columns: Int, depth: Int)) {
    let (rows, columns, depth) = sizes
    let (aRow, bRow, cRow) = (depth + 3, columns + 2, columns + 1)
    let a = Random.list(max(rows * aRow, depth * (rows + 1)), seed: rows)
    let b = Random.list(max(1, depth * bRow), seed: columns)
    let before = Random.list(rows * cRow, seed: depth)
    for kernels in usableKernels {
      for accumulate in [false, true] {
        for isTransposed in [false, true] {
          var c = before
          let (row, step) = isTransposed ? (1, rows + 1) : (aRow, 1)
          a.withMatrix(rows: rows, columns: depth, stride: row) { a in
            b.withMatrix(rows: depth, columns: columns, stride: bRow) { b in
              kernels.multiplyOuter(a, aStep: step, b, into: &c, stride: cRow, accumulate: accumulate)
            }
          }
          for i in 0..<rows {
            for j in 0..<columns {
              var expected = accumulate ? Double(before[i * cRow + j]) : 0
              for k in 0..<depth { expected += Double(a[i * row + k * step]) * Double(b[k * bRow + j]) }
              let near = isNear(c[i * cRow + j], expected, magnitude: 1 + Double(depth))
              #expect(near, "\(kernels.instructionSet) (\(i), \(j)) of \(sizes), added: \(accumulate)")
              if !near { return }
            }
            #expect(c[i * cRow + columns] == before[i * cRow + columns])
          }
        }
      }
    }
  }

  @Test(arguments: [(1, 1), (3, 9), (4, 4), (8, 5), (13, 66)])
  func transposes(_ sizes: (rows: Int, columns: Int)) {
    let (rows, columns) = sizes
    let x = Random.list(rows * (columns + 1), seed: 1)
    for kernels in usableKernels {
      var out = [Float](repeating: 7, count: columns * (rows + 2))
      kernels.transpose(x, xRow: columns + 1, rows: rows, columns: columns, into: &out, outRow: rows + 2)
      for c in 0..<columns {
        for r in 0..<rows { #expect(out[c * (rows + 2) + r] == x[r * (columns + 1) + c]) }
        #expect(out[c * (rows + 2) + rows] == 7)
      }
    }
  }
}
