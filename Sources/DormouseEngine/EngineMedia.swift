import DormouseKernels
import DormouseMedia
import DormouseModel
import DormouseSupport

/// An engine's towers, and what they have encoded: equal content is encoded once, for all sessions.
final class EngineMedia: Sendable {
  let encoder: any MediaEncoder
  let options: MediaOptions
  /// The towers' weights.
  private let reservation: MemoryBudget.Reservation
  private let hiddenSize: Int
  private let budget: MemoryBudget
  private let known: Locked<RecentContents>

  /// - Parameters:
  ///   - hiddenSize: of the text model.
  init(
    encoder: any MediaEncoder, reservation: MemoryBudget.Reservation, hiddenSize: Int, budget: MemoryBudget,
    options: MediaOptions
  ) {
    self.encoder = encoder
    self.options = options
    self.reservation = reservation
    self.hiddenSize = hiddenSize
    self.budget = budget
    known = Locked(RecentContents(byteLimit: options.cacheByteLimit))
    budget.addReclaimer { [weak self] _ in self?.known.withLock { $0.dropOldest() } ?? false }
  }

  /// The content that `prepared` is: the one that an earlier prompt has brought, if it is known.
  func content(_ prepared: any PreparedMedia) -> MediaContent {
    let rows = prepared.rowCount.multipliedReportingOverflow(by: hiddenSize * MemoryLayout<Float>.stride)
    let byteCount = rows.overflow ? UInt64.max >> 1 : UInt64(clamping: max(rows.partialValue, prepared.byteCount))
    return known.withLock { known in
      known.content(prepared.contentHash, byteCount: byteCount) { MediaContent(prepared) }
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
    let folder = try modelFolder()
    return try MediaFolder(folder.path, checkpoint: folder.checkpoint)
  }

  /// The towers of a model, loaded; nil for one of text alone.
  static func openMedia(
    _ folder: ModelFolder, pool: ThreadPool, kernels: Kernels, budget: MemoryBudget, options: EngineOptions
  ) throws(Failure) -> EngineMedia? {
    guard let towers = try MediaFolder(folder.path, checkpoint: folder.checkpoint) else { return nil }
    let reservation = try budget.reserve(UInt64(try towers.byteCount()), for: "\(folder.path): towers")
    let encoder = try towers.load(
      residency: options.residency, pool: pool, kernels: kernels, progress: options.progress)
    return EngineMedia(
      encoder: encoder, reservation: reservation, hiddenSize: folder.configuration.hiddenSize, budget: budget,
      options: options.media)
  }
}

/// Contents by their hashes; those that were used longest ago go when they pass the limit.
struct RecentContents {
  private struct Entry {
    let content: MediaContent
    let byteCount: UInt64
    var lastUse: UInt64
  }

  private let byteLimit: UInt64
  private var entries: [ContentHash: Entry] = [:]
  private var byteCount: UInt64 = 0
  private var uses: UInt64 = 0

  init(byteLimit: UInt64) { self.byteLimit = byteLimit }

  mutating func content(_ hash: ContentHash, byteCount: UInt64, _ make: () -> MediaContent) -> MediaContent {
    uses += 1
    if let entry = entries[hash] {
      entries[hash]?.lastUse = uses
      return entry.content
    }
    let content = make()
    entries[hash] = Entry(content: content, byteCount: byteCount, lastUse: uses)
    self.byteCount += byteCount
    while self.byteCount > byteLimit, dropOldest() {}
    return content
  }

  /// - Returns: false when there is nothing to drop.
  @discardableResult
  mutating func dropOldest() -> Bool {
    guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return false }
    entries[oldest.key] = nil
    byteCount -= oldest.value.byteCount
    return true
  }
}
