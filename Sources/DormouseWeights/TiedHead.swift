public import DormouseSupport

extension Checkpoint {
  /// Whether the files have a head of their own beside the embedding that it should be one with: what
  /// `tie_word_embeddings` says is then wrong, and the head is used (`tie_weights` of transformers 5.23 compares both,
  /// warns and does not tie them either).
  ///
  /// Reads both tensors up to the first difference, which is next to nothing where they differ.
  /// - Parameter log: told where they do.
  /// - Throws: `Failure(.inputOutput)` for files that can't be read, or have other sizes than when their headers were.
  public func hasOwnHead(_ head: String, besides embedding: String, log: Log) throws(Failure) -> Bool {
    guard has(head), has(embedding), try !areEqual(head, embedding) else { return false }
    log(
      .warning,
      "\(folder): config.json ties \(head) to \(embedding), but the files have both, and they differ: they are not tied;"
        + " tie_word_embeddings should be false")
    return true
  }

  /// Whether two tensors have the same type, shape and bytes.
  private func areEqual(_ left: String, _ right: String) throws(Failure) -> Bool {
    guard let left = record(of: left), let right = record(of: right) else { return false }
    guard left.type == right.type, left.shape == right.shape else { return false }
    return try haveEqualBytes(left, right)
  }

  /// Of tensors of as many bytes.
  private func haveEqualBytes(_ left: TensorRecord, _ right: TensorRecord) throws(Failure) -> Bool {
    let opened = try openFiles([left.fileIndex, right.fileIndex])
    guard let leftFile = opened[left.fileIndex], let rightFile = opened[right.fileIndex] else { return false }
    var done = 0
    var count = Checkpoint.firstPieceByteCount
    while done < left.byteCount {
      count = min(count, left.byteCount - done)
      let bytes = try leftFile.read(at: left.offset + done, count: count)
      guard try rightFile.read(at: right.offset + done, count: count) == bytes else { return false }
      done += count
      count = TensorReader.pieceByteCount
    }
    return true
  }

  /// Bytes that are compared first.
  private static var firstPieceByteCount: Int { 64 << 10 }
}
