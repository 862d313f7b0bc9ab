public import DormouseSupport

/// Which pages hold the rows of which prefixes, for all caches of one pool.
///
/// A tree whose nodes are pages: a node's edge is the keys of its page's positions, or fewer of them in a leaf. The
/// longest shared prefix is found key by key, so that the last page of a match may be shared in part; whoever goes on from
/// there copies it first. Rows of the same positions that were computed in another form stand in nodes of their own, so
/// that the forms along a path are those of all rows that its last one depends on. What was used longest ago goes when
/// there are more pages than the tree may keep, or when the budget runs short. Thread: any.
public final class PrefixTree: Sendable {
  /// What has been asked for and found, in tokens, and pages.
  public struct Statistics: Sendable, Equatable {
    public var pages = 0
    public var tokensAsked = 0
    public var tokensFound = 0
    public var pagesEvicted = 0
  }

  private let state: Locked<PrefixNodes>
  private let layout: PageLayout
  private let byteLimit: UInt64

  /// - Parameters:
  ///   - byteLimit: bytes of the pages it keeps at most, and of their state.
  ///   - budget: asked for the tree's pages when it runs short.
  public init(layout: PageLayout, byteLimit: UInt64, budget: MemoryBudget) {
    self.layout = layout
    self.byteLimit = byteLimit
    state = Locked(PrefixNodes())
    let size = UInt64(layout.byteCount)
    budget.addReclaimer { [weak self] byteCount in self?.reclaim(pageCount: byteCount / size + 1) ?? false }
  }

  deinit { state.withLock { nodes in while nodes.evictOldest() {} } }

  public var statistics: Statistics { state.withLock { $0.statistics } }

  /// Gives `cache` the pages of the longest prefix of `keys` that is known, unless it holds as many rows already.
  ///
  /// - Parameters:
  ///   - keys: those of all its rows, and of what will follow.
  ///   - form: in which what follows is to be computed: then only rows are taken over that have the bits that the cache's
  ///     own would have. Nil where any will do.
  /// - Returns: rows that it did not hold before.
  public func extend(
    _ cache: LatentCache, keys: ArraySlice<PositionKey>, form: RowForm? = nil
  ) throws(Failure) -> Int {
    var forms: RowForms?
    if let form {
      forms = cache.forms
      forms?.append(form, count: keys.count - cache.length)
    }
    let outcome: Result<Int, Failure> = state.withLock { [forms] nodes in
      nodes.statistics.tokensAsked += max(0, keys.count - cache.length)
      if let forms, forms.hasUnknown { return .success(0) }
      let match = nodes.match(keys, forms, layout)
      let gain = match.length - cache.length
      guard gain > 0 else { return .success(0) }
      do throws(Failure) {
        try cache.adopt(match.pages, length: match.length, forms: match.forms)
      } catch { return .failure(error) }
      nodes.statistics.tokensFound += gain
      return .success(gain)
    }
    return try outcome.get()
  }

  /// Remembers the rows that `cache` holds.
  ///
  /// - Parameters:
  ///   - keys: of its rows, at least as many.
  ///   - includesLast: whether a last page that isn't full is remembered too, where rows are all that there is to know of
  ///     it: whoever writes to it then has to copy it.
  public func insert(_ cache: LatentCache, keys: ArraySlice<PositionKey>, includesLast: Bool) {
    let pages = cache.heldPages
    let length = min(keys.count, cache.length)
    let forms = cache.forms
    let count = includesLast && !layout.hasState ? length : length - length % PageLayout.positionsPerPage
    state.withLock { nodes in
      nodes.insert(pages, keys.prefix(count), forms)
      while nodes.byteCount > byteLimit, nodes.evictOldest() {}
    }
  }

  /// Forgets everything.
  public func removeAll() { state.withLock { nodes in while nodes.evictOldest() {} } }

  private func reclaim(pageCount: UInt64) -> Bool {
    state.withLock { nodes in nodes.evictUnshared(Int(clamping: pageCount)) > 0 }
  }
}

/// The nodes of a tree, in one array, and the order in which they were used: a node is never used after its ancestors,
/// so that the oldest is always a leaf.
private struct PrefixNodes: ~Copyable {
  private struct Node {
    var keys: ArraySlice<PositionKey>
    /// How the rows of these positions were computed.
    var forms: [RowForm]
    var page: Page?
    var parent: Int
    /// By their first key.
    var children: [PositionKey: [Int]] = [:]
    /// Neighbours in the order of use.
    var older: Int
    var newer: Int
  }

  /// The root, which has no page, and both ends of the order: its `newer` is the oldest node, its `older` the newest.
  private static let root = 0
  private var nodes = [Node(keys: [], forms: [], page: nil, parent: 0, older: 0, newer: 0)]
  private var free: [Int] = []
  /// Of all pages.
  private(set) var byteCount: UInt64 = 0
  var statistics = PrefixTree.Statistics()

  /// The pages of the longest known prefix behind which all is known to go on, whose path counts as used.
  /// - Parameter forms: of all `keys`, where rows of other forms don't match.
  mutating func match(
    _ keys: ArraySlice<PositionKey>, _ forms: RowForms?, _ layout: PageLayout
  ) -> (pages: [Page], length: Int, forms: RowForms) {
    var pages: [Page] = []
    var found = RowForms()
    var length = 0
    var node = PrefixNodes.root
    while let (child, common) = best(of: node, keys.dropFirst(length), forms, from: length) {
      if let page = nodes[child].page { pages.append(page) }
      found.append(contentsOf: nodes[child].forms.prefix(common))
      length += common
      node = child
      if common < PageLayout.positionsPerPage { break }
    }
    use(node)
    length = layout.rewindable(length)
    pages.removeLast(pages.count - PageLayout.pageCount(length))
    found.truncate(to: length)
    return (pages, length, found)
  }

  /// Adds the pages of `keys` where they are not known yet; the path counts as used.
  /// - Parameter forms: of at least as many rows as there are keys.
  mutating func insert(_ pages: ArraySlice<Page>, _ keys: ArraySlice<PositionKey>, _ forms: RowForms) {
    var rest = keys
    var node = PrefixNodes.root
    for page in pages {
      let edge = rest.prefix(PageLayout.positionsPerPage)
      guard !edge.isEmpty else { break }
      let start = keys.count - rest.count
      rest = rest.dropFirst(edge.count)
      let known = best(of: node, edge, forms, from: start)
      if let (child, common) = known, common == min(edge.count, nodes[child].keys.count) {
        // The same, or one a beginning of the other: the longer stays.
        if nodes[child].keys.count < edge.count {
          setPage(child, page, edge, forms.forms(from: start, count: edge.count))
        }
        node = child
      } else {
        node = add(page, edge, forms.forms(from: start, count: edge.count), to: node)
      }
    }
    use(node)
  }

  /// Takes out the leaf that was used longest ago. False when there is none.
  mutating func evictOldest() -> Bool {
    let oldest = nodes[PrefixNodes.root].newer
    guard oldest != PrefixNodes.root else { return false }
    remove(oldest)
    return true
  }

  /// Takes out up to `count` pages that nobody else holds; returns how many there were.
  mutating func evictUnshared(_ count: Int) -> Int {
    var removed = 0
    var node = nodes[PrefixNodes.root].newer
    while node != PrefixNodes.root, removed < count {
      let next = nodes[node].newer
      if nodes[node].children.isEmpty, nodes[node].page?.isShared == false {
        remove(node)
        removed += 1
      }
      node = next
    }
    return removed
  }

  /// The child with most keys, and forms where they matter, in common, and how many these are: at least one.
  private func best(
    of node: Int, _ keys: ArraySlice<PositionKey>, _ forms: RowForms?, from start: Int
  ) -> (child: Int, common: Int)? {
    guard let first = keys.first, let candidates = nodes[node].children[first] else { return nil }
    var best: (child: Int, common: Int)?
    for child in candidates {
      var common = zip(nodes[child].keys, keys).prefix { $0 == $1 }.count
      if let forms { common = min(common, forms.commonCount(with: nodes[child].forms, from: start)) }
      if common > best?.common ?? 0 { best = (child, common) }
    }
    return best
  }

  private mutating func add(
    _ page: Page, _ keys: ArraySlice<PositionKey>, _ forms: [RowForm], to parent: Int
  ) -> Int {
    let index = free.popLast() ?? nodes.count
    // A copy, so that the node does not keep a whole timeline's keys.
    let node = Node(
      keys: Array(keys)[...], forms: forms, page: page, parent: parent, older: index, newer: index)
    if index < nodes.count { nodes[index] = node } else { nodes.append(node) }
    page.hold()
    if let first = keys.first { nodes[parent].children[first, default: []].append(index) }
    statistics.pages += 1
    byteCount += UInt64(page.byteCount)
    return index
  }

  private mutating func setPage(
    _ index: Int, _ page: Page, _ keys: ArraySlice<PositionKey>, _ forms: [RowForm]
  ) {
    page.hold()
    byteCount = byteCount + UInt64(page.byteCount) - UInt64(nodes[index].page?.byteCount ?? 0)
    nodes[index].page?.drop()
    nodes[index].page = page
    nodes[index].keys = Array(keys)[...]
    nodes[index].forms = forms
  }

  /// Takes out a leaf.
  private mutating func remove(_ index: Int) {
    let node = nodes[index]
    unlink(index)
    if let first = node.keys.first {
      nodes[node.parent].children[first]?.removeAll { $0 == index }
      if nodes[node.parent].children[first]?.isEmpty == true { nodes[node.parent].children[first] = nil }
    }
    nodes[index] = Node(keys: [], forms: [], page: nil, parent: PrefixNodes.root, older: index, newer: index)
    byteCount -= UInt64(node.page?.byteCount ?? 0)
    node.page?.drop()
    free.append(index)
    statistics.pages -= 1
    statistics.pagesEvicted += 1
  }

  /// Makes the path to a node the newest, its ancestors newer than itself.
  private mutating func use(_ index: Int) {
    var node = index
    while node != PrefixNodes.root {
      unlink(node)
      link(node)
      node = nodes[node].parent
    }
  }

  private mutating func unlink(_ index: Int) {
    let (older, newer) = (nodes[index].older, nodes[index].newer)
    guard older != index else { return }
    nodes[older].newer = newer
    nodes[newer].older = older
    nodes[index].older = index
    nodes[index].newer = index
  }

  /// Puts an unlinked node at the newest end.
  private mutating func link(_ index: Int) {
    let newest = nodes[PrefixNodes.root].older
    nodes[index].older = newest
    nodes[index].newer = PrefixNodes.root
    nodes[newest].newer = index
    nodes[PrefixNodes.root].older = index
  }
}
