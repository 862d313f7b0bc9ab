import Glibc

/// Writes one float32 tensor to a safetensors file, piece by piece. The file gets its name only when it is whole; until
/// then, and if the work fails, there is nothing of that name that was not there before.
final class SafetensorsWriter {
  private let path: String
  private let temporaryPath: String
  private let file: Int32
  private var isFinished = false
  private var expectedBytes: Int

  /// - Parameter shape: of the tensor, row-major.
  init(_ path: String, tensor: String, shape: [Int]) throws(CommandFailure) {
    self.path = path
    temporaryPath = "\(path).partial-\(getpid())"
    expectedBytes = try SafetensorsWriter.byteCount(shape, path)
    try SafetensorsWriter.refuseSpecialFile(path)
    file = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard file >= 0 else {
      throw CommandFailure(message: "\(temporaryPath): cannot create it: \(Console.describe(errno))")
    }
    let dimensions = shape.map(String.init).joined(separator: ",")
    var header = #"{"\#(tensor)":{"dtype":"F32","shape":[\#(dimensions)],"data_offsets":[0,\#(expectedBytes)]}}"#
    // The data begins at a multiple of 8, so that readers may map it.
    header += String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let length = UInt64(header.utf8.count).littleEndian
    try withUnsafeBytes(of: length) { bytes throws(CommandFailure) in try write(bytes) }
    try Array(header.utf8).withUnsafeBufferPointer { bytes throws(CommandFailure) in
      try write(UnsafeRawBufferPointer(bytes))
    }
  }

  deinit {
    close(file)
    if !isFinished { unlink(temporaryPath) }
  }

  func append(_ values: ArraySlice<Float>) throws(CommandFailure) {
    try values.withUnsafeBufferPointer { values throws(CommandFailure) in
      let bytes = UnsafeRawBufferPointer(values)
      expectedBytes -= bytes.count
      try write(bytes)
    }
  }

  func finish() throws(CommandFailure) {
    guard expectedBytes == 0 else { throw CommandFailure(message: "\(path): \(expectedBytes) bytes are missing") }
    guard fsync(file) == 0, rename(temporaryPath, path) == 0 else {
      throw CommandFailure(message: "\(path): cannot write it: \(Console.describe(errno))")
    }
    isFinished = true
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

  /// Renaming over a device or a folder is never what was meant.
  private static func refuseSpecialFile(_ path: String) throws(CommandFailure) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw CommandFailure(message: "\(path): there is something else than a file of this name")
    }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(CommandFailure) {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(file, bytes.baseAddress?.advanced(by: done), bytes.count - done)
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw CommandFailure(message: "\(temporaryPath): cannot write it: \(Console.describe(errno))")
      }
    }
  }
}
