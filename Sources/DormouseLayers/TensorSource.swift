public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// Hands out tensors by name after checking shape and type against what the model expects.
///
/// Without a store it only checks and notes the names; with one it hands out pointers into it. Binding runs once each
/// way, so that what is checked before loading is by construction what is bound after it.
public struct TensorSource {
  public let checkpoint: Checkpoint
  public let store: TensorStore?
  let quantization: BlockQuantization?
  /// Where packed matrices will be; nil as long as nothing is loaded.
  public let panels: AlignedBuffer?
  /// Names asked for, in order.
  public private(set) var names: [String] = []
  /// Those of `names` that the store must have: what is packed is read on the way into its panels.
  public private(set) var loadedNames: [String] = []
  /// What fills `panels`.
  public private(set) var packingJobs: [PackingJob] = []
  /// Bytes of all packed matrices.
  public private(set) var packedByteCount = 0
  /// Float32 copies made.
  public private(set) var floats: [AlignedBuffer] = []
  /// Bytes of all float32 copies, also when only checking.
  public private(set) var floatByteCount = 0

  public init(
    _ checkpoint: Checkpoint, store: TensorStore?, panels: AlignedBuffer?,
    _ quantization: BlockQuantization?
  ) {
    self.checkpoint = checkpoint
    self.store = store
    self.panels = panels
    self.quantization = quantization
  }

  public func has(_ name: String) -> Bool { checkpoint.has(name) }

  /// A matrix of weights, packed as `type` says, or in the type the file has.
  public mutating func weight(_ name: String, rows: Int, columns: Int, as type: PackedType?) throws(Failure) -> Weight {
    guard let type else { return .rows(try matrix(name, rows: rows, columns: columns)) }
    let found = try description(name, shape: [rows, columns])
    let matrix = try unloadedMatrix(found, leading: [], rows: rows, columns: columns)
    return .panels(try pack(found, matrix: matrix, offset: 0, as: type))
  }

  /// A range of a block's rows that becomes a packed matrix of its own.
  public struct PackedPart {
    public let rows: Range<Int>
    /// Whether it is packed turned round.
    public let isTransposed: Bool

    public init(rows: Range<Int>, isTransposed: Bool = false) {
      self.rows = rows
      self.isTransposed = isTransposed
    }
  }

  /// A matrix of `count` blocks of `rows` rows each, cut into `parts`, all of them packed.
  /// - Returns: for each of `parts` that of every block; these follow each other in memory.
  public mutating func panels(
    _ name: String, count: Int, rows: Int, columns: Int, parts: [PackedPart], as type: PackedType
  ) throws(Failure) -> [[PanelMatrix]] {
    let allRows = try CheckedSize.product(count, rows, of: "the rows of \(name)")
    let found = try description(name, shape: [allRows, columns])
    let whole = try unloadedMatrix(found, leading: [], rows: allRows, columns: columns)
    var result: [[PanelMatrix]] = []
    for part in parts {
      var panels: [PanelMatrix] = []
      for index in 0..<count {
        let first = index * rows + part.rows.lowerBound
        let matrix = whole.slice(rows: first..<first + part.rows.count)
        panels.append(
          try pack(
            found, matrix: matrix, offset: first * columns * whole.elementType.byteCount, as: type,
            isTransposed: part.isTransposed))
      }
      result.append(panels)
    }
    return result
  }

  /// `count` matrices fused into one tensor [count, rows, columns], each cut into the ranges of rows `parts`.
  /// - Returns: the parts of each matrix.
  public mutating func weights(
    _ name: String, count: Int, rows: Int, columns: Int, parts: [Range<Int>], as type: PackedType?
  ) throws(Failure) -> [[Weight]] {
    guard let type else {
      return try matrices(name, count: count, rows: rows, columns: columns).map { matrix in
        parts.map { .rows(matrix.slice(rows: $0)) }
      }
    }
    let found = try description(name, shape: [count, rows, columns])
    let first = try unloadedMatrix(found, leading: [count], rows: rows, columns: columns)
    var result: [[Weight]] = []
    for index in 0..<count {
      var matrix = first
      if let grid = first.scales {
        matrix = first.scaled(by: grid, at: offset(index * gridRows(grid, rows) * grid.columns * byteCount(grid)))
      }
      var weights: [Weight] = []
      for part in parts {
        let start = (index * rows + part.lowerBound) * columns * matrix.elementType.byteCount
        weights.append(.panels(try pack(found, matrix: matrix.slice(rows: part), offset: start, as: type)))
      }
      result.append(weights)
    }
    return result
  }

  /// A matrix of weights in the type the file has.
  /// - Parameter shape: the file's shape where it is not [rows, columns], of as many elements: a convolution's kernel.
  public mutating func matrix(
    _ name: String, rows: Int, columns: Int, shape: [Int]? = nil
  ) throws(Failure) -> WeightMatrix {
    let found = try description(name, shape: shape ?? [rows, columns])
    loadedNames.append(name)
    let type = try elementType(found)
    let scales = type == .float8E4M3 ? try scales(of: name, leading: [], rows: rows, columns: columns) : nil
    return WeightMatrix(
      elementType: type, rows: rows, columns: columns, data: try bytes(name, found.byteCount), scales: scales)
  }

  /// `count` matrices fused into one tensor [count, rows, columns].
  public mutating func matrices(_ name: String, count: Int, rows: Int, columns: Int) throws(Failure) -> [WeightMatrix] {
    let found = try description(name, shape: [count, rows, columns])
    loadedNames.append(name)
    let type = try elementType(found)
    let grid = type == .float8E4M3 ? try scales(of: name, leading: [count], rows: rows, columns: columns) : nil
    let data = try bytes(name, found.byteCount)
    return (0..<count).map { index in
      let matrix = WeightMatrix(
        elementType: type, rows: rows, columns: columns,
        data: data + offset(index * rows * columns * type.byteCount), scales: nil)
      guard let grid else { return matrix }
      return matrix.scaled(by: grid, at: offset(index * gridRows(grid, rows) * grid.columns * byteCount(grid)))
    }
  }

  /// A vector, converted to float32 and multiplied by `factor`.
  public mutating func vector(_ name: String, count: Int, factor: Float = 1) throws(Failure) -> FloatVector {
    try floats(name, shape: [count], factor: factor)
  }

  /// A tensor of any shape, converted to float32, row-major.
  public mutating func table(_ name: String, shape: [Int]) throws(Failure) -> FloatVector {
    try floats(name, shape: shape)
  }

  /// A matrix that no precision rounds, of a type without block scales: its numbers are exact in float32.
  public mutating func exactMatrix(_ name: String, rows: Int, columns: Int) throws(Failure) -> WeightMatrix {
    let found = try description(name, shape: [rows, columns])
    guard TensorSource.floatTypes.contains(found.type) else { throw notFloats(found) }
    loadedNames.append(name)
    return WeightMatrix(
      elementType: try elementType(found), rows: rows, columns: columns, data: try bytes(name, found.byteCount))
  }

  // MARK: - Packing

  /// What the file says of a matrix, the first of `leading` ones, without its bytes.
  private mutating func unloadedMatrix(
    _ tensor: TensorDescription, leading: [Int], rows: Int, columns: Int
  ) throws(Failure) -> WeightMatrix {
    let type = try elementType(tensor)
    let scales =
      type == .float8E4M3 ? try scales(of: tensor.name, leading: leading, rows: rows, columns: columns) : nil
    return WeightMatrix(
      elementType: type, rows: rows, columns: columns, data: TensorSource.nothing, scales: scales)
  }

  /// Gives a matrix that begins `offset` bytes into its tensor the next place among the panels.
  private mutating func pack(
    _ tensor: TensorDescription, matrix: WeightMatrix, offset: Int, as type: PackedType, isTransposed: Bool = false
  ) throws(Failure) -> PanelMatrix {
    let target = packedByteCount
    let (rows, columns) = isTransposed ? (matrix.columns, matrix.rows) : (matrix.rows, matrix.columns)
    let size = try PanelMatrix.byteCount(type, rows: rows, columns: columns)
    packedByteCount = try CheckedSize.sum(target, size, of: "the packed weights' size")
    var data = TensorSource.nothing
    if let panels {
      guard packedByteCount <= panels.bytes.count, let base = panels.bytes.baseAddress else {
        throw Failure(.internalError, "\(checkpoint.folder): tensor \(tensor.name) has no place among the panels")
      }
      data = UnsafeRawPointer(base + target)
      packingJobs.append(
        PackingJob(
          source: matrix, fileIndex: tensor.fileIndex, offset: tensor.offset + offset, type: type,
          isTransposed: isTransposed, target: target))
    }
    return PanelMatrix(type: type, rows: rows, columns: columns, data: data)
  }

  // MARK: - Checks

  private mutating func description(_ name: String, shape: [Int]) throws(Failure) -> TensorDescription {
    guard let found = checkpoint.description(of: name) else {
      throw checkpoint.absence(of: name, expected: shape)
    }
    guard found.shape == shape else { throw wrong(found, "has shape \(found.shape); expected \(shape)") }
    names.append(name)
    return found
  }

  private func wrong(_ tensor: TensorDescription, _ what: String, _ status: Status = .malformed) -> Failure {
    let file = tensor.fileIndex < checkpoint.files.count ? checkpoint.files[tensor.fileIndex] : checkpoint.folder
    return Failure(status, "\(file): tensor \(tensor.name) \(what)")
  }

  private static let floatTypes: [TensorType] = [.float32, .float16, .bfloat16]

  private func notFloats(_ tensor: TensorDescription) -> Failure {
    wrong(tensor, "has type \(tensor.type.rawValue); expected F32, F16 or BF16", .unsupported)
  }

  private func elementType(_ tensor: TensorDescription) throws(Failure) -> ElementType {
    switch tensor.type {
    case .float32: return .float32
    case .float16: return .float16
    case .bfloat16: return .bfloat16
    case .float8E4M3: return .float8E4M3
    default: throw wrong(tensor, "has type \(tensor.type.rawValue); expected F32, F16, BF16 or F8_E4M3", .unsupported)
    }
  }

  /// The grid of block scales beside a float8 tensor: [leading..., rows / rowBlock, columns / columnBlock], rounded up.
  private mutating func scales(
    of name: String, leading: [Int], rows: Int, columns: Int
  ) throws(Failure) -> BlockScales {
    guard let quantization else {
      throw Failure(
        .malformed,
        "\(checkpoint.folder): tensor \(name) has type F8_E4M3, but config.json has no quantization_config for its"
          + " block size")
    }
    let gridColumns = CheckedSize.ceilingQuotient(columns, quantization.columnBlock)
    let shape = leading + [CheckedSize.ceilingQuotient(rows, quantization.rowBlock), gridColumns]
    let (storage, data) = try scaleGrid(Self.scale(of: name), shape: shape, quantization)
    return BlockScales(
      storage: storage, data: data, columns: gridColumns,
      rowBlock: quantization.rowBlock, columnBlock: quantization.columnBlock, firstRow: 0)
  }

  /// The numbers of a grid of scales; those of 16 bits become float32.
  private mutating func scaleGrid(
    _ name: String, shape: [Int], _ quantization: BlockQuantization
  ) throws(Failure) -> (storage: BlockScales.Storage, data: UnsafeRawPointer) {
    if let type = checkpoint.description(of: name)?.type, [.bfloat16, .float16].contains(type) {
      return (.float32, UnsafeRawPointer(try floats(name, shape: shape).pointer))
    }
    let found = try description(name, shape: shape)
    let storage: BlockScales.Storage
    switch found.type {
    case .float32: storage = .float32
    case .float8E8M0: storage = .float8E8M0
    case .uint8 where quantization.powerOfTwoScales: storage = .float8E8M0
    default:
      throw wrong(
        found, "has type \(found.type.rawValue); expected F32, BF16, F16 or F8_E8M0 block scales", .unsupported)
    }
    loadedNames.append(name)
    return (storage, try bytes(name, found.byteCount))
  }

  /// The block scales of a float8 tensor: `X.weight` -> `X.weight_scale_inv`, and likewise for a fused tensor, whose
  /// name has no `.weight`.
  private static func scale(of name: String) -> String { "\(name)_scale_inv" }

  private func gridRows(_ grid: BlockScales, _ rows: Int) -> Int { CheckedSize.ceilingQuotient(rows, grid.rowBlock) }
  private func byteCount(_ grid: BlockScales) -> Int { grid.storage == .float32 ? 4 : 1 }

  // MARK: - Bytes

  /// Where a matrix points to as long as nothing is loaded; never read.
  private nonisolated(unsafe) static let nothing = UnsafeRawPointer(
    UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64))

  /// Without a store every matrix points to the same place.
  private func offset(_ byteCount: Int) -> Int { store == nil ? 0 : byteCount }

  private func bytes(_ name: String, _ byteCount: Int) throws(Failure) -> UnsafeRawPointer {
    guard let store else { return TensorSource.nothing }
    guard let bytes = store.bytes(of: name), bytes.count == byteCount, let base = bytes.baseAddress else {
      throw Failure(.internalError, "\(checkpoint.folder): tensor \(name) was not loaded")
    }
    return base
  }

  private mutating func floats(_ name: String, shape: [Int], factor: Float = 1) throws(Failure) -> FloatVector {
    let found = try description(name, shape: shape)
    loadedNames.append(name)
    guard TensorSource.floatTypes.contains(found.type) else { throw notFloats(found) }
    let count = found.byteCount / found.type.byteCount
    floatByteCount = try CheckedSize.sum(floatByteCount, count * 4, of: "the float32 weights' size")
    let source = try bytes(name, found.byteCount)
    guard store != nil else {
      return FloatVector(pointer: source.assumingMemoryBound(to: Float.self), count: count)
    }
    let buffer = try AlignedBuffer(byteCount: count * 4, for: name)
    let target = buffer.bound(to: Float.self)
    for index in 0..<count { target[index] = factor * TensorSource.float(source, index, found.type) }
    floats.append(buffer)
    guard let base = target.baseAddress else { throw Failure(.internalError, "\(name): no memory") }
    return FloatVector(pointer: UnsafePointer(base), count: count)
  }

  private static func float(_ source: UnsafeRawPointer, _ index: Int, _ type: TensorType) -> Float {
    switch type {
    case .float16: halfFloat(source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self))
    case .bfloat16:
      Float(bitPattern: UInt32(source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)) << 16)
    default: source.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
    }
  }

  /// IEEE half precision by its bits, since `Float16` is not there on every platform.
  private static func halfFloat(_ bits: UInt16) -> Float {
    let sign: Float = bits & 0x8000 == 0 ? 1 : -1
    let exponent = Int(bits >> 10) & 0x1F
    let fraction = Float(bits & 0x3FF)
    switch exponent {
    case 0: return sign * fraction * 0x1p-24
    case 31: return fraction == 0 ? sign * .infinity : .nan
    default: return sign * (1 + fraction * 0x1p-10) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
    }
  }
}

extension WeightMatrix {
  /// The same matrix with block scales that begin `offset` bytes into those of `grid`.
  fileprivate func scaled(by grid: BlockScales, at offset: Int) -> WeightMatrix {
    var scales = grid
    scales.data = grid.data + offset
    return WeightMatrix(elementType: elementType, rows: rows, columns: columns, data: data, scales: scales)
  }
}
