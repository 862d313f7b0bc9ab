internal import DormouseSupport
internal import Synchronization

/// Reads tensors from their files into memory, in pieces of a few megabytes taken by all threads of a pool.
///
/// There are as many tasks as threads. Each begins at a file of its own and reads on there, which keeps the disk's reads
/// sequential; when a file is done, its tasks help with the next one.
struct TensorReader {
  /// Bytes of one read.
  static let pieceByteCount = 4 << 20

  /// What is done with a piece that was read: its number in its file, and its bytes.
  typealias Check = @Sendable (_ piece: Int, _ bytes: UnsafeRawBufferPointer) throws(Failure) -> Void

  private let lanes: [Lane]
  private let memory: AlignedBuffer
  private let progress: Progress?
  private let check: Check?
  private let total: Int

  init(plan: MemoryLayoutPlan, files: [Int: File], memory: AlignedBuffer, progress: Progress?) {
    var pieces: [Int: [Piece]] = [:]
    for (tensor, offset) in zip(plan.tensors, plan.offsets) {
      pieces[tensor.fileIndex, default: []] += Piece.cut(tensor.byteCount, source: tensor.offset, target: offset)
    }
    lanes = pieces.sorted { $0.key < $1.key }.compactMap { index, pieces in
      files[index].map { Lane(file: $0, pieces: pieces) }
    }
    self.memory = memory
    self.progress = progress
    check = nil
    total = plan.tensors.reduce(0) { $0 + $1.byteCount }
  }

  /// Fills `memory` with the bytes of one file from `offset` on.
  /// - Parameter check: told every piece of `pieceByteCount` bytes, the last one with what is left.
  init(file: File, offset: Int, memory: AlignedBuffer, progress: Progress?, check: @escaping Check) {
    lanes = [Lane(file: file, pieces: Piece.cut(memory.bytes.count, source: offset, target: 0))]
    self.memory = memory
    self.progress = progress
    self.check = check
    total = memory.bytes.count
  }

  /// Reads everything, or throws the first failure of any thread.
  func run(on pool: ThreadPool) throws(Failure) {
    let state = LoadingState(total: total, progress: progress)
    guard state.reportStart() else { throw LoadingState.cancelled }
    pool.run(pool.threadCount) { task, _ in work(task, of: pool.threadCount, state) }
    try state.finish()
  }

  private func work(_ task: Int, of taskCount: Int, _ state: LoadingState) {
    for step in 0..<lanes.count {
      let lane = lanes[(task * lanes.count / taskCount + step) % lanes.count]
      while !state.isStopped, let (index, piece) = lane.take() {
        let target = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[piece.target..<piece.target + piece.count])
        do throws(Failure) {
          try lane.file.read(into: target, at: piece.source)
          try check?(index, UnsafeRawBufferPointer(target))
          state.add(piece.count)
        } catch { state.fail(error) }
      }
    }
  }
}

/// A run of bytes of one tensor.
private struct Piece {
  let source: Int
  let target: Int
  let count: Int

  static func cut(_ byteCount: Int, source: Int, target: Int) -> [Piece] {
    stride(from: 0, to: byteCount, by: TensorReader.pieceByteCount).map { start in
      Piece(source: source + start, target: target + start, count: min(TensorReader.pieceByteCount, byteCount - start))
    }
  }
}

/// The pieces of one file, handed out one at a time.
private final class Lane: Sendable {
  let file: File
  private let pieces: [Piece]
  private let next = Atomic<Int>(0)

  init(file: File, pieces: [Piece]) {
    self.file = file
    self.pieces = pieces
  }

  func take() -> (index: Int, piece: Piece)? {
    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
    return index < pieces.count ? (index, pieces[index]) : nil
  }
}
