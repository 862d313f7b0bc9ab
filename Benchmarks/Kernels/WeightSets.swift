import DormouseKernels
import DormouseSupport

/// How a weight matrix is held: as files have it, or packed at load.
enum WeightKind: Equatable {
  case rows(ElementType)
  case panels(PackedType)

  static let all = ElementType.allCases.map(WeightKind.rows) + PackedType.allCases.map(WeightKind.panels)

  /// The name in the list of cases.
  var name: String {
    switch self {
    case .rows(let type): type.name
    case .panels(let type): type.rawValue
    }
  }
}

/// Rows and columns of a matrix.
struct Shape: Equatable {
  var rows: Int
  var columns: Int
  var name: String { "\(rows)x\(columns)" }
}

/// Sets of equal matrices, one after the other in memory; of all sets the last made is kept.
///
/// They are copies of one random matrix: products take as long, and packing many would take longer than measuring.
final class WeightSets {
  private var memory: AlignedBuffer?
  private var kind: WeightKind?
  private var shape = Shape(rows: 0, columns: 0)
  private var made: [Weight] = []

  /// fp8 has a float32 scale for each block of so many rows and columns, as in DeepSeek-V3.
  private static let scaleBlock = 128

  /// `count` matrices; they live as long as this object makes no others.
  ///
  /// - Throws: `Failure(.outOfMemory)`.
  func matrices(_ kind: WeightKind, _ shape: Shape, count: Int) throws(Failure) -> ArraySlice<Weight> {
    if self.kind != kind || self.shape != shape || made.count < count { try make(kind, shape, count: count) }
    return made.prefix(count)
  }

  /// Bytes of one matrix, with its scales.
  static func byteCount(_ kind: WeightKind, _ shape: Shape) -> Int {
    switch kind {
    case .rows(let type): shape.rows * shape.columns * type.byteCount + 4 * scaleCount(type, shape)
    case .panels(let type): (try? PanelMatrix.byteCount(type, rows: shape.rows, columns: shape.columns)) ?? 0
    }
  }

  private static func scaleCount(_ type: ElementType, _ shape: Shape) -> Int {
    guard type == .float8E4M3 else { return 0 }
    return CheckedSize.ceilingQuotient(shape.rows, scaleBlock) * CheckedSize.ceilingQuotient(shape.columns, scaleBlock)
  }

  private func make(_ kind: WeightKind, _ shape: Shape, count: Int) throws(Failure) {
    made = []
    memory = nil
    self.kind = kind
    self.shape = shape
    let bytes = WeightSets.byteCount(kind, shape)
    let size = CheckedSize.ceilingQuotient(bytes, AlignedBuffer.alignment) * AlignedBuffer.alignment
    let memory = try AlignedBuffer(byteCount: count * size, for: "weights")
    guard let base = memory.bytes.baseAddress else { return }
    try fill(base, size: size, kind, shape)
    for index in 0..<count {
      let start = base + index * size
      if index > 0 { start.copyMemory(from: base, byteCount: size) }
      made.append(WeightSets.matrix(kind, shape, at: start))
    }
    self.memory = memory
  }

  /// One matrix of random weights.
  private func fill(_ start: UnsafeMutableRawPointer, size: Int, _ kind: WeightKind, _ shape: Shape) throws(Failure) {
    var random = RandomBits()
    switch kind {
    case .rows(let type):
      random.fill(UnsafeMutableRawBufferPointer(start: start, count: size), with: type)
      let scales = start + shape.rows * shape.columns * type.byteCount
      for index in 0..<WeightSets.scaleCount(type, shape) {
        scales.storeBytes(of: 0.01, toByteOffset: 4 * index, as: Float.self)
      }
    case .panels(let type):
      let source = try AlignedBuffer(byteCount: 2 * shape.rows * shape.columns, for: "weights to pack")
      guard let data = source.bytes.baseAddress else { return }
      random.fill(source.bytes, with: .bfloat16)
      let matrix = WeightMatrix(
        elementType: .bfloat16, rows: shape.rows, columns: shape.columns, data: UnsafeRawPointer(data))
      try Kernels.selected().pack(matrix, as: type, into: start)
      withExtendedLifetime(source) {}
    }
  }

  private static func matrix(_ kind: WeightKind, _ shape: Shape, at start: UnsafeMutableRawPointer) -> Weight {
    let data = UnsafeRawPointer(start)
    switch kind {
    case .panels(let type):
      return .panels(PanelMatrix(type: type, rows: shape.rows, columns: shape.columns, data: data))
    case .rows(let type):
      let blocks =
        scaleCount(type, shape) == 0
        ? nil
        : BlockScales(
          storage: .float32, data: data + shape.rows * shape.columns * type.byteCount,
          columns: CheckedSize.ceilingQuotient(shape.columns, scaleBlock), rowBlock: scaleBlock, columnBlock: scaleBlock
        )
      return .rows(
        WeightMatrix(elementType: type, rows: shape.rows, columns: shape.columns, data: data, scales: blocks))
    }
  }
}
