import DormouseKernels
import DormouseSupport

/// Matrix products: one row of activations ("vector"), few ("batch") and many ("matrix").
struct ProductCases {
  let setBytes: Int

  /// An expert's gate and down projections in V2-Lite, and a down projection of V3's.
  static let shapes = [
    Shape(rows: 1408, columns: 2048), Shape(rows: 2048, columns: 7168), Shape(rows: 2048, columns: 1408),
  ]

  /// Rows of activations, by kind of case.
  static let counts: [(kind: String, counts: [Int])] = [
    ("vector", [1]), ("batch", [2, 3, 4, 7, 8]), ("matrix", [32, 48, 128, 512]),
  ]

  var all: [Case] {
    let weights = WeightSets()
    return ProductCases.counts.flatMap { name, counts in
      WeightKind.all.flatMap { kind in
        ProductCases.shapes.flatMap { shape in
          counts.map { make(name, kind, shape, count: $0, weights) }
        }
      }
    }
  }

  private func make(_ name: String, _ kind: WeightKind, _ shape: Shape, count: Int, _ weights: WeightSets) -> Case {
    let operations = 2 * Double(shape.rows * shape.columns * count)
    let bytes = WeightSets.byteCount(kind, shape)
    let matrices = countPerPass(bytes: bytes, operations: operations, setBytes: setBytes)
    let work = Work(bytes: Double(bytes * matrices), operations: operations * Double(matrices))
    return Case(name: "\(name)/\(kind.name)/\(shape.name)/x\(count)", work: work) { () throws(Failure) in
      let set = try weights.matrices(kind, shape, count: matrices)
      let operands = try Operands(shape, count: count)
      return { kernels, pool in
        for matrix in set { operands.multiply(matrix, kernels, pool) }
        withExtendedLifetime(weights) {}
      }
    }
  }
}

/// What a product reads beside its weights, and where it writes. Activations are rounded beforehand: in a model several
/// products share them.
private struct Operands {
  let shape: Shape
  let count: Int
  private let x: AlignedBuffer
  private let rounded: AlignedBuffer
  private let y: AlignedBuffer

  /// - Throws: `Failure(.outOfMemory)`.
  init(_ shape: Shape, count: Int) throws(Failure) {
    self.shape = shape
    self.count = count
    x = try AlignedBuffer(byteCount: 4 * count * shape.columns, for: "activations")
    rounded = try AlignedBuffer(
      byteCount: QuantizedRows.byteCount(columns: shape.columns, capacity: count), for: "rounded activations")
    y = try AlignedBuffer(byteCount: 4 * count * shape.rows, for: "results")
    var random = RandomBits()
    random.fill(x.bytes, with: .float32)
    guard let activations else { return }
    let kernels = try Kernels.selected()
    if let target = activations.quantized {
      kernels.quantize(
        activations.floats, xStride: shape.columns, count: count, columns: shape.columns, into: target)
    }
  }

  private var activations: Activations? {
    guard let floats = x.bound(to: Float.self).baseAddress, let memory = rounded.bytes.baseAddress else { return nil }
    return Activations(
      floats: UnsafePointer(floats), stride: shape.columns,
      quantized: QuantizedRows(memory: memory, columns: shape.columns, capacity: count))
  }

  /// Rows in blocks of whole tiles, four for each thread.
  func multiply(_ weight: Weight, _ kernels: Kernels, _ pool: ThreadPool) {
    guard let activations, let results = y.bound(to: Float.self).baseAddress else { return }
    let block = CheckedSize.ceilingQuotient(CheckedSize.ceilingQuotient(shape.rows, pool.threadCount * 4), 32) * 32
    pool.run(CheckedSize.ceilingQuotient(shape.rows, block)) { task, _ in
      let first = task * block
      kernels.multiply(
        weight, rows: first..<min(first + block, shape.rows), x: activations, count: count, into: results + first,
        yStride: shape.rows)
    }
  }
}
