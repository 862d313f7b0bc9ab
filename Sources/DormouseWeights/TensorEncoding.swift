public import DormouseKernels
public import DormouseSupport

/// How a matrix's numbers are coded in its file.
public struct TensorEncoding: Sendable {
  public let elementType: ElementType
  /// The scales of its blocks; nil for types that need none.
  public let scales: ScaleGrid?

  /// Scales beside a tensor, one for each block of rows and columns.
  public struct ScaleGrid: Sendable {
    public let record: TensorRecord
    /// How the scales are held in memory.
    public let storage: BlockScales.Storage
    /// Whether the file has them in 16 bits, so that they are converted to float32.
    public let isConverted: Bool
    public let rowBlock: Int
    public let columnBlock: Int
    /// Scales in a row of the grid.
    public let columns: Int
    /// Bytes in memory of the grid of one matrix.
    public let byteCount: Int
  }

  /// Finds out how the `count` matrices [rows, columns] of a tensor are coded.
  /// - Parameter count: nil for a tensor that is one matrix.
  /// - Throws: `Failure(.unsupported)` for a type that no product takes, `Failure(.malformed)` where scales are missing or
  ///   of another shape.
  public init(
    _ tensor: TensorRecord, count: Int?, rows: Int, columns: Int, in checkpoint: Checkpoint,
    _ quantization: BlockQuantization?
  ) throws(Failure) {
    switch tensor.type {
    case .float32: elementType = .float32
    case .float16: elementType = .float16
    case .bfloat16: elementType = .bfloat16
    case .float8E4M3:
      elementType = .float8E4M3
      scales = try ScaleGrid(tensor, count: count, rows: rows, columns: columns, in: checkpoint, quantization)
      return
    default:
      throw checkpoint.wrong(
        tensor, "has type \(tensor.type.rawValue); expected F32, F16, BF16 or F8_E4M3", .unsupported)
    }
    scales = nil
  }
}

extension TensorEncoding.ScaleGrid {
  /// The grid beside a float8 tensor: [count, rows / rowBlock, columns / columnBlock], rounded up, without `count` for a
  /// single matrix.
  fileprivate init(
    _ tensor: TensorRecord, count: Int?, rows: Int, columns: Int, in checkpoint: Checkpoint,
    _ quantization: BlockQuantization?
  ) throws(Failure) {
    guard let quantization else {
      throw Failure(
        .malformed,
        "\(checkpoint.folder): tensor \(tensor.name) has type F8_E4M3, but config.json has no quantization_config for its"
          + " block size")
    }
    rowBlock = quantization.rowBlock
    columnBlock = quantization.columnBlock
    self.columns = CheckedSize.ceilingQuotient(columns, columnBlock)
    let grid = [CheckedSize.ceilingQuotient(rows, rowBlock), self.columns]
    record = try checkpoint.record(
      of: Self.name(beside: tensor.name, in: checkpoint), shape: (count.map { [$0] } ?? []) + grid)
    isConverted = [.bfloat16, .float16].contains(record.type)
    switch record.type {
    case .float32, .bfloat16, .float16: storage = .float32
    case .float8E8M0: storage = .float8E8M0
    case .uint8 where quantization.powerOfTwoScales: storage = .float8E8M0
    default:
      throw checkpoint.wrong(
        record, "has type \(record.type.rawValue); expected F32, BF16, F16 or F8_E8M0 block scales", .unsupported)
    }
    byteCount = grid[0] * grid[1] * (storage == .float32 ? MemoryLayout<Float>.stride : 1)
  }

  /// `X.weight` has `X.weight_scale_inv`, or `X.scale` as in DeepSeek-V4; a fused tensor, whose name has no `.weight`, has
  /// `name_scale_inv`.
  private static func name(beside name: String, in checkpoint: Checkpoint) -> String {
    let usual = "\(name)_scale_inv"
    let ending = ".weight".utf8
    guard !checkpoint.has(usual), name.utf8.suffix(ending.count).elementsEqual(ending) else { return usual }
    let short = String(decoding: name.utf8.dropLast(ending.count), as: UTF8.self) + ".scale"
    return checkpoint.has(short) ? short : usual
  }
}
