import DormouseSupport

/// Walks over the chunks of a WebP file (RIFF): four characters, a 32-bit size, the data, a byte of padding.
struct WebPChunks {
  struct Chunk {
    var name: String
    /// Where the data stands in the file, and how long it is; always inside the file.
    var offset: Int
    var byteCount: Int
  }

  private let source: ByteSource
  private var offset: Int
  private let end: Int

  init(_ source: ByteSource) { self.init(source, from: 12, to: source.count) }

  /// The chunks inside the data of another one.
  init(_ source: ByteSource, from offset: Int, to end: Int) {
    self.source = source
    self.offset = offset
    self.end = min(end, source.count)
  }

  /// The next chunk; nil at the end, and where a chunk is not whole.
  mutating func next() throws(Failure) -> Chunk? {
    guard offset <= end - 8 else { return nil }
    let header = try source.prefix(8, from: offset)
    guard header.count == 8 else { return nil }
    let byteCount = header[4...].reversed().reduce(0) { $0 << 8 | Int($1) }
    let chunk = Chunk(name: String(decoding: header[..<4], as: UTF8.self), offset: offset + 8, byteCount: byteCount)
    guard byteCount <= end - chunk.offset else { return nil }
    offset = chunk.offset + byteCount + byteCount % 2
    return chunk
  }
}
