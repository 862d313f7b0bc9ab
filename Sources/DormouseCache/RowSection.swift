import DormouseKernels

/// Rows of one size that a layer keeps of a timeline in the cache's pages: one for every `positionsPerRow` positions.
///
/// Latent attention keeps a row a position: `kvLoraRank` values of the normalised latent, then `qkRopeHeadDimension`
/// values of the rotated key that all heads share (DeepSeek-V2, arXiv 2405.04434, section 2.1). A layer that compresses
/// windows of positions keeps a row a window, which is there as soon as the window's last position is.
public struct RowSection: Sendable, Equatable {
  /// Values that a narrow type rounds most: of a latent or an indexer's key.
  public let rank: Int
  /// Values behind them: of a rotated key.
  public let rope: Int
  /// Positions of a row: a divisor of a page's positions, or a multiple of them.
  public let positionsPerRow: Int

  public init(rank: Int, rope: Int = 0, positionsPerRow: Int = 1) {
    self.rank = rank
    self.rope = rope
    self.positionsPerRow = positionsPerRow
  }

  /// Values of a row.
  public var width: Int { rank + rope }

  /// Rows that a page has room for. Rows sparser than pages have one place in each, though only a page in which a row's
  /// last position lies has the row.
  public var rowsPerPage: Int { CacheRows.rowsPerPage(positionsPerRow: positionsPerRow) }

  /// Whether rows begin and end with pages, or several with one.
  var fitsPages: Bool {
    positionsPerRow > 0
      && (PageLayout.positionsPerPage % positionsPerRow == 0 || positionsPerRow % PageLayout.positionsPerPage == 0)
  }

  /// Rows of the first `length` positions: of windows that are complete.
  public func rowCount(length: Int) -> Int { length / positionsPerRow }

  /// Of these, rows that lie in a page.
  func rowCount(length: Int, page: Int) -> Int {
    let start = page * PageLayout.positionsPerPage
    return rowCount(length: min(length, start + PageLayout.positionsPerPage)) - rowCount(length: start)
  }
}
