public import DormouseKernels
public import DormouseSupport

/// The key-value cache of multi-head latent attention for one timeline of tokens: a table of pages, and how many of
/// their rows are set.
///
/// Pages are shared with other caches (`fork`) and with the prefix tree, and copied before the first write
/// (`reserve`). A forward pass stores rows, and the state of layers that have one, behind those held, layer by layer, and
/// advances once all layers are done: a pass that is cancelled half-way leaves the length, and so the cache, as it was.
/// One call at a time; rows may be stored by several threads, each row by one, and so may layers' states.
public final class LatentCache {
  public let pool: PagePool
  /// Tokens that fit.
  public let capacity: Int
  /// Tokens held.
  public private(set) var length = 0
  /// How the rows held were computed.
  private(set) var forms = RowForms()

  private var pages: ContiguousArray<Page> = []
  /// The addresses of `pages`, as the kernels want them.
  private let addresses: UnsafeMutableBufferPointer<UnsafeRawPointer>
  private let addressMemory: AlignedBuffer
  /// The layers' state at two places: behind the positions held, and where a pass stores that behind its own.
  private let stateMemory: AlignedBuffer?
  /// The place that is the first of these: 0 or 1.
  private var statePlace = 0

  public var layout: PageLayout { pool.layout }
  /// Bytes of the pages it holds, shared ones included, and of the state that they keep.
  public var byteCount: Int { pages.reduce(0) { $0 + $1.byteCount } }
  /// Pages it holds.
  public var pageCount: Int { pages.count }

  /// Takes no pages yet.
  /// - Throws: `Failure(.invalidArgument)` for a capacity that is not positive, `Failure(.outOfMemory)`,
  ///   `Failure(.malformed)` for one whose pages are beyond 64 bits.
  public init(pool: PagePool, capacity: Int) throws(Failure) {
    guard capacity > 0 else {
      throw Failure(.invalidArgument, "latent cache: capacity \(capacity); expected a positive number")
    }
    _ = try pool.layout.byteCount(tokens: capacity)
    self.pool = pool
    self.capacity = capacity
    addressMemory = try AlignedBuffer(
      byteCount: LatentCache.tableByteCount(capacity: capacity), for: "the page table of \(capacity) tokens")
    addresses = addressMemory.bound(to: UnsafeRawPointer.self)
    stateMemory =
      pool.layout.hasState
      ? try AlignedBuffer(byteCount: LatentCache.stateByteCount(pool.layout), for: "the layers' state of a timeline")
      : nil
    pages.reserveCapacity(min(addresses.count, LatentCache.mostPagesReserved))
  }

  deinit { for page in pages { page.drop() } }

  /// Bytes that a cache takes beside its pages: the table of these, and the layers' state.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func workingByteCount(_ layout: PageLayout, capacity: Int) throws(Failure) -> Int {
    try CheckedSize.sum(tableByteCount(capacity: capacity), stateByteCount(layout), of: "a latent cache's own memory")
  }

  private static func tableByteCount(capacity: Int) throws(Failure) -> Int {
    try CheckedSize.product(
      PageLayout.pageCount(capacity), MemoryLayout<UnsafeRawPointer>.stride, of: "the latent cache's table of pages")
  }

  private static func stateByteCount(_ layout: PageLayout) throws(Failure) -> Int {
    try CheckedSize.product(2, layout.stateByteCount, of: "the layers' state of a timeline")
  }

  /// Longer lists of pages grow as they need to.
  private static let mostPagesReserved = 1 << 12
}

/// Lengths and pages.
extension LatentCache {
  /// - Throws: `Failure(.contextFull)` when `count` more tokens don't fit.
  public func requireRoom(for count: Int) throws(Failure) {
    guard count <= capacity - length else {
      throw Failure(
        .contextFull, "\(count) more tokens do not fit: the context holds \(length) of \(capacity) tokens")
    }
  }

  /// Makes the next `count` positions writable: takes pages for them, and copies the one that the next row falls into
  /// if others hold it too. Nothing has changed when it fails.
  /// - Throws: `Failure(.contextFull)`, or `Failure(.outOfMemory)` when there are no pages.
  public func reserve(_ count: Int) throws(Failure) {
    guard count >= 0 else { throw Failure(.invalidArgument, "latent cache: room for \(count) tokens") }
    try requireRoom(for: count)
    guard count > 0 else { return }
    let first = length / PageLayout.positionsPerPage
    let end = PageLayout.pageCount(length + count)
    var replacements: [Page] = []  // Nothing is allocated for none.
    for index in first..<end where index >= pages.count || pages[index].isShared {
      replacements.append(try pool.take(keepsState: layout.keepsState(page: index)))
    }
    var fresh = replacements.makeIterator()
    for index in first..<end where index >= pages.count || pages[index].isShared {
      guard let page = fresh.next() else { break }
      if index < pages.count {
        if index == first { copyRows(from: pages[index], to: page, index: index) }
        replace(index, by: page)
      } else {
        append(page)
      }
    }
  }

  /// - Throws: `Failure(.contextFull)` when `count` more tokens don't fit, `Failure(.internalError)` when there are no
  ///   pages for them yet.
  public func requireReserved(_ count: Int) throws(Failure) {
    try requireRoom(for: count)
    guard count <= reservedCount else {
      throw Failure(.internalError, "latent cache: \(count) tokens, with room reserved for \(reservedCount)")
    }
  }

  /// Gives back pages behind the last row.
  public func trim() {
    let used = PageLayout.pageCount(length)
    while pages.count > used { pages.removeLast().drop() }
  }

  /// Counts `count` positions as held, whose rows, and the state behind them, were stored, all computed in `form`.
  /// - Throws: `Failure(.internalError)` when no room was reserved for them.
  public func advance(by count: Int, form: RowForm = .unknown) throws(Failure) {
    guard count >= 0, count <= reservedCount else {
      throw Failure(.internalError, "latent cache: advance by \(count), with room for \(reservedCount)")
    }
    length += count
    forms.append(form, count: count)
    if count > 0 { statePlace = 1 - statePlace }
  }

  /// Forgets all positions from `length` on, and where layers have state, those behind the last page before it that keeps
  /// the state too: whoever goes on computes them again. Their pages stay until `trim`.
  /// - Returns: the positions that are still held.
  /// - Throws: `Failure(.invalidArgument)` when fewer than `length` are held.
  @discardableResult
  public func rewind(to length: Int) throws(Failure) -> Int {
    guard length >= 0, length <= self.length else {
      throw Failure(.invalidArgument, "latent cache: rewind to \(length); it holds \(self.length) tokens")
    }
    guard length < self.length else { return length }
    self.length = layout.rewindable(length)
    forms.truncate(to: self.length)
    loadState()
    return self.length
  }

  /// A second cache with the same rows and state: it shares all pages.
  public func fork() throws(Failure) -> LatentCache {
    let copy = try LatentCache(pool: pool, capacity: capacity)
    try copy.adopt(Array(heldPages), length: length, forms: forms, state: heldState)
    return copy
  }

  /// Positions behind the rows held for which there are pages of its own.
  private var reservedCount: Int { min(pages.count * PageLayout.positionsPerPage, capacity) - length }

  /// The pages of the rows held.
  var heldPages: ArraySlice<Page> { pages[..<PageLayout.pageCount(length)] }

  /// Holds `pages`, whose rows were computed in `forms`, in place of its own.
  /// - Parameter state: the layers' behind these rows; nil where the last page keeps it.
  /// - Throws: `Failure(.contextFull)` when they are more than fit, `Failure(.invalidArgument)` when `length` rows need
  ///   another number of pages or forms, they belong to another pool, or nobody has the state.
  func adopt(
    _ newPages: [Page], length newLength: Int, forms newForms: RowForms, state: UnsafeMutableRawBufferPointer? = nil
  ) throws(Failure) {
    guard newLength <= capacity else {
      throw Failure(.contextFull, "\(newLength) tokens do not fit into a context of \(capacity)")
    }
    guard newLength >= 0, newPages.count == PageLayout.pageCount(newLength), newForms.count == newLength else {
      throw Failure(
        .invalidArgument,
        "latent cache: \(newPages.count) pages and \(newForms.count) forms for \(newLength) tokens")
    }
    guard newPages.allSatisfy({ $0.belongs(to: pool) }) else {
      throw Failure(.invalidArgument, "latent cache: pages of another cache's pool")
    }
    guard state?.count == layout.stateByteCount || layout.rewindable(newLength) == newLength else {
      throw Failure(.invalidArgument, "latent cache: \(newLength) tokens without the layers' state behind them")
    }
    let before = pages
    pages.removeAll(keepingCapacity: true)
    for page in newPages { append(page) }
    for page in before { page.drop() }
    length = newLength
    forms = newForms
    if let state { heldState?.copyMemory(from: UnsafeRawBufferPointer(state)) } else { loadState() }
  }
}

/// Rows.
extension LatentCache {
  /// The rows of a section, of which those held, and stored ones behind them, are set. Nil for one that is not there.
  public func rows(section index: Int) -> CacheRows? {
    guard layout.sections.indices.contains(index), let base = addresses.baseAddress else { return nil }
    let (section, rows) = (layout.sections[index], layout.sections[index].rows)
    return CacheRows(
      type: layout.rowType, rank: rows.rank, rope: rows.rope, positionsPerRow: rows.positionsPerRow, pages: base,
      offset: section.offset)
  }

  /// Writes rows [count, the section's width] behind those held, from the one that is `index` rows further on; rows
  /// without room reserved are left out. Thread: any, each row by one.
  public func store(_ rows: UnsafePointer<Float>, count: Int, at index: Int, section number: Int) {
    guard index >= 0, layout.sections.indices.contains(number) else { return }
    let section = layout.sections[number]
    let size = section.rows
    let held = size.rowCount(length: length)
    let end = held + min(index + count, size.rowCount(length: length + reservedCount) - held)
    var row = held + index
    var source = rows
    while row < end {
      let place = CacheRows.place(row: row, positionsPerRow: size.positionsPerRow)
      let some = min(end - row, size.rowsPerPage - place.index)
      pool.kernels.storeRows(
        source, count: some, type: layout.rowType, rank: size.rank, rope: size.rope,
        into: pages[place.page].address + (section.offset + place.index * section.rowByteCount))
      row += some
      source += some * size.width
    }
  }

  /// Appends `count` tokens at once: for each section in turn, the rows that they complete, [rows, its width].
  /// - Throws: as `reserve`, and `Failure(.invalidArgument)` where layers have state; nothing is appended then.
  public func append(_ rows: UnsafePointer<Float>, count: Int) throws(Failure) {
    guard !layout.hasState else {
      throw Failure(.invalidArgument, "latent cache: rows alone, where layers have state too")
    }
    try reserve(count)
    var source = rows
    for (index, section) in layout.sections.enumerated() {
      let some = section.rows.rowCount(length: length + count) - section.rows.rowCount(length: length)
      store(source, count: some, at: 0, section: index)
      source += some * section.rows.width
    }
    try advance(by: count)
  }

  /// All that is held, as files have it. By page and by section the rows: each of these blocks is [rows of the page that
  /// are held, a row's bytes]. Then the layers' states: those that pages keep, and where no page does the one behind the
  /// last position.
  var blocks: some Sequence<UnsafeMutableRawBufferPointer> {
    let sections = layout.sections
    let rowBlocks = heldPages.count * sections.count
    let kept = heldPages.prefix(length / PageLayout.positionsPerPage).compactMap(\.state)
    let states = kept + (layout.rewindable(length) < length ? [heldState].compactMap { $0 } : [])
    return (0..<rowBlocks + states.count).lazy.map { [self] block in
      guard block < rowBlocks else { return states[block - rowBlocks] }
      let (page, section) = block.quotientAndRemainder(dividingBy: sections.count)
      return rowBytes(of: pages[page], index: page, sections[section])
    }
  }

  /// The rows held that lie in a page, of a section.
  private func rowBytes(
    of page: Page, index: Int, _ section: PageLayout.Section
  ) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      start: page.address + section.offset, count: section.byteCount(length: length, page: index))
  }
}

/// State, in layouts that have it.
extension LatentCache {
  /// What a layer has kept of the positions held: `PageLayout.State.byteCounts[index]` bytes, which are zero before the
  /// first position. Nil for a state that is not there.
  public func state(_ index: Int) -> UnsafeRawBufferPointer? {
    guard let all = heldState, let range = layout.stateRange(index) else { return nil }
    return UnsafeRawBufferPointer(rebasing: all[range])
  }

  /// A pass over `count` positions stores each layer's state at some places among them, the last of which is their end.
  /// - Returns: the first of these places behind `done` of the positions.
  public func nextStatePlace(after done: Int, of count: Int) -> Int {
    let step = layout.positionsPerState
    return min(count, done + step - (length + done) % step)
  }

  /// Stores what a layer keeps behind `count` more positions than are held: at the places that `nextStatePlace` tells, in
  /// their order, once the rows of these positions are reserved. Thread: any, each layer's by one.
  /// - Parameter bytes: as many as the layer's state has.
  public func storeState(_ bytes: UnsafeRawPointer, after count: Int, _ index: Int) {
    guard (1...max(1, reservedCount)).contains(count), reservedCount > 0, let range = layout.stateRange(index),
      let next = stateBuffer(1 - statePlace)
    else { return }
    let source = UnsafeRawBufferPointer(start: bytes, count: range.count)
    UnsafeMutableRawBufferPointer(rebasing: next[range]).copyMemory(from: source)
    guard (length + count) % layout.positionsPerState == 0 else { return }
    if let kept = pages[(length + count) / PageLayout.positionsPerPage - 1].state {
      UnsafeMutableRawBufferPointer(rebasing: kept[range]).copyMemory(from: source)
    }
  }

  /// Makes what the last page held keeps the state of the cache; without a page it is zero. A length between two such
  /// pages has a state that only the cache has.
  func loadState() {
    guard let heldState, layout.rewindable(length) == length else { return }
    if length > 0, let kept = pages[length / PageLayout.positionsPerPage - 1].state {
      heldState.copyMemory(from: UnsafeRawBufferPointer(kept))
    } else {
      heldState.initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  /// The layers' state behind the positions held.
  private var heldState: UnsafeMutableRawBufferPointer? { stateBuffer(statePlace) }

  private func stateBuffer(_ place: Int) -> UnsafeMutableRawBufferPointer? {
    guard let stateMemory else { return nil }
    let size = layout.stateByteCount
    return UnsafeMutableRawBufferPointer(rebasing: stateMemory.bytes[place * size..<(place + 1) * size])
  }
}

/// The table.
extension LatentCache {
  private func append(_ page: Page) {
    page.hold()
    addresses[pages.count] = UnsafeRawPointer(page.address)
    pages.append(page)
  }

  private func replace(_ index: Int, by page: Page) {
    page.hold()
    pages[index].drop()
    pages[index] = page
    addresses[index] = UnsafeRawPointer(page.address)
  }

  /// Copies the rows held that lie in page number `index`.
  private func copyRows(from source: Page, to target: Page, index: Int) {
    for section in layout.sections {
      rowBytes(of: target, index: index, section).copyMemory(
        from: UnsafeRawBufferPointer(rowBytes(of: source, index: index, section)))
    }
  }
}
