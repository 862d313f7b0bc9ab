public import DormouseSupport

/// A file that keeps a model's packed matrices, so that the next start reads them instead of packing them again.
///
/// Nothing that is wrong with the file or its folder is a failure: the log gets a line that says why, and the matrices
/// are packed. Several models may share a folder. A file has one name for each model and precision, so that a changed
/// model's file takes the place of the old one.
public struct PackedCache: Sendable {
  public let path: String
  private let identity: [UInt8]
  private let log: Log

  /// - Parameters:
  ///   - folder: where the file is; made if only its last part is missing.
  ///   - precision: how the matrices are packed, as a part of the file's name.
  /// - Returns: nil, after a warning, where there is no such folder.
  public init?(
    folder: String, checkpoint: Checkpoint, precision: String, jobs: [PackingJob], log: Log
  ) {
    do throws(Failure) { try File.makeFolder(folder) } catch {
      log(.warning, "packed weights are not kept: \(error)")
      return nil
    }
    let model = PackedCache.name(of: checkpoint.folder, in: folder)
    path = "\(folder)/\(PackedCache.hexadecimal(XXHash64.hash(Array(model.utf8))))-\(precision).panels"
    identity = PackedCache.identity(of: checkpoint, precision: precision, jobs: jobs)
    self.log = log
  }

  /// Fills `memory` with the file's packed bytes, read by all threads and checked.
  ///
  /// - Parameter progress: called on this thread with bytes read and to read; returning `false` cancels.
  /// - Returns: whether the memory holds the model; if not, the log knows why.
  /// - Throws: `Failure(.cancelled)`.
  public func load(into memory: AlignedBuffer, pool: ThreadPool, progress: Progress?) throws(Failure) -> Bool {
    do throws(Failure) {
      guard File.exists(path) else { throw Failure(.notFound, "it is not there yet") }
      try read(into: memory, pool, progress)
      log(.information, "\(path): read \(memory.bytes.count) bytes of packed weights")
      return true
    } catch {
      if error.status == .cancelled { throw error }
      let isExpected = error.status == .notFound || error.status == .unsupported
      log(isExpected ? .information : .warning, "\(path): packing the weights anew: \(error)")
      return false
    }
  }

  private func read(into memory: AlignedBuffer, _ pool: ThreadPool, _ progress: Progress?) throws(Failure) {
    let file = try File(path: path)
    let header = PackedCacheHeader(identity: identity, byteCount: memory.bytes.count)
    let checksums = try header.checksums(in: file)
    let reader = TensorReader(file: file, offset: header.dataOffset, memory: memory, progress: progress) {
      (piece, bytes) throws(Failure) in
      guard piece < checksums.count, XXHash64.hash(bytes) == checksums[piece] else {
        throw Failure(.malformed, "its piece \(piece) of \(TensorReader.pieceByteCount) bytes is damaged")
      }
    }
    try reader.run(on: pool)
  }

  /// Begins to write the packed bytes of `memory`, which must not change any more, for the next start.
  ///
  /// - Returns: what is at work on it; nil, after a line in the log, when the file cannot be made.
  public func save(_ memory: AlignedBuffer) -> PackedCacheWriter? {
    do throws(Failure) {
      return try PackedCacheWriter(
        path: path, header: PackedCacheHeader(identity: identity, byteCount: memory.bytes.count), memory: memory,
        log: log)
    } catch {
      PackedCache.report(error, to: log)
      return nil
    }
  }

  /// Another process that writes the same file is nothing to warn about.
  static func report(_ failure: Failure, to log: Log) {
    log(failure.status == .busy ? .information : .warning, "packed weights are not kept: \(failure)")
  }
}

// MARK: - Whose file it is

extension PackedCache {
  /// What names a model in `folder`: its path, or ".." for all that lies in the model's own folder, which may then be
  /// moved as a whole.
  private static func name(of model: String, in folder: String) -> String {
    let model = File.canonicalPath(model) ?? model
    let folder = File.canonicalPath(folder) ?? folder
    return folder.utf8.starts(with: (model + "/").utf8) ? ".." : model
  }

  /// All that the packed bytes depend on: the files, as they were when their headers were read, and what is packed
  /// from where to where.
  private static func identity(of checkpoint: Checkpoint, precision: String, jobs: [PackingJob]) -> [UInt8] {
    var text = "precision \(precision)\n"
    for (index, path) in checkpoint.files.enumerated() {
      // From the model's folder on: it may have moved.
      let start = checkpoint.folder + "/"
      let isInside = path.utf8.starts(with: start.utf8)
      let name = isInside ? String(decoding: path.utf8.dropFirst(start.utf8.count), as: UTF8.self) : path
      text += "file \(name) \(checkpoint.fileSizes[index]) \(checkpoint.fileTimes[index])\n"
    }
    var words: [UInt8] = []
    words.reserveCapacity(jobs.count * 96)
    for job in jobs {
      append([job.fileIndex, job.offset, job.source.rows, job.source.columns, job.target], to: &words)
      let scales = job.source.scales
      append(
        [scales?.rowBlock ?? 0, scales?.columnBlock ?? 0, scales?.columns ?? 0, scales?.firstRow ?? 0], to: &words)
      let turned = job.isTransposed ? " turned" : ""
      words += "\(job.source.elementType) \(job.type)\(turned)\(scales.map { " \($0.storage)" } ?? "")\n".utf8
    }
    text += "matrices \(jobs.count) \(hexadecimal(XXHash64.hash(words)))\n"
    return Array(text.utf8)
  }

  private static func append(_ numbers: [Int], to bytes: inout [UInt8]) {
    for number in numbers { withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) } }
  }

  private static func hexadecimal(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: max(0, 16 - digits.utf8.count)) + digits
  }
}
