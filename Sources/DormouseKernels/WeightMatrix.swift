internal import CPlatform

/// Scales of float8 blocks: the scale of element (r, c) is `grid[(firstRow + r) / rowBlock][c / columnBlock]`.
public struct BlockScales: @unchecked Sendable {
  public enum Storage: Sendable {
    case float32
    /// A power of two, 2^(byte - 127); 255 is NaN ("ue8m0").
    case float8E8M0
  }

  public var storage: Storage
  /// The grid's first number; any alignment.
  public var data: UnsafeRawPointer
  /// Blocks in a row of the grid.
  public var columns: Int
  public var rowBlock: Int
  public var columnBlock: Int
  /// The matrix row, counted in the grid's whole matrix, that row 0 is.
  public var firstRow: Int

  /// - Parameters:
  ///   - columns: blocks in a row of the grid, at least the matrix's columns / `columnBlock`, rounded up.
  ///   - rowBlock: rows a block covers; at least 1.
  ///   - columnBlock: columns a block covers; at least 1.
  public init(
    storage: Storage, data: UnsafeRawPointer, columns: Int, rowBlock: Int, columnBlock: Int, firstRow: Int = 0
  ) {
    self.storage = storage
    self.data = data
    self.columns = columns
    self.rowBlock = max(1, rowBlock)
    self.columnBlock = max(1, columnBlock)
    self.firstRow = firstRow
  }
}

extension BlockScales {
  /// The scale of element (`row`, `column`) of the matrix, which must have it.
  public func value(row: Int, column: Int) -> Float {
    let index = (firstRow + row) / rowBlock * columns + column / columnBlock
    switch storage {
    case .float32: return data.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
    case .float8E8M0:
      let exponent = data.load(fromByteOffset: index, as: UInt8.self)
      return exponent == 255 ? .nan : Float(sign: .plus, exponent: Int(exponent) - 127, significand: 1)
    }
  }
}

/// A row-major matrix [rows, columns] of memory that somebody else owns and keeps alive. Any alignment.
public struct WeightMatrix: @unchecked Sendable {
  public let elementType: ElementType
  public let rows: Int
  public let columns: Int
  public let data: UnsafeRawPointer
  /// Multiplied into every element, whatever its type; nil for none.
  public let scales: BlockScales?

  public init(elementType: ElementType, rows: Int, columns: Int, data: UnsafeRawPointer, scales: BlockScales? = nil) {
    self.elementType = elementType
    self.rows = max(0, rows)
    self.columns = max(0, columns)
    self.data = data
    self.scales = scales
  }

  /// The matrix of rows `rows` alone, clamped to those there are; its row 0 keeps its own scale.
  public func slice(rows wanted: Range<Int>) -> WeightMatrix {
    let kept = wanted.clamped(to: 0..<rows)
    var moved = scales
    moved?.firstRow += kept.lowerBound
    return WeightMatrix(
      elementType: elementType, rows: kept.count, columns: columns,
      data: data + kept.lowerBound * columns * elementType.byteCount, scales: moved)
  }

  /// The elements as they are stored.
  public var withoutScales: WeightMatrix {
    WeightMatrix(elementType: elementType, rows: rows, columns: columns, data: data)
  }

  /// Bytes of the elements, without the scales.
  public var byteCount: Int { rows * columns * elementType.byteCount }

  /// The same matrix as the kernels see it.
  var platform: platform_matrix {
    var result = platform_matrix()
    result.data = data
    result.columns = columns
    result.type = elementType.platform
    guard let scales else { return result }
    result.scales = scales.data
    result.scale_type =
      switch scales.storage {
      case .float32: Int32(PLATFORM_SCALE_FLOAT32)
      case .float8E8M0: Int32(PLATFORM_SCALE_E8M0)
      }
    result.scale_columns = scales.columns
    result.row_block = max(1, scales.rowBlock)
    result.column_block = max(1, scales.columnBlock)
    result.first_row = scales.firstRow
    return result
  }
}
