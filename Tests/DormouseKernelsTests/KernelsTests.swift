import DormouseKernels
import DormouseSupport
import Testing

@Suite struct KernelsTests {
  @Test func baselineIsAlwaysThere() throws {
    #expect(try Kernels.make(.baseline).instructionSet == .baseline)
  }

  @Test func multipliesAndAttends() throws {
    let kernels = try Kernels.make(.baseline)
    let pool = try ThreadPool(threadCount: 2)
    let w: [Float] = [1, 2, 3, 4, 5, 6]
    let x: [Float] = [1, 1, 1, 0, 1, 2]
    var y = [Float](repeating: 0, count: 4)
    w.withUnsafeBytes { bytes in
      let matrix = WeightMatrix(elementType: .float32, rows: 2, columns: 3, data: bytes.baseAddress!)
      kernels.multiply(matrix, x: x, count: 2, into: &y, pool: pool)
    }
    #expect(y == [6, 15, 8, 17])
    var out = [Float](repeating: 0, count: 2)
    kernels.attendLatent(
      query: [1, 0, 0], heads: 1, rows: w, rowType: .float32, rowStride: 3, count: 2, rank: 2, rope: 1, scale: 0,
      into: &out)
    #expect(out == [2.5, 3.5])
  }
}
