public import DormouseKernels
public import DormouseSupport

/// What a page of a latent cache holds: for `positionsPerPage` positions one row of every section.
///
/// A token leaves one row a layer: `kvLoraRank` values of the normalised latent, then `qkRopeHeadDimension` values of
/// the rotated key that all heads share (DeepSeek-V2, arXiv 2405.04434, section 2.1). These are a section each. Models
/// whose layers differ have rows of several sizes, and what else a layer keeps of a token, such as an indexer's key, is
/// a section of its own. Layout of a page: [section][position in the page][row], without padding.
public struct PageLayout: Sendable, Equatable {
  /// Positions of a page.
  public static let positionsPerPage = CacheRows.positionsPerPage

  /// Rows of one size, one a position.
  public struct Section: Sendable, Equatable {
    /// Values that a narrow type rounds most: of a latent or an indexer's key.
    public let rank: Int
    /// Values behind them: of a rotated key.
    public let rope: Int
    /// Bytes of a row.
    public let rowByteCount: Int
    /// Bytes from a page's address to the first row.
    public let offset: Int

    /// Values of a row.
    public var rowWidth: Int { rank + rope }
    /// Bytes of the rows in a page.
    var byteCount: Int { PageLayout.positionsPerPage * rowByteCount }
  }

  public let rowType: CacheRowType
  public let sections: [Section]
  /// Bytes of a page.
  public let byteCount: Int

  /// - Throws: `Failure(.invalidArgument)` for no section or a size that is not positive, `Failure(.malformed)` for a
  ///   page beyond 64 bits.
  public init(sections sizes: [(rank: Int, rope: Int)], rowType: CacheRowType) throws(Failure) {
    guard !sizes.isEmpty else { throw Failure(.invalidArgument, "latent cache: no rows; expected one section or more") }
    var sections: [Section] = []
    var offset = 0
    for size in sizes {
      let section = Section(
        rank: size.rank, rope: size.rope, rowByteCount: try Self.rowByteCount(size, rowType), offset: offset)
      let bytes = try CheckedSize.product(Self.positionsPerPage, section.rowByteCount, of: "the latent cache's page")
      offset = try CheckedSize.sum(offset, bytes, of: "the latent cache's page")
      sections.append(section)
    }
    self.rowType = rowType
    self.sections = sections
    byteCount = offset
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
    let size = (rank: kvLoraRank, rope: qkRopeHeadDimension)
    try self.init(sections: Array(repeating: size, count: layerCount), rowType: rowType)
  }

  private static let mostLayers = 1 << 20

  private static func rowByteCount(_ size: (rank: Int, rope: Int), _ type: CacheRowType) throws(Failure) -> Int {
    guard size.rank > 0, size.rope >= 0 else {
      throw Failure(
        .invalidArgument,
        "latent cache: kv_lora_rank \(size.rank), qk_rope_head_dim \(size.rope); expected positive numbers")
    }
    guard let bytes = type.byteCount(rank: size.rank, rope: size.rope) else {
      throw Failure(.malformed, "the latent cache's row is out of range: [\(size.rank), \(size.rope)]")
    }
    return bytes
  }

  /// The sections' size where all have the same.
  var uniformSection: Section? {
    guard let first = sections.first else { return nil }
    return sections.allSatisfy { ($0.rank, $0.rope) == (first.rank, first.rope) } ? first : nil
  }

  /// Bytes that one position takes.
  public var positionByteCount: Int { byteCount / Self.positionsPerPage }

  /// Pages that hold `tokens` positions.
  public static func pageCount(_ tokens: Int) -> Int { CheckedSize.ceilingQuotient(tokens, positionsPerPage) }

  /// Bytes of the pages that hold `tokens` positions: whole pages, and nothing else.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func byteCount(tokens: Int) throws(Failure) -> Int {
    try CheckedSize.product(PageLayout.pageCount(tokens), byteCount, of: "the latent cache's size")
  }
}
