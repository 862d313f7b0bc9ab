import DormouseLayers
import DormouseSupport
import Synchronization
import Testing

@Suite struct SharedRowsTests {
  /// Rows and what one of them costs.
  typealias Matrix = (rows: Int, rowCost: Int)

  /// One run: for each call of the body, its matrix and rows.
  private func parts(_ matrices: [Matrix], threads: Int) throws -> [(part: Int, rows: Range<Int>)] {
    let pool = try ThreadPool(threadCount: threads)
    var shared = SharedRows(capacity: 1)
    for matrix in matrices { shared.add(rows: matrix.rows, rowCost: matrix.rowCost) }
    let seen = Mutex<[(part: Int, rows: Range<Int>)]>([])
    shared.run(on: pool) { part, rows in seen.withLock { $0.append((part, rows)) } }
    return seen.withLock { $0 }
  }

  /// Whatever the sizes: each row once, and borders where kernels and groups have them.
  @Test(
    arguments: [
      [(1, 1)], [(31, 5)], [(40, 1 << 20)], [(0, 7), (33, 1 << 14), (0, 0), (1, 1 << 18)],
      [(2816, 2048), (1408, 2048), (1408, 2048)], [(2048, 2816), (2048, 1408), (2048, 1408), (2047, 1408)],
      [Matrix](repeating: (97, 1 << 19), count: 41), [(768, 2048), (576, 2048), (5, 2048)],
    ] as [[Matrix]], [1, 2, 3, 16])
  func everyRowHasItsTurnOnce(matrices: [Matrix], threads: Int) throws {
    let parts = try parts(matrices, threads: threads)
    for (index, matrix) in matrices.enumerated() {
      let mine = parts.filter { $0.part == index }.map(\.rows).sorted { $0.lowerBound < $1.lowerBound }
      #expect(mine.reduce(0) { $0 + $1.count } == matrix.rows)
      #expect(mine.first?.lowerBound ?? 0 == 0)
      #expect(mine.last?.upperBound ?? 0 == matrix.rows)
      for (one, next) in zip(mine, mine.dropFirst()) { #expect(one.upperBound == next.lowerBound) }
      for rows in mine { #expect(rows.lowerBound % 32 == 0) }
    }
  }

  /// Nine matrices of one size are eight tasks of 9/8 of a matrix for two threads, instead of five and four matrices.
  @Test func tasksCostTheSame() throws {
    let (matrix, task) = (7168, 7168 * 9 / 8)
    let parts = try parts([Matrix](repeating: (matrix, 2048), count: 9), threads: 2)
    let borders = Set(parts.map { $0.part * matrix + $0.rows.lowerBound })
    #expect(borders == Set((0..<9).map { $0 * matrix }).union((0..<8).map { $0 * task }))
  }

  /// Where tasks are long and matrices many, small ones stay whole, and a large one is cut.
  @Test func smallMatricesOfManyStayWhole() throws {
    let experts = [Matrix](repeating: (1408, 2048 * 48), count: 64)
    let parts = try parts([(2816, 2048 * 512)] + experts, threads: 2)
    for expert in 1...64 { #expect(parts.filter { $0.part == expert }.count == 1) }
    #expect(parts.filter { $0.part == 0 }.count > 4)
  }

  /// What a task costs to hand out is more than so little work.
  @Test func littleIsNotCut() throws {
    #expect(try parts([(64, 100)], threads: 4).count == 1)
    #expect(try parts([], threads: 4).isEmpty)
  }
}
