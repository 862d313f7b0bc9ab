public import DormouseKernels
public import DormouseSupport

/// What the pages of a latent cache hold: for `positionsPerPage` positions the rows of every section, and at some
/// pages' ends what layers can't tell from rows. All sizes of caches follow from it.
///
/// Layout of a page: [section][row][values], without padding. Layout of a state, which is memory of its own:
/// [layer's state][bytes].
public struct PageLayout: Sendable, Equatable {
  /// Positions of a page.
  public static let positionsPerPage = CacheRows.positionsPerPage

  /// A section and its place in a page.
  public struct Section: Sendable, Equatable {
    public let rows: RowSection
    /// Bytes of a row.
    public let rowByteCount: Int
    /// Bytes from a page's address to the first row.
    public let offset: Int

    /// Bytes of the rows that a timeline of `length` positions has.
    func byteCount(length: Int) -> Int { rows.rowCount(length: length) * rowByteCount }

    /// Bytes of those that lie in `page`.
    func byteCount(length: Int, page: Int) -> Int { rows.rowCount(length: length, page: page) * rowByteCount }
  }

  /// What layers keep of a timeline besides rows, and can't take back position by position: the sums of a window that is
  /// not complete, say, or the last positions' rows alone. The cache keeps it for the positions that it holds, and at the
  /// ends of some pages, so that a timeline can be rewound to these.
  public struct State: Sendable, Equatable {
    /// Bytes of each layer's, a multiple of four.
    public let byteCounts: [Int]
    /// Pages from one that keeps the state at its end to the next; what is large is kept more rarely.
    public let pageStride: Int

    public init(byteCounts: [Int] = [], pageStride: Int = 1) {
      self.byteCounts = byteCounts
      self.pageStride = pageStride
    }
  }

  public let rowType: CacheRowType
  public let sections: [Section]
  public let state: State
  /// Bytes of a page's rows.
  public let byteCount: Int
  /// Bytes of all layers' state at one position.
  public let stateByteCount: Int
  /// Bytes from a state's address to each layer's.
  let stateOffsets: [Int]

  /// - Throws: `Failure(.invalidArgument)` for no section, a size that is not positive, or positions of a row that do not
  ///   fit pages, `Failure(.malformed)` for a page beyond 64 bits.
  public init(sections rows: [RowSection], state: State = State(), rowType: CacheRowType) throws(Failure) {
    guard !rows.isEmpty else { throw Failure(.invalidArgument, "latent cache: no rows; expected one section or more") }
    var sections: [Section] = []
    var offset = 0
    for rows in rows {
      let section = Section(rows: rows, rowByteCount: try Self.rowByteCount(rows, rowType), offset: offset)
      let bytes = try CheckedSize.product(rows.rowsPerPage, section.rowByteCount, of: "the latent cache's page")
      offset = try CheckedSize.sum(offset, bytes, of: "the latent cache's page")
      sections.append(section)
    }
    self.rowType = rowType
    self.sections = sections
    byteCount = offset
    self.state = state
    (stateOffsets, stateByteCount) = try Self.places(of: state)
  }

  /// A section a layer, all of the same size.
  /// - Throws: as above, and `Failure(.malformed)` for more layers than any model has.
  public init(
    layerCount: Int, kvLoraRank: Int, qkRopeHeadDimension: Int, rowType: CacheRowType
  ) throws(Failure) {
    guard layerCount > 0, layerCount <= Self.mostLayers else {
      throw Failure(
        layerCount > 0 ? .malformed : .invalidArgument,
        "latent cache: \(layerCount) layers; expected 1 to \(Self.mostLayers)")
    }
    let rows = RowSection(rank: kvLoraRank, rope: qkRopeHeadDimension)
    try self.init(sections: Array(repeating: rows, count: layerCount), rowType: rowType)
  }

  private static let mostLayers = 1 << 20

  private static func rowByteCount(_ rows: RowSection, _ type: CacheRowType) throws(Failure) -> Int {
    guard rows.rank > 0, rows.rope >= 0 else {
      throw Failure(
        .invalidArgument,
        "latent cache: kv_lora_rank \(rows.rank), qk_rope_head_dim \(rows.rope); expected positive numbers")
    }
    guard rows.fitsPages else {
      throw Failure(
        .invalidArgument,
        "latent cache: \(rows.positionsPerRow) positions a row; expected a divisor or a multiple of \(positionsPerPage)"
      )
    }
    guard let bytes = type.byteCount(rank: rows.rank, rope: rows.rope) else {
      throw Failure(.malformed, "the latent cache's row is out of range: [\(rows.rank), \(rows.rope)]")
    }
    return bytes
  }

  private static func places(of state: State) throws(Failure) -> (offsets: [Int], byteCount: Int) {
    var offsets: [Int] = []
    var end = 0
    for byteCount in state.byteCounts {
      guard byteCount > 0, byteCount % 4 == 0 else {
        throw Failure(
          .invalidArgument, "latent cache: \(byteCount) bytes of a layer's state; expected a positive multiple of 4")
      }
      offsets.append(end)
      end = try CheckedSize.sum(end, byteCount, of: "the latent cache's state")
    }
    guard (1...Self.mostPageStride).contains(state.pageStride) else {
      throw Failure(
        .invalidArgument,
        "latent cache: state every \(state.pageStride) pages; expected 1 to \(Self.mostPageStride)")
    }
    return (offsets, end)
  }

  private static let mostPageStride = 1 << 20
}

/// Formulas.
extension PageLayout {
  /// The sections' rows where all are alike, and one a position.
  var uniformRows: RowSection? {
    guard let first = sections.first?.rows, first.positionsPerRow == 1 else { return nil }
    return sections.allSatisfy { $0.rows == first } ? first : nil
  }

  /// Whether layers keep state.
  public var hasState: Bool { stateByteCount > 0 }

  /// Where a layer's state lies among all layers'; nil for one that is not there.
  func stateRange(_ index: Int) -> Range<Int>? {
    guard stateOffsets.indices.contains(index) else { return nil }
    return stateOffsets[index]..<stateOffsets[index] + state.byteCounts[index]
  }

  /// Positions from one whose state is kept to the next.
  var positionsPerState: Int { Self.positionsPerPage * state.pageStride }

  /// The most of `length` positions to which a timeline that holds more can be rewound.
  func rewindable(_ length: Int) -> Int { hasState ? length - length % positionsPerState : length }

  /// Whether a timeline's page number `page` keeps the state at its end.
  func keepsState(page: Int) -> Bool { hasState && (page + 1) % state.pageStride == 0 }

  /// Bytes that one position takes, rounded up.
  public var positionByteCount: Int {
    CheckedSize.ceilingQuotient(byteCount, Self.positionsPerPage)
      + CheckedSize.ceilingQuotient(stateByteCount, positionsPerState)
  }

  /// Pages that hold `tokens` positions.
  public static func pageCount(_ tokens: Int) -> Int { CheckedSize.ceilingQuotient(tokens, positionsPerPage) }

  /// Bytes of the pages that hold `tokens` positions: whole pages, and the state that they keep.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func byteCount(tokens: Int) throws(Failure) -> Int {
    let what = "the latent cache's size"
    let pages = PageLayout.pageCount(tokens)
    return try CheckedSize.sum(
      CheckedSize.product(pages, byteCount, of: what),
      CheckedSize.product(pages / state.pageStride, stateByteCount, of: what), of: what)
  }
}
