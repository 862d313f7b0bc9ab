import DormouseKernels
import DormouseSupport

/// Matrix products: one row of activations ("vector"), few ("batch") and many ("matrix").
struct ProductCases {
  let setBytes: Int

  struct Shape {
    var rows: Int
    var columns: Int
    var name: String { "\(rows)x\(columns)" }
  }

  /// An expert's gate and down projections in V2-Lite, and a gate projection of V3's.
  static let shapes = [
    Shape(rows: 1408, columns: 2048), Shape(rows: 2048, columns: 7168), Shape(rows: 2048, columns: 1408),
  ]

  /// Rows of activations, by kind of case.
  static let counts: [(kind: String, counts: [Int])] = [
    ("vector", [1]), ("batch", [2, 3, 4, 7, 8]), ("matrix", [32, 48, 128, 512]),
  ]

  var all: [Case] {
    let weights = WeightSets()
    return ProductCases.counts.flatMap { kind, counts in
      ElementType.allCases.flatMap { type in
        ProductCases.shapes.flatMap { shape in
          counts.map { make(kind, type, shape, count: $0, weights) }
        }
      }
    }
  }

  private func make(_ kind: String, _ type: ElementType, _ shape: Shape, count: Int, _ weights: WeightSets) -> Case {
    let operations = 2 * Double(shape.rows * shape.columns * count)
    let bytes = WeightSets.byteCount(type, shape)
    let matrices = countPerPass(bytes: bytes, operations: operations, setBytes: setBytes)
    let work = Work(bytes: Double(bytes * matrices), operations: operations * Double(matrices))
    return Case(name: "\(kind)/\(type.name)/\(shape.name)/x\(count)", work: work) { () throws(Failure) in
      let set = try weights.matrices(type, shape, count: matrices)
      let x = try AlignedBuffer(byteCount: 4 * count * shape.columns, for: "activations")
      let y = try AlignedBuffer(byteCount: 4 * count * shape.rows, for: "results")
      var random = RandomBits()
      random.fill(x.bytes, with: .float32)
      return { kernels, pool in
        guard let source = x.bound(to: Float.self).baseAddress, let target = y.bound(to: Float.self).baseAddress
        else { return }
        for matrix in set { kernels.multiply(matrix, x: source, count: count, into: target, pool: pool) }
        withExtendedLifetime((x, y, weights)) {}
      }
    }
  }
}

/// Sets of random matrices, of which the last made is kept.
final class WeightSets {
  private var memory: AlignedBuffer?
  private var type: ElementType?
  private var shape = ProductCases.Shape(rows: 0, columns: 0)
  private var made: [WeightMatrix] = []

  /// fp8 has a float32 scale for each block of so many rows and columns, as in DeepSeek-V3.
  private static let scaleBlock = 128

  /// Bytes of one matrix and its scales.
  static func byteCount(_ type: ElementType, _ shape: ProductCases.Shape) -> Int {
    shape.rows * shape.columns * type.byteCount + 4 * scaleCount(type, shape)
  }

  private static func scaleCount(_ type: ElementType, _ shape: ProductCases.Shape) -> Int {
    guard type == .float8E4M3 else { return 0 }
    return CheckedSize.ceilingQuotient(shape.rows, scaleBlock) * CheckedSize.ceilingQuotient(shape.columns, scaleBlock)
  }

  /// `count` matrices one after the other in memory; they live as long as this object makes no others.
  ///
  /// - Throws: `Failure(.outOfMemory)`.
  func matrices(_ type: ElementType, _ shape: ProductCases.Shape, count: Int) throws(Failure) -> ArraySlice<
    WeightMatrix
  > {
    if self.type != type || self.shape.rows != shape.rows || self.shape.columns != shape.columns || made.count < count {
      try make(type, shape, count: count)
    }
    return made.prefix(count)
  }

  private func make(_ type: ElementType, _ shape: ProductCases.Shape, count: Int) throws(Failure) {
    made = []
    memory = nil
    self.type = type
    self.shape = shape
    let size =
      CheckedSize.ceilingQuotient(WeightSets.byteCount(type, shape), AlignedBuffer.alignment) * AlignedBuffer.alignment
    let memory = try AlignedBuffer(byteCount: count * size, for: "weights")
    guard let base = memory.bytes.baseAddress else { return }
    var random = RandomBits()
    for index in 0..<count {
      let start = base + index * size
      random.fill(UnsafeMutableRawBufferPointer(start: start, count: size), with: type)
      made.append(matrix(type, shape, at: start))
    }
    self.memory = memory
  }

  private func matrix(_ type: ElementType, _ shape: ProductCases.Shape, at start: UnsafeMutableRawPointer)
    -> WeightMatrix
  {
    let scales = start + shape.rows * shape.columns * type.byteCount
    let scaleCount = WeightSets.scaleCount(type, shape)
    for index in 0..<scaleCount { scales.storeBytes(of: 0.01, toByteOffset: 4 * index, as: Float.self) }
    let blocks =
      scaleCount == 0
      ? nil
      : BlockScales(
        storage: .float32, data: scales, columns: CheckedSize.ceilingQuotient(shape.columns, WeightSets.scaleBlock),
        rowBlock: WeightSets.scaleBlock, columnBlock: WeightSets.scaleBlock)
    return WeightMatrix(elementType: type, rows: shape.rows, columns: shape.columns, data: start, scales: blocks)
  }
}
