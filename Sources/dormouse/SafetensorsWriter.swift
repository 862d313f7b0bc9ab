/// Writes one float32 tensor to a safetensors file, piece by piece.
final class SafetensorsWriter {
  private let file: ReplacedFile
  private var expectedBytes: Int

  /// - Parameter shape: of the tensor, row-major.
  init(_ path: String, tensor: String, shape: [Int]) throws(CommandFailure) {
    expectedBytes = try SafetensorsWriter.byteCount(shape, path)
    file = try ReplacedFile(path)
    let dimensions = shape.map(String.init).joined(separator: ",")
    var header = #"{"\#(tensor)":{"dtype":"F32","shape":[\#(dimensions)],"data_offsets":[0,\#(expectedBytes)]}}"#
    // The data begins at a multiple of 8, so that readers may map it.
    header += String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let length = UInt64(header.utf8.count).littleEndian
    try withUnsafeBytes(of: length) { bytes throws(CommandFailure) in try file.write(bytes) }
    try file.write(header)
  }

  func append(_ values: ArraySlice<Float>) throws(CommandFailure) {
    try values.withUnsafeBufferPointer { values throws(CommandFailure) in
      let bytes = UnsafeRawBufferPointer(values)
      expectedBytes -= bytes.count
      try file.write(bytes)
    }
  }

  func finish() throws(CommandFailure) {
    guard expectedBytes == 0 else { throw CommandFailure(message: "\(file.path): \(expectedBytes) bytes are missing") }
    try file.finish()
  }

  private static func byteCount(_ shape: [Int], _ path: String) throws(CommandFailure) -> Int {
    var bytes = MemoryLayout<Float>.size
    for dimension in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: dimension)
      guard !overflow, dimension >= 0 else { throw CommandFailure(message: "\(path): the tensor would be too large") }
      bytes = product
    }
    return bytes
  }
}
