import DormouseSupport

/// The bytes of a media file: a file on disk, or memory that the caller keeps.
enum ByteSource {
  case file(File)
  case memory(UnsafeRawBufferPointer)

  var count: Int {
    switch self {
    case .file(let file): file.size
    case .memory(let bytes): bytes.count
    }
  }

  /// Fills `buffer` with the bytes from `offset` on.
  /// - Throws: `Failure(.malformed)` when they are not inside the source, `.inputOutput` when reading fails.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    switch self {
    case .file(let file): try file.read(into: buffer, at: offset)
    case .memory(let bytes):
      guard offset >= 0, offset <= bytes.count, buffer.count <= bytes.count - offset else {
        throw Failure(.malformed, "\(buffer.count) bytes at offset \(offset) are not inside \(bytes.count) bytes")
      }
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + buffer.count]))
    }
  }

  /// The first bytes, at most `limit` of them.
  func prefix(_ limit: Int, from offset: Int = 0) throws(Failure) -> [UInt8] {
    guard offset >= 0, offset < count else { return [] }
    var bytes = [UInt8](repeating: 0, count: min(limit, count - offset))
    let outcome: Result<Void, Failure> = bytes.withUnsafeMutableBytes { buffer in
      do throws(Failure) { return .success(try read(into: buffer, at: offset)) } catch { return .failure(error) }
    }
    try outcome.get()
    return bytes
  }
}
