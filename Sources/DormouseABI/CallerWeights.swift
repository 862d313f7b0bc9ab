import CDormouse
import DormouseBoundary
import DormouseKernels
import DormouseSupport

/// Weights as callers hand them over: elements of a `DORMOUSE_TYPE_...`, with a grid of scales for F8_E4M3.
struct CallerWeights {
  let data: UnsafeRawPointer?
  let type: Int32
  let scales: UnsafeRawPointer?
  let scaleType: Int32
  let blockRows: Int
  let blockColumns: Int

  /// The matrix [rows, columns] over the caller's memory.
  /// - Throws: `Failure(.invalidArgument)` for a size, a type or a combination that there is not.
  func matrix(rows: Int, columns: Int) throws(Failure) -> WeightMatrix {
    let elementType = try elementType()
    guard rows > 0, columns > 0 else {
      throw Failure(.invalidArgument, "rows and columns must be at least 1: they are \(rows) and \(columns)")
    }
    _ = try callerSize(rows, columns, MemoryLayout<Float>.size)
    return WeightMatrix(
      elementType: elementType, rows: rows, columns: columns, data: try require(data, "weights"),
      scales: try blockScales(elementType, columns: columns))
  }

  private func elementType() throws(Failure) -> ElementType {
    switch type {
    case Int32(DORMOUSE_TYPE_F32): return .float32
    case Int32(DORMOUSE_TYPE_F16): return .float16
    case Int32(DORMOUSE_TYPE_BF16): return .bfloat16
    case Int32(DORMOUSE_TYPE_F8_E4M3): return .float8E4M3
    default: throw Failure(.invalidArgument, "weight_type is \(type), which is not a type of weights")
    }
  }

  private func blockScales(_ elementType: ElementType, columns: Int) throws(Failure) -> BlockScales? {
    guard elementType == .float8E4M3 else {
      guard scales == nil, scaleType == 0, blockRows == 0, blockColumns == 0 else {
        throw Failure(.invalidArgument, "only F8_E4M3 weights have scales: scales must be NULL and its sizes 0")
      }
      return nil
    }
    let storage: BlockScales.Storage
    switch scaleType {
    case Int32(DORMOUSE_TYPE_F32): storage = .float32
    case Int32(DORMOUSE_TYPE_F8_E8M0): storage = .float8E8M0
    default: throw Failure(.invalidArgument, "scale_type is \(scaleType); F8_E4M3 weights take F32 or F8_E8M0 scales")
    }
    guard blockRows > 0, blockColumns > 0 else {
      throw Failure(.invalidArgument, "block_rows and block_columns must be at least 1: \(blockRows), \(blockColumns)")
    }
    return BlockScales(
      storage: storage, data: try require(scales, "scales"),
      columns: CheckedSize.ceilingQuotient(columns, blockColumns), rowBlock: blockRows, columnBlock: blockColumns,
      firstRow: 0)
  }
}

/// A size that the caller's arrays must have, so it can't be beyond the address space.
func callerSize(_ factors: Int...) throws(Failure) -> Int {
  do { return try CheckedSize.product(factors, of: "the size of an array") } catch {
    throw Failure(.invalidArgument, error.message)
  }
}

/// Refuses input [tokenCount, columns] and result [tokenCount, rows], float32, that no memory could hold.
func checkProductSizes(rows: Int, columns: Int, tokenCount: Int) throws(Failure) {
  guard tokenCount >= 0 else { throw Failure(.invalidArgument, "token_count is out of range") }
  for width in [rows, columns] { _ = try callerSize(tokenCount, width, MemoryLayout<Float>.size) }
}
