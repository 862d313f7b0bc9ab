public import DormouseKernels
public import DormouseSupport

/// A matrix of a checkpoint that is to be packed: where its bytes are, and where the panels go.
public struct PackingJob: Sendable {
  /// The matrix as the file has it; its data is not used, its scales are.
  public let source: WeightMatrix
  /// The file in `Checkpoint.files`, and where row 0 begins in it.
  public let fileIndex: Int
  public let offset: Int
  public let type: PackedType
  /// Whether the rows of the packed matrix are the columns of the file's.
  public let isTransposed: Bool
  /// Bytes from the start of the packed memory.
  public let target: Int

  public init(
    source: WeightMatrix, fileIndex: Int, offset: Int, type: PackedType, isTransposed: Bool = false, target: Int
  ) {
    self.source = source
    self.fileIndex = fileIndex
    self.offset = offset
    self.type = type
    self.isTransposed = isTransposed
    self.target = target
  }

  /// The packed matrix, whose place is still to be filled in.
  fileprivate var packed: PanelMatrix {
    let (rows, columns) = isTransposed ? (source.columns, source.rows) : (source.rows, source.columns)
    return PanelMatrix(type: type, rows: rows, columns: columns, data: source.data)
  }
}

/// Reads matrices piece by piece and packs each piece, on all threads: beside the packed memory it takes a megabyte or
/// two a thread, whatever the size of the model.
public struct WeightPacker {
  private let jobs: [PackingJob]
  private let pieces: [Piece]
  private let files: [Int: File]
  private let kernels: Kernels

  /// Bytes of the files read at a time: few enough to be packed from a core's own cache.
  static let pieceByteCount = 1 << 19

  /// Panels of one matrix; all of them where it is transposed, since each has a bit of every row of the file.
  private struct Piece {
    let job: Int
    let panels: Range<Int>
  }

  /// - Throws: `Failure(.notFound)` or `.inputOutput` for a file that is gone or has another size than when its header
  ///   was read.
  public init(_ jobs: [PackingJob], of checkpoint: Checkpoint, kernels: Kernels) throws(Failure) {
    self.jobs = jobs
    self.kernels = kernels
    files = try checkpoint.openFiles(Set(jobs.map(\.fileIndex)))
    var pieces: [Piece] = []
    for (index, job) in jobs.enumerated() {
      let perPanel = max(1, job.source.columns * job.source.elementType.byteCount * PanelMatrix.panelRows)
      let count = job.packed.panelCount
      let step = job.isTransposed ? max(1, count) : max(1, WeightPacker.pieceByteCount / perPanel)
      for first in stride(from: 0, to: count, by: step) {
        pieces.append(Piece(job: index, panels: first..<min(first + step, count)))
      }
    }
    self.pieces = pieces
  }

  /// Bytes of the files that are read.
  public var sourceByteCount: Int { jobs.reduce(0) { $0 + $1.source.byteCount } }

  /// - Parameters:
  ///   - memory: as large as the jobs' targets need.
  ///   - progress: called on this thread with bytes read and to read; returning `false` cancels.
  /// - Throws: `Failure(.inputOutput)`, `.outOfMemory`, `.cancelled`; the memory then holds no model.
  public func run(
    into memory: UnsafeMutableRawBufferPointer, pool: ThreadPool, progress: Progress?
  ) throws(Failure) {
    let state = LoadingState(total: sourceByteCount, progress: progress)
    guard state.reportStart() else { throw LoadingState.cancelled }
    let benches = try workbenches(pool.threadCount)
    pool.run(pieces.count) { index, worker in
      guard !state.isStopped else { return }
      do throws(Failure) {
        state.add(try pack(pieces[index], into: memory, on: benches[worker]))
      } catch { state.fail(error) }
    }
    try state.finish()
  }

  /// What a thread works with. It lasts for all pieces: the system clears fresh memory, which costs as much as packing.
  private struct Workbench {
    /// A piece as the file has it.
    let bytes: AlignedBuffer
    let scratch: AlignedBuffer
  }

  private func workbenches(_ count: Int) throws(Failure) -> [Workbench] {
    let mostBytes = pieces.reduce(0) { max($0, part($1).byteCount) }
    var mostFloats = 0
    for job in jobs { mostFloats = max(mostFloats, try scratchCount(job)) }
    let scratchByteCount = try CheckedSize.product(
      mostFloats, MemoryLayout<Float>.stride, of: "the scratch memory of packing")
    var benches: [Workbench] = []
    for _ in 0..<count {
      benches.append(
        Workbench(
          bytes: try AlignedBuffer(byteCount: mostBytes, for: "packing weights"),
          scratch: try AlignedBuffer(byteCount: scratchByteCount, for: "packing weights")))
    }
    return benches
  }

  private func scratchCount(_ job: PackingJob) throws(Failure) -> Int {
    guard job.isTransposed else { return kernels.packScratchCount(columns: job.source.columns) }
    return try kernels.packTransposedScratchCount(rows: job.source.rows, columns: job.source.columns)
  }

  /// The rows of the file that a piece takes.
  private func part(_ piece: Piece) -> WeightMatrix {
    if jobs[piece.job].isTransposed { return jobs[piece.job].source }
    let rows = piece.panels.lowerBound * PanelMatrix.panelRows..<piece.panels.upperBound * PanelMatrix.panelRows
    return jobs[piece.job].source.slice(rows: rows)
  }

  /// - Returns: bytes read.
  private func pack(
    _ piece: Piece, into memory: UnsafeMutableRawBufferPointer, on bench: Workbench
  ) throws(Failure) -> Int {
    let job = jobs[piece.job]
    let part = part(piece)
    let whole = job.packed
    guard let file = files[job.fileIndex], job.target + whole.byteCount <= memory.count, let base = memory.baseAddress,
      let scratch = bench.scratch.bound(to: Float.self).baseAddress
    else { throw Failure(.internalError, "packing: matrix \(piece.job) has no place") }
    let bytes = UnsafeMutableRawBufferPointer(rebasing: bench.bytes.bytes[..<part.byteCount])
    let rowByteCount = job.source.columns * job.source.elementType.byteCount
    try file.read(into: bytes, at: job.offset + piece.panels.lowerBound * PanelMatrix.panelRows * rowByteCount)
    guard let data = bytes.baseAddress else { return 0 }
    let loaded = WeightMatrix(
      elementType: part.elementType, rows: part.rows, columns: part.columns, data: UnsafeRawPointer(data),
      scales: part.scales)
    let target = base + job.target + piece.panels.lowerBound * whole.panelByteCount
    if job.isTransposed {
      kernels.packTransposed(loaded, as: job.type, into: target, scratch: scratch)
    } else {
      kernels.pack(loaded, panels: 0..<piece.panels.count, as: job.type, into: target, scratch: scratch)
    }
    return part.byteCount
  }
}
