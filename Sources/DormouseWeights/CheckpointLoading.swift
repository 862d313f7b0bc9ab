public import DormouseSupport

extension Checkpoint {
  /// Loads the tensors called `names`; all others stay on disk, and no file is read as a whole.
  ///
  /// `memory` needs the bytes of the tensors and next to nothing else; shards are read at the same time, and large ones
  /// by several threads of `pool`. `mapped` returns at once and reads only the tensors it must copy (`TensorStore`).
  /// - Parameters:
  ///   - progress: called on this thread with bytes read and to read, at the start and about every 4 MiB; returning
  ///     `false` cancels.
  /// - Throws: `Failure(.notFound)` for a tensor that no file has or a file that is gone, `.inputOutput` for a file that
  ///   can't be read or has another size than when its header was read, `.outOfMemory`, `.cancelled`.
  public func load(
    _ names: [String], residency: Residency, pool: ThreadPool, progress: Progress?
  ) throws(Failure) -> TensorStore {
    let tensors = try records(of: names)
    let files = try openFiles(Set(tensors.map(\.fileIndex)))
    var maps: [Int: MappedFile] = [:]
    if residency == .mapped {
      for (index, file) in files { maps[index] = try file.map() }
    }
    let copied = tensors.filter { !Checkpoint.canStayMapped($0, in: maps) }
    let layout = try MemoryLayoutPlan(of: copied)
    let memory = try AlignedBuffer(byteCount: layout.byteCount, for: "weights of \(folder)")
    try TensorReader(plan: layout, files: files, memory: memory, progress: progress).run(on: pool)
    var entries: [ExactString: TensorStore.Entry] = [:]
    entries.reserveCapacity(tensors.count)
    for (tensor, offset) in zip(copied, layout.offsets) {
      let bytes = UnsafeRawBufferPointer(rebasing: memory.bytes[offset..<offset + tensor.byteCount])
      entries[ExactString(tensor.name)] = TensorStore.Entry(bytes: bytes, map: nil)
    }
    for tensor in tensors {
      guard let map = maps[tensor.fileIndex], Checkpoint.canStayMapped(tensor, in: maps) else { continue }
      let range = tensor.offset..<tensor.offset + tensor.byteCount
      let bytes = UnsafeRawBufferPointer(rebasing: map.bytes[range])
      entries[ExactString(tensor.name)] = TensorStore.Entry(bytes: bytes, map: (map, range))
    }
    return TensorStore(entries: entries, memory: memory)
  }

  /// The records of `names`, each one once, in the order of files and bytes.
  private func records(of names: [String]) throws(Failure) -> [TensorRecord] {
    var seen: Set<ExactString> = []
    var tensors: [TensorRecord] = []
    tensors.reserveCapacity(names.count)
    for name in names where seen.insert(ExactString(name)).inserted {
      guard let tensor = record(of: name) else {
        throw Failure(.notFound, "\(folder): no file has a tensor \(Excerpt.name(name))")
      }
      tensors.append(tensor)
    }
    return tensors.sorted { ($0.fileIndex, $0.offset) < ($1.fileIndex, $1.offset) }
  }

  /// Opens files by their index.
  /// - Throws: `Failure(.inputOutput)` for a file that has another size than when its header was read.
  func openFiles(_ indices: Set<Int>) throws(Failure) -> [Int: File] {
    var opened: [Int: File] = [:]
    for index in indices {
      let file = try File(path: files[index])
      guard file.size == fileSizes[index] else {
        throw Failure(
          .inputOutput,
          "\(file.path): the file had \(fileSizes[index]) bytes when its header was read and has \(file.size) now")
      }
      opened[index] = file
    }
    return opened
  }

  private static func canStayMapped(_ tensor: TensorRecord, in maps: [Int: MappedFile]) -> Bool {
    maps[tensor.fileIndex] != nil && tensor.offset % tensor.type.byteCount == 0 && tensor.byteCount > 0
  }
}

/// Where tensors go in one block of memory: one after another, each at the next multiple of 64.
struct MemoryLayoutPlan {
  let tensors: [TensorRecord]
  let offsets: [Int]
  let byteCount: Int

  init(of tensors: [TensorRecord]) throws(Failure) {
    var offsets: [Int] = []
    offsets.reserveCapacity(tensors.count)
    var end = 0
    for tensor in tensors {
      let start = end
      offsets.append(start)
      let padded = try CheckedSize.sum(
        start, tensor.byteCount, AlignedBuffer.alignment - 1, of: "the weights' size in memory")
      end = padded / AlignedBuffer.alignment * AlignedBuffer.alignment
    }
    self.tensors = tensors
    self.offsets = offsets
    byteCount = end
  }
}
