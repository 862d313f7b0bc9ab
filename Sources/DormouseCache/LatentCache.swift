public import DormouseKernels
import DormouseSupport

/// The key-value cache of multi-head latent attention.
///
/// A token leaves one row a layer and nothing else: `kvLoraRank` values of the normalised latent, then
/// `qkRopeHeadDimension` values of the rotated key that all heads share (DeepSeek-V2, arXiv 2405.04434, section 2.1).
/// Layout: [layer][position][row], without padding, so that the memory is exactly
/// `layerCount * capacity * rowType.byteCount(rank: kvLoraRank, rope: qkRopeHeadDimension)` bytes; pages are touched
/// only as rows are written.
///
/// One writer at a time. A forward pass stages rows layer by layer and advances once all layers are done: a pass that
/// is cancelled half-way leaves the length, and so the cache, as it was.
public final class LatentCache {
  public let layerCount: Int
  public let kvLoraRank: Int
  public let qkRopeHeadDimension: Int
  /// Tokens that fit.
  public let capacity: Int
  public let rowType: CacheRowType
  /// Bytes of a row.
  public let rowByteCount: Int
  /// Tokens held.
  public private(set) var length = 0

  private let memory: AlignedBuffer
  private let layerByteCount: Int
  private let kernels: Kernels

  /// Values of a row.
  public var rowWidth: Int { kvLoraRank + qkRopeHeadDimension }
  /// Bytes of memory, all layers and the whole capacity.
  public var byteCount: Int { memory.bytes.count }

  /// - Throws: `Failure(.invalidArgument)` for a size that is not positive, `Failure(.outOfMemory)` naming the size.
  public init(
    layerCount: Int, kvLoraRank: Int, qkRopeHeadDimension: Int, capacity: Int, rowType: CacheRowType, kernels: Kernels
  ) throws(Failure) {
    guard layerCount > 0, kvLoraRank > 0, qkRopeHeadDimension >= 0, capacity > 0 else {
      throw Failure(
        .invalidArgument,
        "latent cache: \(layerCount) layers, kv_lora_rank \(kvLoraRank), qk_rope_head_dim \(qkRopeHeadDimension),"
          + " capacity \(capacity); expected positive numbers")
    }
    self.layerCount = layerCount
    self.kvLoraRank = kvLoraRank
    self.qkRopeHeadDimension = qkRopeHeadDimension
    self.capacity = capacity
    self.rowType = rowType
    self.kernels = kernels
    let total = try LatentCache.byteCount(
      layerCount: layerCount, kvLoraRank: kvLoraRank, qkRopeHeadDimension: qkRopeHeadDimension, capacity: capacity,
      rowType: rowType)
    memory = try AlignedBuffer(byteCount: total, for: "latent cache of \(capacity) tokens")
    layerByteCount = total / layerCount
    rowByteCount = layerByteCount / capacity
  }

  /// The bytes that a cache of these sizes takes.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func byteCount(
    layerCount: Int, kvLoraRank: Int, qkRopeHeadDimension: Int, capacity: Int, rowType: CacheRowType
  ) throws(Failure) -> Int {
    guard let row = rowType.byteCount(rank: kvLoraRank, rope: qkRopeHeadDimension) else {
      throw Failure(.malformed, "the latent cache's row is out of range: [\(kvLoraRank), \(qkRopeHeadDimension)]")
    }
    return try CheckedSize.product(layerCount, capacity, row, of: "the latent cache's size")
  }

  /// The rows of a layer, of which the first `length` (and staged ones) are set. Nil for a layer that is not there.
  public func rows(layer: Int) -> CacheRows? {
    guard layer >= 0, layer < layerCount, let base = memory.bytes.baseAddress else { return nil }
    return CacheRows(
      type: rowType, rank: kvLoraRank, rope: qkRopeHeadDimension, bytes: UnsafeRawPointer(base + layer * layerByteCount)
    )
  }

  /// Where `count` new rows of a layer go, behind the rows held: `rowByteCount` bytes each, for `store` to fill.
  /// - Throws: `Failure(.contextFull)` when they don't fit, `Failure(.invalidArgument)` for an unknown layer.
  public func stage(count: Int, layer: Int) throws(Failure) -> UnsafeMutableRawPointer {
    guard layer >= 0, layer < layerCount, count >= 0, let base = memory.bytes.baseAddress else {
      throw Failure(.invalidArgument, "latent cache: \(count) rows for layer \(layer); it has \(layerCount) layers")
    }
    try requireRoom(for: count)
    return base + layer * layerByteCount + length * rowByteCount
  }

  /// Writes `count` rows [count, rowWidth] at staged row `index`. Thread: any, each row by one.
  public func store(_ rows: UnsafePointer<Float>, count: Int, at index: Int, of staged: UnsafeMutableRawPointer) {
    kernels.storeRows(
      rows, count: count, type: rowType, rank: kvLoraRank, rope: qkRopeHeadDimension,
      into: staged + index * rowByteCount)
  }

  /// Writes `count` rows [count, rowWidth] of a layer behind the rows held, without counting them yet.
  /// - Throws: as `stage(count:layer:)`.
  public func stage(_ rows: UnsafePointer<Float>, count: Int, layer: Int) throws(Failure) {
    store(rows, count: count, at: 0, of: try stage(count: count, layer: layer))
  }

  /// Counts `count` staged rows of every layer as held.
  /// - Throws: `Failure(.contextFull)` when there is no room for them.
  public func advance(by count: Int) throws(Failure) {
    guard count >= 0 else { throw Failure(.invalidArgument, "latent cache: advance by \(count)") }
    try requireRoom(for: count)
    length += count
  }

  /// Appends `count` tokens at once: rows [layerCount, count, rowWidth].
  public func append(_ rows: UnsafePointer<Float>, count: Int) throws(Failure) {
    for layer in 0..<layerCount { try stage(rows + layer * max(count, 0) * rowWidth, count: count, layer: layer) }
    try advance(by: count)
  }

  /// Forgets all tokens from position `length` on.
  /// - Throws: `Failure(.invalidArgument)` when fewer are held.
  public func truncate(to length: Int) throws(Failure) {
    guard length >= 0, length <= self.length else {
      throw Failure(.invalidArgument, "latent cache: truncate to \(length); it holds \(self.length) tokens")
    }
    self.length = length
  }

  /// - Throws: `Failure(.contextFull)` when `count` more tokens don't fit.
  public func requireRoom(for count: Int) throws(Failure) {
    guard count <= capacity - length else {
      throw Failure(
        .contextFull, "\(count) more tokens do not fit: the context holds \(length) of \(capacity) tokens")
    }
  }

  /// Absorbed attention of one token over the first `count` rows: for each head, scores are
  /// `scale * dot(query_h, row)`, and `out_h` is the softmax-weighted sum of the rows' latents.
  ///
  /// - Parameters:
  ///   - query: [heads, rowWidth]: the query in latent space, then its rotated channels.
  ///   - count: rows to attend over; nil for all that are held.
  ///   - out: [heads, kvLoraRank].
  /// - Throws: `Failure(.invalidArgument)` for an unknown layer, no heads, no rows, or more than are held.
  public func attend(
    query: UnsafePointer<Float>, heads: Int, scale: Float, layer: Int, count: Int? = nil,
    into out: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    let count = count ?? length
    guard heads > 0, (1...max(length, 1)).contains(count), length > 0, let rows = rows(layer: layer) else {
      throw Failure(
        .invalidArgument,
        "latent cache: attention of \(heads) heads over \(count) of \(length) tokens in layer \(layer) of \(layerCount)"
      )
    }
    // No caller has a query beyond the address space; twice its bytes cover the kernel's own memory for these heads.
    guard heads <= Int.max / 8 / (rowWidth + LatentCache.headOverhead) else {
      throw Failure(.invalidArgument, "latent cache: attention of \(heads) heads, whose queries no memory holds")
    }
    kernels.attendLatent(query: query, heads: heads, rows: rows, count: count, scale: scale, into: out)
  }

  /// At least what the kernels add to a head's row: its padding and its scores.
  private static let headOverhead = 256
}
