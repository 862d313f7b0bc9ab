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
  /// - Returns: what keeps them for the next start, for as long as it is at work; nil where nothing is to be written.
  /// - Throws: what packing throws, `Failure(.cancelled)`; never because of the file.
  func fill(_ panels: AlignedBuffer, cacheFolder: String?, log: Log) throws(Failure) -> PackedCacheWriter? {
    guard let cacheFolder else {
      try pack(into: panels)
      return nil
    }
    let cache = PackedCache(
      folder: cacheFolder, checkpoint: folder.checkpoint, precision: folder.precision.rawValue, jobs: jobs, log: log)
    if let cache, try cache.load(into: panels, pool: pool, progress: progress) { return nil }
    try pack(into: panels)
    return cache?.save(panels)
  }

  private func pack(into panels: AlignedBuffer) throws(Failure) {
    let packer = try WeightPacker(jobs, of: folder.checkpoint, kernels: kernels)
    try packer.run(into: panels.bytes, pool: pool, progress: progress)
  }
}
