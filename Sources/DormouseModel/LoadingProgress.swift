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
    var all: UInt64 = 0
    for entry in folder.byteCountByType { all += UInt64(clamping: entry.byteCount) }
    var stored: UInt64 = 0
    for name in Set(folder.loadedNames) {
      stored += UInt64(clamping: folder.checkpoint.description(of: name)?.byteCount ?? 0)
    }
    let (total, first) = (all, min(stored, all))
    let mark = HighWaterMark()
    ofStore = { done, _ in progress(done, total) }
    ofPanels = { done, of in
      progress(mark.raised(to: first + LoadingProgress.share(of: total - first, done, of)), total)
    }
  }

  /// `whole * done / all`, `whole` at most.
  private static func share(of whole: UInt64, _ done: UInt64, _ all: UInt64) -> UInt64 {
    guard done < all else { return whole }
    return all.dividingFullWidth(whole.multipliedFullWidth(by: done)).quotient
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
