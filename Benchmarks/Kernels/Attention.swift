import DormouseKernels
import DormouseSupport

/// Absorbed latent attention of one token over the cache rows of many layers, cut as the decoder cuts it: by groups of
/// heads and spans of rows, which are joined at the end.
struct AttentionCases {
  let setBytes: Int

  /// V2's and V3's `kv_lora_rank` and `qk_rope_head_dim`.
  private static let rank = 512
  private static let rope = 64
  private static let width = rank + rope

  var all: [Case] {
    CacheRowType.allCases.flatMap { type in
      [16, 128].flatMap { heads in
        [1024, 4096].map { rows in make(type, heads: heads, rows: rows) }
      }
    }
  }

  private func make(_ type: CacheRowType, heads: Int, rows: Int) -> Case {
    let bytes = rows * (type.byteCount(rank: AttentionCases.rank, rope: AttentionCases.rope) ?? 0)
    // A product with the whole row for the score, one with the latent for the sum.
    let operations = 2 * Double(heads * rows * (AttentionCases.width + AttentionCases.rank))
    let layers = countPerPass(bytes: bytes, operations: operations, setBytes: setBytes)
    let work = Work(bytes: Double(bytes * layers), operations: operations * Double(layers))
    let pagesPerLayer = CheckedSize.ceilingQuotient(rows, CacheRows.positionsPerPage)
    return Case(name: "attention/\(type)/heads\(heads)/rows\(rows)", work: work) { () throws(Failure) in
      let attention = try SpannedAttention(
        heads: heads, rows: rows, rank: AttentionCases.rank, rope: AttentionCases.rope)
      let cache = try AttentionCases.cache(type, rows: rows, layers: layers, bytes: bytes)
      let pages = try AttentionCases.pages(cache, rows: rows, layers: layers)
      return { kernels, pool in
        guard let base = pages.bound(to: UnsafeRawPointer.self).baseAddress else { return }
        for layer in 0..<layers {
          let rows = CacheRows(
            type: type, rank: AttentionCases.rank, rope: AttentionCases.rope,
            pages: base + layer * pagesPerLayer)
          attention.attend(rows, kernels, pool)
        }
        withExtendedLifetime(cache) {}
      }
    }
  }

  /// `layers` times the same random rows.
  private static func cache(
    _ type: CacheRowType, rows: Int, layers: Int, bytes: Int
  ) throws(Failure) -> AlignedBuffer {
    let cache = try AlignedBuffer(byteCount: bytes * layers, for: "cache rows")
    let values = try AlignedBuffer(byteCount: 4 * rows * width, for: "values of cache rows")
    guard let base = cache.bytes.baseAddress, let source = values.bound(to: Float.self).baseAddress else {
      return cache
    }
    var random = RandomBits()
    random.fill(values.bytes, with: .float32)
    try Kernels.selected().storeRows(source, count: rows, type: type, rank: rank, rope: rope, into: base)
    for layer in 1..<layers { (base + layer * bytes).copyMemory(from: base, byteCount: bytes) }
    withExtendedLifetime(values) {}
    return cache
  }

  /// The addresses of the pages of all layers' rows, which lie behind each other.
  private static func pages(_ cache: AlignedBuffer, rows: Int, layers: Int) throws(Failure) -> AlignedBuffer {
    let perLayer = CheckedSize.ceilingQuotient(rows, CacheRows.positionsPerPage)
    let pages = try AlignedBuffer(
      byteCount: layers * perLayer * MemoryLayout<UnsafeRawPointer>.stride, for: "addresses of pages")
    guard let base = cache.bytes.baseAddress,
      let addresses = pages.bound(to: UnsafeRawPointer.self).baseAddress
    else { return pages }
    let layerBytes = cache.bytes.count / layers
    for index in 0..<layers * perLayer {
      let first = index % perLayer * CacheRows.positionsPerPage
      addresses[index] = UnsafeRawPointer(base + (index / perLayer * layerBytes + first * (layerBytes / rows)))
    }
    return pages
  }
}

/// One token's attention, shared out over threads.
private struct SpannedAttention {
  let heads: Int
  let rows: Int
  let rank: Int
  let width: Int
  private let query: AlignedBuffer
  private let partial: AlignedBuffer
  private let result: AlignedBuffer
  private let scratchCount: Int
  private let scratch: AlignedBuffer

  private static let mostThreads = 64
  private static let mostSpans = 16
  /// Rows that the kernel decodes at a time.
  private static let spanMultiple = 64

  /// - Throws: `Failure(.outOfMemory)`.
  init(heads: Int, rows: Int, rank: Int, rope: Int) throws(Failure) {
    self.heads = heads
    self.rows = rows
    self.rank = rank
    width = rank + rope
    query = try AlignedBuffer(byteCount: 4 * heads * (rank + rope), for: "queries")
    partial = try AlignedBuffer(byteCount: 4 * SpannedAttention.mostSpans * heads * (rank + 2), for: "partial sums")
    result = try AlignedBuffer(byteCount: 4 * heads * rank, for: "results")
    scratchCount = try Kernels.latentScratchCount(heads: min(heads, 32), rank: rank, rope: rope)
    scratch = try AlignedBuffer(byteCount: 4 * SpannedAttention.mostThreads * scratchCount, for: "scratch memory")
    var random = RandomBits()
    random.fill(query.bytes, with: .float32)
  }

  private var headsPerGroup: Int { min(heads, 32) }
  private var groups: Int { CheckedSize.ceilingQuotient(heads, headsPerGroup) }
  private var spanLength: Int {
    let even = CheckedSize.ceilingQuotient(rows, SpannedAttention.mostSpans)
    return CheckedSize.ceilingQuotient(even, SpannedAttention.spanMultiple) * SpannedAttention.spanMultiple
  }
  private var spans: Int { CheckedSize.ceilingQuotient(rows, spanLength) }
  /// Floats of what one group and one span leave.
  private var partialCount: Int { headsPerGroup * (rank + 2) }

  /// pool: of `mostThreads` threads at most.
  func attend(_ cache: CacheRows, _ kernels: Kernels, _ pool: ThreadPool) {
    guard let queries = query.bound(to: Float.self).baseAddress,
      let partials = partial.bound(to: Float.self).baseAddress,
      let results = result.bound(to: Float.self).baseAddress, let memory = scratch.bound(to: Float.self).baseAddress
    else { return }
    pool.run(groups * spans) { task, worker in
      let (group, span) = (task / spans, task % spans)
      let range = span * spanLength..<min((span + 1) * spanLength, rows)
      kernels.attendLatent(
        query: queries + group * headsPerGroup * width, scale: 0.07,
        over: LatentSpans(rows: cache, range: range, length: range.count),
        into: left(partials + task * partialCount), scratch: memory + worker * scratchCount)
    }
    pool.run(heads) { head, _ in
      kernels.combineLatent(
        left(partials + head / headsPerGroup * spans * partialCount), spans: spans, head: head % headsPerGroup,
        into: results + head * rank)
    }
  }

  /// What one group leaves of its spans, from the first on.
  private func left(_ first: UnsafeMutablePointer<Float>) -> LatentPartials {
    LatentPartials(first, stride: partialCount, heads: headsPerGroup, rank: rank)
  }
}
