import DormouseKernels
import DormouseMedia
import DormouseModel
import DormouseSupport

/// An engine's towers, and what they have encoded: equal content is encoded once, for all sessions.
final class EngineMedia: Sendable {
  let folder: MediaFolder
  let encoder: any MediaEncoder
  let options: MediaOptions
  /// The towers' weights.
  private let reservation: MemoryBudget.Reservation
  private let hiddenSize: Int
  private let budget: MemoryBudget
  private let known: Locked<RecentlyUsed<MediaContent>>

  /// Loads the towers.
  /// - Parameters:
  ///   - path: the model's folder, for sentences.
  ///   - hiddenSize: of the text model.
  init(
    _ folder: MediaFolder, path: String, hiddenSize: Int, options: EngineOptions, pool: ThreadPool, kernels: Kernels,
    budget: MemoryBudget, progress: Progress?
  ) throws(Failure) {
    self.folder = folder
    self.options = options.media
    self.hiddenSize = hiddenSize
    self.budget = budget
    reservation = try budget.reserve(UInt64(clamping: try folder.byteCount()), for: "\(path): towers")
    encoder = try folder.load(residency: options.residency, pool: pool, kernels: kernels, progress: progress)
    known = Locked(RecentlyUsed(byteLimit: options.media.cacheByteLimit))
    budget.addReclaimer { [weak self] _ in self?.known.withLock { $0.dropOldest() } ?? false }
  }

  /// The content that `prepared` is: the one that an earlier prompt has brought, if it is known.
  func content(_ prepared: any PreparedMedia) -> MediaContent {
    let rows = prepared.rowCount.multipliedReportingOverflow(by: hiddenSize * MemoryLayout<Float>.stride)
    let byteCount = rows.overflow ? UInt64.max >> 1 : UInt64(clamping: max(rows.partialValue, prepared.byteCount))
    return known.withLock { known in
      if let content = known.value(prepared.contentHash) { return content }
      let content = MediaContent(prepared)
      known.insert(content, prepared.contentHash, byteCount: byteCount)
      return content
    }
  }

  /// Sets aside what a tower will work in.
  /// - Throws: `Failure(.outOfMemory)`.
  func reserveScratch(for prepared: any PreparedMedia) throws(Failure) -> MemoryBudget.Reservation {
    try budget.reserve(
      UInt64(clamping: prepared.scratchByteCount), for: "encoding a part of type \(prepared.modality.rawValue)")
  }

  /// Memory for `count` rows [count, hidden].
  /// - Throws: `Failure(.outOfMemory)`.
  func makeRows(count: Int, of modality: Modality) throws(Failure) -> MediaContent.Rows {
    let what = "the rows of a part of type \(modality.rawValue)"
    let byteCount = try CheckedSize.product(count, hiddenSize, MemoryLayout<Float>.stride, of: what)
    let reservation = try budget.reserve(UInt64(byteCount), for: what)
    return MediaContent.Rows(
      memory: try AlignedBuffer(byteCount: byteCount, isZeroed: false, for: what), reservation: reservation)
  }
}

extension Engine {
  /// The towers of the model, by their headers; nil for one of text alone.
  func towers() throws(Failure) -> MediaFolder? {
    if hasWeights { return media?.folder }
    let folder = try modelFolder()
    return try MediaFolder(folder.path, checkpoint: folder.checkpoint)
  }
}
