public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// The tensors of a plan in memory, as what layers take: each is asked for once, by the spec that was planned.
public final class LoadedTensors {
  private let plan: TensorPlan
  public let store: TensorStore
  /// Where the packed matrices will be.
  public let panels: AlignedBuffer?
  /// Float32 copies made so far.
  public private(set) var floats: [AlignedBuffer] = []
  private var jobs: [PackingJob] = []

  /// - Parameters:
  ///   - store: has the plan's `loadedNames`.
  ///   - panels: of the plan's `packedByteCount`; nil where nothing is packed.
  public init(_ plan: TensorPlan, store: TensorStore, panels: AlignedBuffer? = nil) {
    self.plan = plan
    self.store = store
    self.panels = panels
  }

  /// What fills `panels` with the packed matrices that were asked for, in the order of memory.
  public var packingJobs: [PackingJob] { jobs.sorted { $0.target < $1.target } }

  /// A matrix that products multiply with.
  public func weight(_ spec: TensorSpec) throws(Failure) -> Weight {
    guard try plan.tensor(spec).packing != nil else { return .rows(try matrix(spec)) }
    guard let panels = try pack(spec).first else { throw absence(of: spec.name) }
    return .panels(panels)
  }

  /// A matrix as its file has it.
  public func matrix(_ spec: TensorSpec) throws(Failure) -> WeightMatrix {
    let tensor = try plan.tensor(spec)
    return try matrix(spec, tensor, at: bytes(tensor.record), scales(tensor))
  }

  /// The matrices of a tensor [count, rows, columns].
  public func matrices(_ spec: TensorSpec) throws(Failure) -> [WeightMatrix] {
    let tensor = try plan.tensor(spec)
    let (data, grid) = (try bytes(tensor.record), try scales(tensor))
    var result: [WeightMatrix] = []
    for index in 0..<(spec.matrices.count ?? 1) { result.append(try matrix(spec, tensor, index, at: data, grid)) }
    return result
  }

  /// The matrices of a tensor [count, rows, columns], each cut as its spec says.
  public func fusedWeights(_ spec: TensorSpec) throws(Failure) -> [[Weight]] {
    guard case .fusedWeights(let cuts) = spec.role else { throw absence(of: spec.name) }
    guard try plan.tensor(spec).packing != nil else {
      return try matrices(spec).map { matrix in cuts.map { .rows(matrix.slice(rows: $0)) } }
    }
    let panels = try pack(spec)
    return stride(from: 0, to: panels.count, by: max(cuts.count, 1)).map { first in
      panels[first..<first + cuts.count].map { .panels($0) }
    }
  }

  /// A matrix of blocks: whole, or for each cut the packed matrices of all blocks.
  public enum Blocks {
    case rows(WeightMatrix)
    case panels([[PanelMatrix]])
  }

  public func blocks(_ spec: TensorSpec) throws(Failure) -> Blocks {
    guard case .blocks(let count, let cuts) = spec.role else { throw absence(of: spec.name) }
    guard try plan.tensor(spec).packing != nil else { return .rows(try matrix(spec)) }
    let panels = try pack(spec)
    return .panels(cuts.indices.map { Array(panels[$0 * count..<($0 + 1) * count]) })
  }

  /// Numbers in float32, row-major, multiplied by the factor of their spec.
  public func floats(_ spec: TensorSpec) throws(Failure) -> FloatVector {
    guard case .floats(let factor) = spec.role else { throw absence(of: spec.name) }
    return try floats(plan.tensor(spec).record, factor: factor)
  }

  // MARK: - Matrices

  /// One matrix of a tensor whose bytes begin at `data`.
  /// - Parameter grid: the scales of the first.
  private func matrix(
    _ spec: TensorSpec, _ tensor: PlannedTensor, _ index: Int = 0, at data: UnsafeRawPointer, _ grid: BlockScales?
  ) throws(Failure) -> WeightMatrix {
    guard let encoding = tensor.encoding else { throw absence(of: spec.name) }
    let (_, rows, columns) = spec.matrices
    var scales = grid
    if let grid, let size = encoding.scales?.byteCount { scales?.data = grid.data + index * size }
    return WeightMatrix(
      elementType: encoding.elementType, rows: rows, columns: columns,
      data: data + index * rows * columns * encoding.elementType.byteCount, scales: scales)
  }

  private func scales(_ tensor: PlannedTensor) throws(Failure) -> BlockScales? {
    guard let grid = tensor.encoding?.scales else { return nil }
    let data =
      grid.isConverted
      ? UnsafeRawPointer(try floats(grid.record, factor: 1).pointer) : try bytes(grid.record)
    return BlockScales(
      storage: grid.storage, data: data, columns: grid.columns, rowBlock: grid.rowBlock, columnBlock: grid.columnBlock)
  }

  /// The packed matrices of a tensor, which `packingJobs` then fill.
  private func pack(_ spec: TensorSpec) throws(Failure) -> [PanelMatrix] {
    let tensor = try plan.tensor(spec)
    guard let packing = tensor.packing, let panels, let base = panels.bytes.baseAddress,
      plan.packedByteCount <= panels.bytes.count
    else {
      throw Failure(.internalError, "\(plan.checkpoint.folder): tensor \(spec.name) has no place among the panels")
    }
    let grid = try scales(tensor)
    var result: [PanelMatrix] = []
    for index in 0..<(spec.matrices.count ?? 1) {
      var target = packing.target + index * packing.stride
      for piece in spec.pieces {
        // Its bytes are read piece by piece later: until then it has none but those it will become.
        let whole = try matrix(spec, tensor, index, at: UnsafeRawPointer(base + target), grid)
        let packed = PanelMatrix(
          type: packing.type, rows: piece.packedRows, columns: piece.packedColumns,
          data: UnsafeRawPointer(base + target))
        let firstRow = index * whole.rows + piece.rows.lowerBound
        jobs.append(
          PackingJob(
            source: whole.slice(rows: piece.rows), fileIndex: tensor.record.fileIndex,
            offset: tensor.record.offset + firstRow * whole.columns * whole.elementType.byteCount, type: packing.type,
            isTransposed: piece.isTransposed, target: target))
        result.append(packed)
        target += packed.byteCount
      }
    }
    return result
  }

  // MARK: - Bytes

  private func absence(of name: String) -> Failure {
    Failure(.internalError, "\(plan.checkpoint.folder): tensor \(name) was not loaded")
  }

  private func bytes(_ record: TensorRecord) throws(Failure) -> UnsafeRawPointer {
    guard let bytes = store.bytes(of: record.name), bytes.count == record.byteCount, let base = bytes.baseAddress else {
      throw absence(of: record.name)
    }
    return base
  }

  private func floats(_ record: TensorRecord, factor: Float) throws(Failure) -> FloatVector {
    let source = try bytes(record)
    let count = record.byteCount / record.type.byteCount
    let buffer = try AlignedBuffer(byteCount: count * MemoryLayout<Float>.stride, for: record.name)
    let target = buffer.bound(to: Float.self)
    for index in 0..<count { target[index] = factor * Self.float(source, index, record.type) }
    floats.append(buffer)
    guard let base = target.baseAddress else { throw Failure(.internalError, "\(record.name): no memory") }
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
