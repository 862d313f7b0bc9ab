import DormouseKernels
import Glibc
import Testing

/// How cache rows are stored, against the definition of each type.
@Suite struct CacheRowsTests {
  @Test(arguments: CacheRowType.allCases)
  func sizeIsItsFormula(_ type: CacheRowType) {
    for (rank, rope) in [(1, 0), (7, 2), (16, 64), (512, 64)] {
      #expect(type.byteCount(rank: rank, rope: rope) == TestRows.size(type, rank, rope))
    }
    #expect(type.byteCount(rank: -1, rope: 0) == nil)
    #expect(type.byteCount(rank: 1, rope: .max) == nil)
    // A byte a value would be 576; the scale and the 16 bits of the rotated key make it 644.
    #expect(CacheRowType.int8.byteCount(rank: 512, rope: 64) == 644)
  }

  @Test(arguments: CacheRowType.allCases, [(1, 0), (1, 2), (7, 2), (16, 64), (33, 0), (512, 64)])
  func roundsToNearest(_ type: CacheRowType, _ sizes: (rank: Int, rope: Int)) {
    let (rank, rope) = sizes
    let values = Random.list(5 * (rank + rope), seed: rank).map { $0 * 3 }
    for kernels in usableKernels {
      let rows = TestRows(kernels, type, values, rank: rank, rope: rope)
      #expect(rows.isWithinBounds)
      for t in 0..<5 {
        let row = values[t * (rank + rope)..<(t + 1) * (rank + rope)].map { Double($0) }
        let step = (row[..<rank].map { abs($0) }.max() ?? 0) / 127
        for c in row.indices {
          let bound =
            switch type {
            case .float32: 0.0
            case .bfloat16: abs(row[c]) / 256
            case .int8: c < rank ? step * 0.500_01 : abs(row[c]) / 256
            }
          let error = abs(rows.value(t, c) - row[c])
          #expect(error <= bound, "\(kernels.instructionSet) \(type) row \(t), column \(c) of \(rank) + \(rope)")
        }
      }
      var loaded = [Float](repeating: 7, count: 3 * (rank + rope + 1))
      kernels.loadRows(rows.rows, 1..<4, into: &loaded, stride: rank + rope + 1)
      for t in 0..<3 {
        for c in 0..<rank + rope {
          let expected = Float(rows.value(t + 1, c))
          #expect(abs(loaded[t * (rank + rope + 1) + c] - expected) <= abs(expected) * 1e-6)
        }
        #expect(loaded[t * (rank + rope + 1) + rank + rope] == 7)
      }
    }
  }

  @Test func bfloat16TiesGoToEven() {
    let bits: [UInt32] = [0x3F80_8000, 0x3F81_8000, 0x3F80_8001, 0x8000_0000, 0x7F80_0000, 0x7F7F_FFFF, 0x7F80_0001]
    let expected: [UInt16] = [0x3F80, 0x3F82, 0x3F81, 0x8000, 0x7F80, 0x7F80]
    // As whole vectors and as what is left over.
    for repetitions in [1, 8] {
      let values = (0..<repetitions).flatMap { _ in bits.map { Float(bitPattern: $0) } }
      for kernels in usableKernels {
        var stored = [UInt16](repeating: 0, count: values.count)
        stored.withUnsafeMutableBytes { out in
          guard let base = out.baseAddress else { return }
          kernels.storeRows(values, count: 1, type: .bfloat16, rank: values.count, rope: 0, into: base)
        }
        for (index, word) in stored.enumerated() {
          if index % 7 < 6 {
            #expect(word == expected[index % 7], "\(kernels.instructionSet) \(index)")
          } else {
            #expect(word & 0x7F80 == 0x7F80 && word & 0x7F != 0, "a NaN stays one")
          }
        }
      }
    }
  }

  /// One value that is not finite makes the latent NaN, and leaves the other rows and the rotated key alone.
  @Test(arguments: [Float.nan, .infinity, -.infinity], [0, 18])
  func int8RowsOfWhatIsNotFinite(_ value: Float, _ column: Int) {
    let (rank, rope) = (19, 2)
    var values = Random.list(2 * (rank + rope), seed: 3)
    values[column] = value
    for kernels in usableKernels {
      let rows = TestRows(kernels, .int8, values, rank: rank, rope: rope)
      for c in 0..<rank + rope {
        #expect(rows.value(0, c).isNaN == (c < rank))
        #expect(rows.value(1, c).isFinite)
      }
    }
  }

  /// Zeroes, values too small for a scale, the smallest that are not, and the largest.
  @Test func int8RowsOfExtremeSize() {
    for kernels in usableKernels {
      for rank in [1, 16, 21] {
        for (size, isKept) in [(Float(0), true), (0x1p-140, false), (0x1p-109, true), (.greatestFiniteMagnitude, true)]
        {
          let rows = TestRows(kernels, .int8, [Float](repeating: -size, count: rank), rank: rank, rope: 0)
          for c in 0..<rank {
            let value = rows.value(0, c)
            #expect(isKept ? abs(value + Double(size)) <= Double(size) * 1e-6 : value == 0, "\(size): \(value)")
          }
        }
      }
    }
  }
}
