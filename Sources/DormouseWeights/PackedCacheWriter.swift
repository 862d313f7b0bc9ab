import DormouseSupport

/// A file of packed weights that is being written while the model is at work already: the disk takes longer than the
/// packing, and nobody needs the file before the next start.
///
/// The file appears whole or not at all. When this object goes it waits for the end and logs how it went. The writing
/// thread itself logs nothing, so that the host's log function is called on the host's own threads alone.
public final class PackedCacheWriter: Sendable {
  private let job: BackgroundJob
  private let work: Work
  private let log: Log

  /// Makes the file beside `path` and begins to fill it.
  /// - Throws: `Failure(.busy)` when another process or engine writes the same file; what `ReplacementFile` throws; and
  ///   `Failure(.outOfMemory)`.
  init(path: String, header: PackedCacheHeader, memory: AlignedBuffer, log: Log) throws(Failure) {
    let work = Work(
      file: try ReplacementFile(path: path, byteCount: header.fileByteCount), header: header, memory: memory)
    self.work = work
    self.log = log
    log(.information, "\(path): writing \(memory.bytes.count) bytes of packed weights in the background")
    job = try BackgroundJob(name: "dormouse-writer") { work.run() }
  }

  /// Waits until the file is on the disk, or has failed to be.
  deinit {
    job.wait()
    if let failure = work.failure.withLock({ $0 }) {
      PackedCache.report(failure, to: log)
    } else {
      log(.information, "\(work.file.path): wrote \(work.memory.bytes.count) bytes of packed weights")
    }
  }
}

/// What the thread holds on to.
private final class Work: Sendable {
  let file: ReplacementFile
  let memory: AlignedBuffer
  let failure = Locked<Failure?>(nil)
  private let header: PackedCacheHeader

  init(file: ReplacementFile, header: PackedCacheHeader, memory: AlignedBuffer) {
    self.file = file
    self.header = header
    self.memory = memory
  }

  func run() {
    do throws(Failure) { try write() } catch { failure.withLock { $0 = error } }
  }

  /// The header comes last: it has the checksums of all pieces.
  private func write() throws(Failure) {
    var checksums: [UInt64] = []
    checksums.reserveCapacity(header.pieceCount)
    for start in stride(from: 0, to: memory.bytes.count, by: TensorReader.pieceByteCount) {
      let end = min(start + TensorReader.pieceByteCount, memory.bytes.count)
      let bytes = UnsafeRawBufferPointer(rebasing: memory.bytes[start..<end])
      checksums.append(XXHash64.hash(bytes))
      try file.write(bytes, at: header.dataOffset + start)
    }
    let encoded = header.encoded(checksums: checksums)
    let outcome: Result<Void, Failure> = encoded.withUnsafeBytes { bytes in
      do throws(Failure) { return .success(try file.write(bytes, at: 0)) } catch { return .failure(error) }
    }
    try outcome.get()
    try file.commit()
  }
}
