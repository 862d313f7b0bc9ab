internal import DormouseSupport
internal import Synchronization

/// Reads tensors from their files into memory, in pieces of a few megabytes taken by all threads of a pool.
///
/// There are as many tasks as threads. Each begins at a file of its own and reads on there, which keeps the disk's reads
/// sequential; when a file is done, its tasks help with the next one.
struct TensorReader {
  /// Bytes of one read.
  static let pieceByteCount = 4 << 20

  private let lanes: [Lane]
  private let memory: AlignedBuffer
  private let progress: Progress?
  private let total: Int

  init(plan: MemoryLayoutPlan, files: [Int: File], memory: AlignedBuffer, progress: Progress?) {
    var pieces: [Int: [Piece]] = [:]
    for (tensor, offset) in zip(plan.tensors, plan.offsets) {
      for start in stride(from: 0, to: tensor.byteCount, by: TensorReader.pieceByteCount) {
        let count = min(TensorReader.pieceByteCount, tensor.byteCount - start)
        pieces[tensor.fileIndex, default: []].append(
          Piece(source: tensor.offset + start, target: offset + start, count: count))
      }
    }
    lanes = pieces.sorted { $0.key < $1.key }.compactMap { index, pieces in
      files[index].map { Lane(file: $0, pieces: pieces) }
    }
    self.memory = memory
    self.progress = progress
    total = plan.tensors.reduce(0) { $0 + $1.byteCount }
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
      while !state.isStopped, let piece = lane.take() {
        let target = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[piece.target..<piece.target + piece.count])
        do throws(Failure) {
          try lane.file.read(into: target, at: piece.source)
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

  func take() -> Piece? {
    let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
    return index < pieces.count ? pieces[index] : nil
  }
}
