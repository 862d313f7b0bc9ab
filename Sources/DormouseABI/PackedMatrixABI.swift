import CDormouse
import DormouseBoundary
import DormouseKernels
import DormouseSupport

@_cdecl("dormouse_packed_matrix_create") @implementation
public func dormouse_packed_matrix_create(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ config_json: UnsafePointer<CChar>!, _ weights: UnsafeRawPointer!,
  _ weight_type: Int32, _ scales: UnsafeRawPointer!, _ scale_type: Int32, _ block_rows: Int, _ block_columns: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let weights = CallerWeights(
      data: weights, type: weight_type, scales: scales, scaleType: scale_type, blockRows: block_rows,
      blockColumns: block_columns)
    out.pointee = Handle.make(try PackedMatrixPart(try readConfiguration(config_json), weights))
  }
}

@_cdecl("dormouse_packed_matrix_free") @implementation
public func dormouse_packed_matrix_free(_ matrix: OpaquePointer!) {
  Handle.free(matrix)
}

@_cdecl("dormouse_packed_matrix_size") @implementation
public func dormouse_packed_matrix_size(
  _ rows: UnsafeMutablePointer<Int>!, _ columns: UnsafeMutablePointer<Int>!, _ byte_count: UnsafeMutablePointer<Int>!,
  _ matrix: OpaquePointer!, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let matrix = try Handle.object(matrix, PackedMatrixPart.self, "matrix").matrix
    rows?.pointee = matrix.rows
    columns?.pointee = matrix.columns
    byte_count?.pointee = matrix.byteCount
  }
}

@_cdecl("dormouse_packed_matrix_dequantize") @implementation
public func dormouse_packed_matrix_dequantize(
  _ weights: UnsafeMutablePointer<Float>!, _ matrix: OpaquePointer!, _ first_row: Int, _ row_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let part = try Handle.object(matrix, PackedMatrixPart.self, "matrix")
    let rows = try part.rows(first: first_row, count: row_count)
    guard !rows.isEmpty else { return }
    part.dequantize(rows, into: try require(weights, "weights"))
  }
}

@_cdecl("dormouse_packed_matrix_multiply") @implementation
public func dormouse_packed_matrix_multiply(
  _ result: UnsafeMutablePointer<Float>!, _ matrix: OpaquePointer!, _ input: UnsafePointer<Float>!,
  _ token_count: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let part = try Handle.object(matrix, PackedMatrixPart.self, "matrix")
    try checkProductSizes(rows: part.matrix.rows, columns: part.matrix.columns, tokenCount: token_count)
    guard token_count > 0 else { return }
    try part.multiply(try require(input, "input"), count: token_count, into: try require(result, "result"))
  }
}

/// The packed matrix behind a handle. Immutable once made.
private final class PackedMatrixPart: Sendable {
  let matrix: PanelMatrix
  private let memory: AlignedBuffer
  private let kernels: Kernels

  /// Tokens whose input is rounded at a time: enough for the widest tile, and little memory.
  private static let chunk = 128

  /// - Parameter fields: the object that `dormouse_packed_matrix_create` describes.
  init(_ fields: JSONFields, _ weights: CallerWeights) throws(Failure) {
    try fields.refuseMembers(besides: ["type", "rows", "columns"])
    let rows = try fields.integer("rows", 1...Int(Int32.max))
    let columns = try fields.integer("columns", 1...Int(Int32.max))
    let name = try fields.string("type")
    guard let type = PackedType(rawValue: name) else {
      throw fields.wrong("type", .string(name), expected: "int8 or int4")
    }
    let source = try weights.matrix(rows: rows, columns: columns)
    kernels = try Kernels.selected()
    memory = try AlignedBuffer(
      byteCount: PanelMatrix.byteCount(type, rows: rows, columns: columns), for: "a packed matrix")
    let target = try require(memory.bytes.baseAddress, "the memory of a packed matrix")
    matrix = PanelMatrix(type: type, rows: rows, columns: columns, data: UnsafeRawPointer(target))
    try kernels.pack(source, as: type, into: target)
  }

  /// Rows `first ..< first + count`, all of which there are.
  func rows(first: Int, count: Int) throws(Failure) -> Range<Int> {
    guard first >= 0, count >= 0, first <= matrix.rows, count <= matrix.rows - first else {
      throw Failure(
        .invalidArgument,
        "\(UInt(bitPattern: count)) rows from row \(UInt(bitPattern: first)) on: the matrix has \(matrix.rows) rows")
    }
    return first..<first + count
  }

  /// target: [rows.count, columns].
  func dequantize(_ rows: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    for row in rows { kernels.dequantize(matrix, row: row, into: target + (row - rows.lowerBound) * matrix.columns) }
  }

  /// input: [count, columns]; result: [count, rows].
  func multiply(
    _ input: UnsafePointer<Float>, count: Int, into result: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    let chunk = min(count, PackedMatrixPart.chunk)
    let scratch = try AlignedBuffer(
      byteCount: QuantizedRows.byteCount(columns: matrix.columns, capacity: chunk), for: "rounded input")
    let base = try require(scratch.bytes.baseAddress, "the memory of rounded input")
    let rounded = QuantizedRows(memory: base, columns: matrix.columns, capacity: chunk)
    for first in stride(from: 0, to: count, by: chunk) {
      let tokens = min(chunk, count - first)
      kernels.quantize(
        input + first * matrix.columns, xStride: matrix.columns, count: tokens, columns: matrix.columns, into: rounded)
      kernels.multiply(
        matrix, rows: 0..<matrix.rows, x: rounded, count: tokens, into: result + first * matrix.rows,
        yStride: matrix.rows)
    }
    withExtendedLifetime(scratch) {}
  }
}
