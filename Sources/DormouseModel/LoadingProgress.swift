import DormouseSupport

/// One progress over the two parts of loading: tensors that are read as they are, then those that are packed or come
/// packed from a file. It never goes back, also when such a file turns out to be damaged.
struct LoadingProgress {
  let ofStore: Progress?
  let ofPanels: Progress?

  init(_ folder: ModelFolder, _ progress: Progress?) throws(Failure) {
    guard let progress, folder.packedByteCount > 0 else {
      ofStore = progress
      ofPanels = nil
      return
    }
    var stored: UInt64 = 0
    for name in Set(folder.plan.loadedNames) {
      stored += UInt64(clamping: folder.checkpoint.record(of: name)?.byteCount ?? 0)
    }
    let total = UInt64(clamping: folder.fileByteCount)
    let first = min(stored, total)
    let mark = HighWaterMark()
    ofStore = { done, _ in progress(done, total) }
    ofPanels = { done, of in
      progress(mark.raised(to: first + ProgressParts.share(of: total - first, done, of)), total)
    }
  }
}

private final class HighWaterMark: Sendable {
  private let mark = Locked<UInt64>(0)

  func raised(to value: UInt64) -> UInt64 {
    mark.withLock { mark in
      mark = max(mark, value)
      return mark
    }
  }
}
