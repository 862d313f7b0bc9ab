import DormouseSupport

/// The bytes of a media file: a file on disk, or memory that the caller keeps.
enum ByteSource {
  case file(File)
  case memory(UnsafeRawBufferPointer)
  /// What is left of another source.
  case parts(SourceParts)

  var count: Int {
    switch self {
    case .file(let file): file.size
    case .memory(let bytes): bytes.count
    case .parts(let parts): parts.count
    }
  }

  /// Fills `buffer` with the bytes from `offset` on.
  /// - Throws: `Failure(.malformed)` when they are not inside the source, `.inputOutput` when reading fails.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    switch self {
    case .file(let file): try file.read(into: buffer, at: offset)
    case .parts(let parts): try parts.read(into: buffer, at: offset)
    case .memory(let bytes):
      try ByteSource.check(offset, buffer.count, in: bytes.count)
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + buffer.count]))
    }
  }

  fileprivate static func check(_ offset: Int, _ count: Int, in size: Int) throws(Failure) {
    guard offset >= 0, offset <= size, count <= size - offset else {
      throw Failure(.malformed, "\(count) bytes at offset \(offset) are not inside \(size) bytes")
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

/// Parts of a source, one behind the other.
final class SourceParts {
  private let source: ByteSource
  private let parts: [Range<Int>]
  /// Where each part begins among the bytes that are left.
  private let starts: [Int]
  let count: Int

  /// - Parameter parts: ascending ranges inside of the source, none of them empty.
  init(_ source: ByteSource, _ parts: [Range<Int>]) {
    self.source = source
    self.parts = parts
    var (starts, count): ([Int], Int) = ([], 0)
    for part in parts {
      starts.append(count)
      count += part.count
    }
    self.starts = starts
    self.count = count
  }

  /// As `ByteSource.read`.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    try ByteSource.check(offset, buffer.count, in: count)
    var (index, done) = (starts.partitionIndex { $0 > offset } - 1, 0)
    while done < buffer.count {
      let within = offset + done - starts[index]
      let size = min(parts[index].count - within, buffer.count - done)
      try source.read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + size]),
        at: parts[index].lowerBound + within)
      done += size
      index += 1
    }
  }
}
