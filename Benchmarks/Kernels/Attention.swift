import DormouseKernels
import DormouseSupport

/// Absorbed latent attention of one token over the cache rows of many layers; threads share the heads out.
struct AttentionCases {
  let setBytes: Int

  /// V2's and V3's `kv_lora_rank` and `qk_rope_head_dim`.
  private static let rank = 512
  private static let rope = 64
  private static let width = rank + rope

  var all: [Case] {
    [ElementType.float32, .bfloat16].flatMap { type in
      [16, 128].flatMap { heads in
        [1024, 4096].map { rows in make(type, heads: heads, rows: rows) }
      }
    }
  }

  private func make(_ type: ElementType, heads: Int, rows: Int) -> Case {
    let bytes = rows * AttentionCases.width * type.byteCount
    // A product with the whole row for the score, one with the latent for the sum.
    let operations = 2 * Double(heads * rows * (AttentionCases.width + AttentionCases.rank))
    let layers = countPerPass(bytes: bytes, operations: operations, setBytes: setBytes)
    let work = Work(bytes: Double(bytes * layers), operations: operations * Double(layers))
    return Case(name: "attention/\(type.name)/heads\(heads)/rows\(rows)", work: work) { () throws(Failure) in
      let cache = try AlignedBuffer(byteCount: bytes * layers, for: "cache rows")
      let query = try AlignedBuffer(byteCount: 4 * heads * AttentionCases.width, for: "queries")
      let result = try AlignedBuffer(byteCount: 4 * heads * AttentionCases.rank, for: "results")
      var random = RandomBits()
      random.fill(cache.bytes, with: type)
      random.fill(query.bytes, with: .float32)
      return { kernels, pool in
        guard let base = cache.bytes.baseAddress else { return }
        for layer in 0..<layers {
          attend(
            kernels, pool, rows: UnsafeRawPointer(base + layer * bytes), type, count: rows, heads: heads, query, result)
        }
      }
    }
  }

  private func attend(
    _ kernels: Kernels, _ pool: ThreadPool, rows: UnsafeRawPointer, _ type: ElementType, count: Int, heads: Int,
    _ query: AlignedBuffer, _ result: AlignedBuffer
  ) {
    guard let queries = query.bound(to: Float.self).baseAddress, let results = result.bound(to: Float.self).baseAddress
    else { return }
    let share = CheckedSize.ceilingQuotient(heads, pool.threadCount)
    pool.run(CheckedSize.ceilingQuotient(heads, share)) { task, _ in
      let first = task * share
      kernels.attendLatent(
        query: queries + first * AttentionCases.width, heads: min(share, heads - first), rows: rows, rowType: type,
        rowStride: AttentionCases.width, count: count, rank: AttentionCases.rank, rope: AttentionCases.rope,
        scale: 0.07, into: results + first * AttentionCases.rank)
    }
  }
}
