public import DormouseCache
internal import DormouseKernels
public import DormouseSupport

extension LatentCache {
  /// Absorbed attention of one token over the first `count` rows: for each head, scores are
  /// `scale * dot(query_h, row)`, and `out_h` is the softmax-weighted sum of the rows' latents.
  ///
  /// - Parameters:
  ///   - query: [heads, the section's width]: the query in latent space, then its rotated channels.
  ///   - count: rows to attend over; nil for all that are held.
  ///   - out: [heads, rank].
  /// - Throws: `Failure(.invalidArgument)` for an unknown section or one of several positions a row, no heads, no rows, or
  ///   more than are held.
  public func attend(
    query: UnsafePointer<Float>, heads: Int, scale: Float, section: Int, count: Int? = nil,
    into out: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    let count = count ?? length
    guard heads > 0, (1...max(length, 1)).contains(count), length > 0, let rows = rows(section: section),
      rows.positionsPerRow == 1
    else {
      throw Failure(
        .invalidArgument,
        "latent cache: attention of \(heads) heads over \(count) of \(length) tokens in section \(section) of"
          + " \(layout.sections.count)")
    }
    // No caller has a query beyond the address space; twice its bytes cover the kernel's own memory for these heads.
    guard heads <= Int.max / 8 / (rows.width + headOverhead) else {
      throw Failure(.invalidArgument, "latent cache: attention of \(heads) heads, whose queries no memory holds")
    }
    pool.kernels.attendLatent(query: query, heads: heads, rows: rows, count: count, scale: scale, into: out)
  }
}

/// At least what the kernels add to a head's row: its padding and its scores.
private let headOverhead = 256
