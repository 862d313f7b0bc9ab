import DormouseKernels
import DormouseSupport
import DormouseWeights

/// Fills the memory of the packed matrices: from a file that an earlier start has left, or by packing.
struct PanelLoader {
  let folder: ModelFolder
  let jobs: [PackingJob]
  let kernels: Kernels
  let pool: ThreadPool
  let progress: Progress?

  /// - Parameter cacheFolder: where packed weights are kept; nil: nowhere.
  /// - Throws: what packing throws, `Failure(.cancelled)`; never because of the file.
  func fill(_ panels: AlignedBuffer, cacheFolder: String?, log: Log) throws(Failure) {
    guard let cacheFolder else { return try pack(into: panels) }
    let cache = PackedCache(
      folder: cacheFolder, checkpoint: folder.checkpoint, precision: folder.precision.rawValue, jobs: jobs, log: log)
    guard let cache else { return try pack(into: panels) }
    if try cache.load(into: panels, pool: pool, progress: progress) { return }
    try pack(into: panels)
    // All is loaded by then; only a cancellation is still heard.
    let whole = progress.map { progress in { @Sendable (_: UInt64, _: UInt64) in progress(1, 1) } }
    try cache.save(panels, pool: pool, progress: whole)
  }

  private func pack(into panels: AlignedBuffer) throws(Failure) {
    let packer = try WeightPacker(jobs, of: folder.checkpoint, kernels: kernels)
    try packer.run(into: panels.bytes, pool: pool, progress: progress)
  }
}
