public import DormouseKernels
public import DormouseSupport

/// What a page of a latent cache holds: for `tokenCount` positions the rows of every layer.
///
/// A token leaves one row a layer and nothing else: `kvLoraRank` values of the normalised latent, then
/// `qkRopeHeadDimension` values of the rotated key that all heads share (DeepSeek-V2, arXiv 2405.04434, section 2.1).
/// Layout of a page: [layer][position in the page][row], without padding.
public struct PageLayout: Sendable, Equatable {
  /// Positions of a page.
  public static let tokenCount = CacheRows.rowsInPage

  public let layerCount: Int
  public let kvLoraRank: Int
  public let qkRopeHeadDimension: Int
  public let rowType: CacheRowType
  /// Bytes of a row.
  public let rowByteCount: Int
  /// Bytes of a page.
  public let byteCount: Int

  /// - Throws: `Failure(.invalidArgument)` for a size that is not positive, `Failure(.malformed)` for a page beyond 64
  ///   bits.
  public init(
    layerCount: Int, kvLoraRank: Int, qkRopeHeadDimension: Int, rowType: CacheRowType
  ) throws(Failure) {
    guard layerCount > 0, kvLoraRank > 0, qkRopeHeadDimension >= 0 else {
      throw Failure(
        .invalidArgument,
        "latent cache: \(layerCount) layers, kv_lora_rank \(kvLoraRank), qk_rope_head_dim \(qkRopeHeadDimension);"
          + " expected positive numbers")
    }
    guard let row = rowType.byteCount(rank: kvLoraRank, rope: qkRopeHeadDimension) else {
      throw Failure(.malformed, "the latent cache's row is out of range: [\(kvLoraRank), \(qkRopeHeadDimension)]")
    }
    self.layerCount = layerCount
    self.kvLoraRank = kvLoraRank
    self.qkRopeHeadDimension = qkRopeHeadDimension
    self.rowType = rowType
    rowByteCount = row
    byteCount = try CheckedSize.product(layerCount, PageLayout.tokenCount, row, of: "the latent cache's page")
  }

  /// Values of a row.
  public var rowWidth: Int { kvLoraRank + qkRopeHeadDimension }
  /// Bytes of a layer in a page.
  var layerByteCount: Int { PageLayout.tokenCount * rowByteCount }

  /// Pages that hold `tokens` positions.
  public static func pageCount(_ tokens: Int) -> Int { CheckedSize.ceilingQuotient(tokens, tokenCount) }

  /// Bytes of the pages that hold `tokens` positions: whole pages, and nothing else.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func byteCount(tokens: Int) throws(Failure) -> Int {
    try CheckedSize.product(PageLayout.pageCount(tokens), byteCount, of: "the latent cache's size")
  }
}
