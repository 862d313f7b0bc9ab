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

  /// Finds out how the `count` matrices [rows, columns] of a tensor are coded, by its type and the tensors beside it.
  /// - Parameters:
  ///   - count: nil for a tensor that is one matrix.
  ///   - quantization: what `config.json` says of float8 weights.
  /// - Throws: `Failure(.unsupported)` for a type that no product takes, `Failure(.malformed)` where scales are missing or
  ///   of a shape that does not fit the tensor or the configuration's blocks.
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
      throw UnreadEncoding.refusal(ofWeight: tensor.name, in: checkpoint)
        ?? checkpoint.wrong(
          tensor, "has type \(tensor.type.rawValue); expected F32, F16, BF16 or F8_E4M3", .unsupported)
    }
    scales = nil
  }
}

extension Checkpoint {
  /// The record of a weight, which should have this shape.
  /// - Throws: as `record(of:shape:)`; where the tensors beside it tell of an encoding that is not read,
  ///   `Failure(.unsupported)` naming that.
  public func weightRecord(of name: String, shape: [Int]) throws(Failure) -> TensorRecord {
    do { return try record(of: name, shape: shape) } catch {
      throw UnreadEncoding.refusal(ofWeight: name, in: self) ?? error
    }
  }
}

// MARK: - Scales

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
    let outer = count.map { [$0] } ?? []
    let name = Self.name(beside: tensor.name, in: checkpoint)
    guard let record = checkpoint.record(of: name) else {
      throw checkpoint.absence(
        of: name, expected: quantization.block.map { outer + $0.grid(rows: rows, columns: columns) })
    }
    self.record = record
    let told =
      record.shape.starts(with: outer)
      ? BlockSize(ofMatrix: rows, columns, grid: record.shape.dropFirst(outer.count)) : nil
    guard let block = quantization.block ?? told else {
      throw checkpoint.wrong(
        record, "has shape \(record.shape); expected a scale for each block of \(tensor.name) \(tensor.shape)")
    }
    let grid = block.grid(rows: rows, columns: columns)
    guard record.shape == outer + grid else {
      let other = told.map { "; that is the shape for blocks of [\($0.rows), \($0.columns)]" } ?? ""
      throw checkpoint.wrong(
        record,
        "has shape \(record.shape); expected \(outer + grid), since \(quantization.sizeField) is"
          + " [\(block.rows), \(block.columns)]\(other)")
    }
    (rowBlock, columnBlock, self.columns) = (block.rows, block.columns, grid[1])
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
    guard !checkpoint.has(usual), name.hasSuffix(".weight") else { return usual }
    let short = "\(name.dropLast("weight".count))scale"
    return checkpoint.has(short) ? short : usual
  }
}
