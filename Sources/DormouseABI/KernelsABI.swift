import CDormouse
import DormouseEngine
import DormouseKernels
import DormouseSupport

@_cdecl("dormouse_kernels_list") @implementation
public func dormouse_kernels_list(
  _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let document: JSON = [
      "built": .array(Kernels.built().map { .string($0.rawValue) }),
      "usable": .array(Kernels.usable().map { .string($0.rawValue) }),
      "chosen": .string(try Kernels.selected().instructionSet.rawValue),
    ]
    try deliver(text: Array(document.text().utf8), buffer, capacity, length)
  }
}

@_cdecl("dormouse_kernels_force") @implementation
public func dormouse_kernels_force(
  _ name: UnsafePointer<CChar>!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    guard let name = try readOptionalString(name, "name") else { return try Kernels.force(nil) }
    guard let set = InstructionSet(rawValue: name) else {
      let known = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
      throw Failure(.invalidArgument, "'\(name)' is not an instruction set; known are: \(known)")
    }
    try Kernels.force(set)
  }
}

@_cdecl("dormouse_kernels_multiply") @implementation
public func dormouse_kernels_multiply(
  _ result: UnsafeMutablePointer<Float>!, _ weights: UnsafeRawPointer!, _ weight_type: Int32,
  _ scales: UnsafeRawPointer!, _ scale_type: Int32, _ block_rows: Int, _ block_columns: Int, _ rows: Int,
  _ columns: Int, _ input: UnsafePointer<Float>!, _ token_count: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let type = try elementType(weight_type)
    guard rows > 0, columns > 0, token_count >= 0 else {
      throw Failure(.invalidArgument, "rows and columns must be at least 1: they are \(rows) and \(columns)")
    }
    for (a, b) in [(rows, columns), (token_count, rows), (token_count, columns)] {
      _ = try callerSize(a, b, MemoryLayout<Float>.size)
    }
    let matrix = WeightMatrix(
      elementType: type, rows: rows, columns: columns, data: try require(weights, "weights"),
      scales: try blockScales(type, scales, scale_type, block_rows, block_columns, columns: columns))
    guard token_count > 0 else { return }
    try Kernels.selected().multiply(
      matrix, rows: 0..<rows, x: try require(input, "input"), xStride: columns, count: token_count,
      into: try require(result, "result"), yStride: rows)
  }
}

/// A size that the caller's arrays must have, so it can't be beyond the address space.
private func callerSize(_ factors: Int...) throws(Failure) -> Int {
  do { return try CheckedSize.product(factors, of: "the size of an array") } catch {
    throw Failure(.invalidArgument, error.message)
  }
}

private func elementType(_ number: Int32) throws(Failure) -> ElementType {
  switch number {
  case Int32(DORMOUSE_TYPE_F32): return .float32
  case Int32(DORMOUSE_TYPE_F16): return .float16
  case Int32(DORMOUSE_TYPE_BF16): return .bfloat16
  case Int32(DORMOUSE_TYPE_F8_E4M3): return .float8E4M3
  default: throw Failure(.invalidArgument, "weight_type is \(number), which is not a type of weights")
  }
}

private func blockScales(
  _ type: ElementType, _ data: UnsafeRawPointer?, _ scaleType: Int32, _ blockRows: Int, _ blockColumns: Int,
  columns: Int
) throws(Failure) -> BlockScales? {
  guard type == .float8E4M3 else {
    guard data == nil, scaleType == 0, blockRows == 0, blockColumns == 0 else {
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
    storage: storage, data: try require(data, "scales"),
    columns: CheckedSize.ceilingQuotient(columns, blockColumns), rowBlock: blockRows, columnBlock: blockColumns,
    firstRow: 0)
}

@_cdecl("dormouse_machine_measure") @implementation
public func dormouse_machine_measure(
  _ bytes_per_second: UnsafeMutablePointer<Double>!, _ operations_per_second: UnsafeMutablePointer<Double>!,
  _ thread_count: UInt32, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let bytes = try require(bytes_per_second, "bytes_per_second")
    let operations = try require(operations_per_second, "operations_per_second")
    let limits = try MachineMeasurement(threadCount: Int(thread_count))
    bytes.pointee = limits.bytesPerSecond
    operations.pointee = limits.operationsPerSecond
  }
}
