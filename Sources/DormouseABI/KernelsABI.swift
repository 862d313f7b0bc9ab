import CDormouse
import DormouseBoundary
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
    let matrix = try CallerWeights(
      data: weights, type: weight_type, scales: scales, scaleType: scale_type, blockRows: block_rows,
      blockColumns: block_columns
    ).matrix(rows: rows, columns: columns)
    try checkProductSizes(rows: rows, columns: columns, tokenCount: token_count)
    guard token_count > 0 else { return }
    try Kernels.selected().multiply(
      matrix, rows: 0..<rows, x: try require(input, "input"), xStride: columns, count: token_count,
      into: try require(result, "result"), yStride: rows)
  }
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
