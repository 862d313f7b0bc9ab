public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// Where a model's tensors are in its files and will be in memory, checked by headers alone; nothing is loaded.
public struct TensorPlan: Sendable {
  public let checkpoint: Checkpoint
  private let quantization: BlockQuantization?
  /// Names of all tensors that the model uses, block scales among them.
  public private(set) var names: [String] = []
  /// Those of `names` that are loaded; what is packed is read on the way into its panels.
  public private(set) var loadedNames: [String] = []
  /// Bytes of all packed matrices.
  public private(set) var packedByteCount = 0
  /// Bytes of all float32 copies.
  public private(set) var floatByteCount = 0
  private var tensors: [ExactString: PlannedTensor] = [:]

  public init(_ checkpoint: Checkpoint, _ quantization: BlockQuantization? = nil) {
    self.checkpoint = checkpoint
    self.quantization = quantization
  }

  /// Finds a tensor and checks it, and gives it its place in memory behind those before it.
  /// - Parameter type: how it is packed, where its role allows that; nil for as the file has it.
  /// - Throws: `Failure` naming the tensor, what it is and what was expected.
  public mutating func add(_ spec: TensorSpec, packedAs type: PackedType? = nil) throws(Failure) {
    try add(together: [spec], packedAs: type)
  }

  /// Adds tensors whose packed matrices lie together: the first matrix of each, then the second of each, and so on. So an
  /// expert is one run of bytes, whether its matrices are tensors of their own or parts of fused ones.
  public mutating func add(together specs: [TensorSpec], packedAs type: PackedType? = nil) throws(Failure) {
    for spec in specs { try add(spec, isPacked: type != nil && spec.role.isPackable) }
    if let type { try place(specs.filter(\.role.isPackable), as: type) }
  }

  private mutating func add(_ spec: TensorSpec, isPacked: Bool) throws(Failure) {
    let tensor = try find(spec)
    names.append(spec.name)
    if let scales = tensor.encoding?.scales {
      names.append(scales.record.name)
      loadedNames.append(scales.record.name)
      if scales.isConverted { try addFloats(scales.record) }
    }
    if !isPacked { loadedNames.append(spec.name) }
    if tensor.encoding == nil { try addFloats(tensor.record) }
    tensors[ExactString(spec.name)] = tensor
  }

  /// Bytes in memory of a matrix that was added, packed or as its file has it, without scales; 0 for what becomes
  /// float32.
  public func byteCount(of spec: TensorSpec) -> Int {
    guard let tensor = tensors[ExactString(spec.name)], tensor.encoding != nil else { return 0 }
    return tensor.packing?.byteCount ?? tensor.record.byteCount
  }

  func tensor(_ spec: TensorSpec) throws(Failure) -> PlannedTensor {
    guard let tensor = tensors[ExactString(spec.name)] else {
      throw Failure(.internalError, "\(checkpoint.folder): tensor \(spec.name) is not among those that were checked")
    }
    return tensor
  }

  private func find(_ spec: TensorSpec) throws(Failure) -> PlannedTensor {
    if case .floats = spec.role {
      return PlannedTensor(record: try checkpoint.floatRecord(of: spec.name, shape: spec.shape), encoding: nil)
    }
    let isExact = spec.role == .exactMatrix
    let record =
      isExact
      ? try checkpoint.floatRecord(of: spec.name, shape: spec.shape)
      : try checkpoint.weightRecord(of: spec.name, shape: spec.shape)
    let (count, rows, columns) = spec.matrices
    return PlannedTensor(
      record: record,
      encoding: try TensorEncoding(record, count: count, rows: rows, columns: columns, in: checkpoint, quantization))
  }

  /// Gives the packed matrices of tensors, of which each has as many, their places behind those before them.
  private mutating func place(_ specs: [TensorSpec], as type: PackedType) throws(Failure) {
    let what = "the packed weights' size"
    let count = specs.first?.matrices.count ?? 1
    var sizes: [Int] = []
    for spec in specs {
      var size = 0
      for piece in spec.pieces {
        let own = try PanelMatrix.byteCount(type, rows: piece.packedRows, columns: piece.packedColumns)
        size = try CheckedSize.sum(size, own, of: what)
      }
      sizes.append(size)
    }
    var stride = 0
    for size in sizes { stride = try CheckedSize.sum(stride, size, of: what) }
    let end = try CheckedSize.sum(packedByteCount, CheckedSize.product(stride, count, of: what), of: what)
    var target = packedByteCount
    for (spec, size) in zip(specs, sizes) {
      tensors[ExactString(spec.name)]?.packing = PlannedTensor.Packing(
        type: type, target: target, stride: stride, byteCount: size * count)
      target += size
    }
    packedByteCount = end
  }

  private mutating func addFloats(_ record: TensorRecord) throws(Failure) {
    let count = record.byteCount / record.type.byteCount
    floatByteCount = try CheckedSize.sum(floatByteCount, count * 4, of: "the float32 weights' size")
  }
}

/// A tensor that was found and checked.
struct PlannedTensor: Sendable {
  let record: TensorRecord
  /// Of a matrix; nil for what becomes float32.
  let encoding: TensorEncoding?
  /// nil for what is loaded as the file has it.
  var packing: Packing?

  struct Packing: Sendable {
    let type: PackedType
    /// Where the first matrix is, in bytes from the start of the packed memory.
    let target: Int
    /// Bytes from there to the next matrix.
    let stride: Int
    /// Bytes of all matrices together.
    let byteCount: Int
  }
}

/// Rows of each of a tensor's matrices that become a packed matrix of their own.
struct PackedPiece {
  let rows: Range<Int>
  let columns: Int
  let isTransposed: Bool

  var packedRows: Int { isTransposed ? columns : rows.count }
  var packedColumns: Int { isTransposed ? rows.count : columns }
}

extension TensorSpec {
  /// The matrices that the tensor is made of: `count` of them, nil where it is one. For shapes that a file has.
  var matrices: (count: Int?, rows: Int, columns: Int) {
    if case .fusedWeights = role, shape.count == 3 { return (shape[0], shape[1], shape[2]) }
    return (nil, shape.first ?? 1, shape.dropFirst().reduce(1, *))
  }

  /// The packed matrices that each of its matrices becomes, in the order in which they lie in memory.
  var pieces: [PackedPiece] {
    let (_, rows, columns) = matrices
    func piece(_ rows: Range<Int>, isTransposed: Bool = false) -> PackedPiece {
      PackedPiece(rows: rows, columns: columns, isTransposed: isTransposed)
    }
    switch role {
    case .fusedWeights(let cuts): return cuts.map { piece($0) }
    case .blocks(let count, let cuts):
      let height = rows / max(count, 1)
      return cuts.flatMap { cut in
        (0..<count).map { block in
          let first = block * height + cut.rows.lowerBound
          return piece(first..<first + cut.rows.count, isTransposed: cut.isTransposed)
        }
      }
    default: return [piece(0..<rows)]
    }
  }
}

extension TensorRole {
  fileprivate var isPackable: Bool {
    switch self {
    case .weight, .fusedWeights, .blocks: true
    case .floats, .matrix, .exactMatrix: false
    }
  }
}
