public import DormouseKernels
public import DormouseSupport

/// The key-value cache of multi-head latent attention for one timeline of tokens: a table of pages, and how many of
/// their rows are set.
///
/// Pages are shared with other caches (`fork`) and with the prefix tree, and copied before the first write
/// (`reserve`). A forward pass stores rows layer by layer behind those held and advances once all layers are done: a
/// pass that is cancelled half-way leaves the length, and so the cache, as it was. One call at a time; rows may be
/// stored by several threads, each row by one.
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

  public var layout: PageLayout { pool.layout }
  /// Bytes of the pages it holds, shared ones included.
  public var byteCount: Int { pages.count * layout.byteCount }
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
    pages.reserveCapacity(min(addresses.count, LatentCache.mostPagesReserved))
  }

  deinit { for page in pages { page.drop() } }

  /// Bytes of the table of pages, which a cache takes beside its pages.
  public static func tableByteCount(capacity: Int) throws(Failure) -> Int {
    try CheckedSize.product(
      PageLayout.pageCount(capacity), MemoryLayout<UnsafeRawPointer>.stride, of: "the latent cache's table of pages")
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
      replacements.append(try pool.take())
    }
    var fresh = replacements.makeIterator()
    for index in first..<end where index >= pages.count || pages[index].isShared {
      guard let page = fresh.next() else { break }
      if index < pages.count {
        if index == first { copyRows(length % PageLayout.positionsPerPage, from: pages[index], to: page) }
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

  /// Counts `count` stored rows of every section as held, all computed in `form`.
  /// - Throws: `Failure(.internalError)` when no room was reserved for them.
  public func advance(by count: Int, form: RowForm = .unknown) throws(Failure) {
    guard count >= 0, count <= reservedCount else {
      throw Failure(.internalError, "latent cache: advance by \(count), with room for \(reservedCount)")
    }
    length += count
    forms.append(form, count: count)
  }

  /// Forgets all tokens from position `length` on; their pages stay until `trim`.
  /// - Throws: `Failure(.invalidArgument)` when fewer are held.
  public func truncate(to length: Int) throws(Failure) {
    guard length >= 0, length <= self.length else {
      throw Failure(.invalidArgument, "latent cache: truncate to \(length); it holds \(self.length) tokens")
    }
    self.length = length
    forms.truncate(to: length)
  }

  /// A second cache with the same rows: it shares all pages.
  public func fork() throws(Failure) -> LatentCache {
    let copy = try LatentCache(pool: pool, capacity: capacity)
    try copy.adopt(Array(heldPages), length: length, forms: forms)
    return copy
  }

  /// Positions behind the rows held for which there are pages of its own.
  private var reservedCount: Int { min(pages.count * PageLayout.positionsPerPage, capacity) - length }

  /// The pages of the rows held.
  var heldPages: ArraySlice<Page> { pages[..<PageLayout.pageCount(length)] }

  /// Holds `pages`, whose rows were computed in `forms`, in place of its own.
  /// - Throws: `Failure(.contextFull)` when they are more than fit, `Failure(.invalidArgument)` when `length` rows need
  ///   another number of pages or forms, or they belong to another pool.
  func adopt(_ newPages: [Page], length newLength: Int, forms newForms: RowForms) throws(Failure) {
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
    let before = pages
    pages.removeAll(keepingCapacity: true)
    for page in newPages { append(page) }
    for page in before { page.drop() }
    length = newLength
    forms = newForms
  }
}

/// Rows.
extension LatentCache {
  /// The rows of a section, of which those held, and stored ones behind them, are set. Nil for one that is not there.
  public func rows(section index: Int) -> CacheRows? {
    guard layout.sections.indices.contains(index), let base = addresses.baseAddress else { return nil }
    let section = layout.sections[index]
    return CacheRows(
      type: layout.rowType, rank: section.rank, rope: section.rope, pages: base, offset: section.offset)
  }

  /// Writes rows [count, the section's rowWidth] at positions from `length + index` on; positions without room reserved
  /// are left out. Thread: any, each position by one.
  public func store(_ rows: UnsafePointer<Float>, count: Int, at index: Int, section number: Int) {
    guard index >= 0, layout.sections.indices.contains(number) else { return }
    let section = layout.sections[number]
    let end = length + min(index + count, reservedCount)
    var position = length + index
    var source = rows
    while position < end {
      let some = min(end - position, PageLayout.positionsPerPage - position % PageLayout.positionsPerPage)
      let first = pages[position / PageLayout.positionsPerPage].address + section.offset
      pool.kernels.storeRows(
        source, count: some, type: layout.rowType, rank: section.rank, rope: section.rope,
        into: first + position % PageLayout.positionsPerPage * section.rowByteCount)
      position += some
      source += some * section.rowWidth
    }
  }

  /// Appends `count` tokens at once: for each section in turn, rows [count, its rowWidth].
  /// - Throws: as `reserve`; nothing is appended then.
  public func append(_ rows: UnsafePointer<Float>, count: Int) throws(Failure) {
    try reserve(count)
    var source = rows
    for (index, section) in layout.sections.enumerated() {
      store(source, count: count, at: 0, section: index)
      source += count * section.rowWidth
    }
    try advance(by: count)
  }

  /// The rows held, by page and by section: each of these blocks is [rows of the page that are held, a row's bytes].
  var blocks: some Sequence<(page: Int, section: Int, bytes: UnsafeMutableRawBufferPointer)> {
    let sections = layout.sections.count
    return (0..<heldPages.count * sections).lazy.map { [self] block in
      let (page, section) = block.quotientAndRemainder(dividingBy: sections)
      let count = min(PageLayout.positionsPerPage, length - page * PageLayout.positionsPerPage)
      return (page, section, rowBytes(count, of: pages[page], layout.sections[section]))
    }
  }

  /// The first `count` rows that a page has of a section.
  func rowBytes(_ count: Int, of page: Page, _ section: PageLayout.Section) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: page.address + section.offset, count: count * section.rowByteCount)
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

  private func copyRows(_ count: Int, from source: Page, to target: Page) {
    for section in layout.sections {
      rowBytes(count, of: target, section).copyMemory(
        from: UnsafeRawBufferPointer(rowBytes(count, of: source, section)))
    }
  }
}
