import DormouseCache
import DormouseSupport

/// What a session takes over from other sessions, and leaves to them.
struct SharedPrefix {
  /// Nil where nothing is shared.
  private let tree: PrefixTree?
  /// Full pages that the tree has been told of.
  private var rememberedPageCount = 0

  init(_ tree: PrefixTree?) { self.tree = tree }

  /// Gives `cache` what other sessions have computed of `timeline`; the last position is to be computed in any case,
  /// for its logits.
  /// - Parameter form: how the rows must have been computed; nil for any way.
  /// - Returns: positions that need not be computed.
  mutating func reuse(for cache: LatentCache, _ timeline: Timeline, form: RowForm?) throws(Failure) -> Int {
    guard let tree, timeline.count - cache.length > 1 else { return 0 }
    let count = try tree.extend(cache, keys: timeline.keys(0..<timeline.count - 1)[...], form: form)
    if count > 0 { rememberedPageCount = cache.length / PageLayout.positionsPerPage }
    return count
  }

  /// Leaves the rows of `timeline` to later sessions: full pages, and with `includesLast` the last one too, to which
  /// nothing will be added.
  mutating func remember(_ cache: LatentCache, _ timeline: Timeline, includesLast: Bool) {
    guard let tree else { return }
    let full = cache.length / PageLayout.positionsPerPage
    guard full > rememberedPageCount || (includesLast && cache.length % PageLayout.positionsPerPage > 0) else { return }
    tree.insert(cache, keys: timeline.keys(0..<cache.length)[...], includesLast: includesLast)
    rememberedPageCount = full
  }

  /// Rows from position `length` on are no more what the tree was told.
  mutating func rewind(to length: Int) {
    rememberedPageCount = min(rememberedPageCount, length / PageLayout.positionsPerPage)
  }
}
