internal import DormouseSupport

/// The bytes of loaded tensors, valid as long as this object lives. It owns the memory, or the maps of the files.
///
/// A tensor begins at a multiple of 64 in memory of the store's own, and at a multiple of its element's size in a map;
/// a mapped tensor that a file places elsewhere is copied into memory.
public final class TensorStore: @unchecked Sendable {
  struct Entry {
    let bytes: UnsafeRawBufferPointer
    /// The map that `bytes` lie in, and the range there; nil in memory of the store's own.
    let map: (file: MappedFile, range: Range<Int>)?
  }

  /// Bytes of all tensors together.
  public let byteCount: Int
  /// Bytes of those that lie in memory of the store's own.
  public let residentByteCount: Int
  private let entries: [ExactString: Entry]
  private let memory: AlignedBuffer

  init(entries: [ExactString: Entry], memory: AlignedBuffer) {
    self.entries = entries
    self.memory = memory
    byteCount = entries.values.reduce(0) { $0 + $1.bytes.count }
    residentByteCount = entries.values.reduce(0) { $0 + ($1.map == nil ? $1.bytes.count : 0) }
  }

  /// The bytes of the tensor called `name`, row-major and little-endian; nil for a tensor that was not loaded. They must
  /// not be used after the store is gone.
  public func bytes(of name: String) -> UnsafeRawBufferPointer? { entries[ExactString(name)]?.bytes }

  /// Asks the system to read a mapped tensor ahead of its first use; does nothing for any other.
  public func prefetch(_ name: String) {
    if let map = entries[ExactString(name)]?.map { map.file.prefetch(map.range) }
  }
}
