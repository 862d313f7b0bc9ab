import DormouseCache
import DormouseKernels
import DormouseLayers
import DormouseSupport

/// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): projections, cache rows, and the choice of
/// form. The forms themselves are in `LatentAttention+Expanded` and `LatentAttention+Absorbed`.
struct LatentAttention {
  let heads: Int
  let nope: Int
  let rope: Int
  let value: Int
  let rank: Int
  let hidden: Int
  let scale: Float
  let form: AttentionFormChoice
  let table: RopeTable
  let absorbed: AbsorbedScratch
  let absorbedTokens: AbsorbedTokens
  let expanded: ExpandedScratch

  /// Channels of a query or key head.
  var keyWidth: Int { nope + rope }
  /// Values of a cache row.
  var latentWidth: Int { rank + rope }

  init(_ configuration: ModelConfiguration, sizes: DecoderSizes) throws(Failure) {
    heads = configuration.attentionHeadCount
    nope = configuration.qkNopeHeadDimension
    rope = configuration.qkRopeHeadDimension
    value = configuration.vHeadDimension
    rank = configuration.kvLoraRank
    hidden = configuration.hiddenSize
    scale = configuration.softmaxScale
    form = AttentionFormChoice(configuration)
    table = RopeTable(configuration)
    absorbed = try Self.absorbedScratch(configuration)
    absorbedTokens = AbsorbedTokens(capacity: min(sizes.chunk, sizes.batch))
    expanded = try Self.expandedScratch(configuration, chunk: sizes.chunk)
  }

  /// What every step of one pass over a layer needs.
  struct Pass {
    let weights: AttentionWeights
    let layer: Int
    /// New tokens, of all segments.
    let count: Int
    let segments: ContiguousArray<ActiveSegment>
  }

  /// From `scratch.normed` to `scratch.update`: [count, hidden] each. Stores the new tokens' rows in their caches.
  func run(_ pass: Pass, scratch: Scratch, queue: ProductQueue) {
    projectDown(pass, scratch, queue)
    for segment in pass.segments { finishLatents(segment, pass, scratch, queue) }
    projectQueriesUp(pass, scratch, queue)
    absorbedTokens.removeAll()
    for segment in pass.segments {
      guard let rows = segment.cache.rows(layer: pass.layer) else { continue }
      if usesExpandedForm(segment) {
        attendExpanded(segment, pass, rows, scratch, queue)
      } else {
        absorbedTokens.append(segment, rows)
      }
    }
    attendAbsorbed(pass, scratch, queue)
    let attended = queue.prepare(
      scratch.attended, columns: heads * value, count: pass.count, in: scratch.quantizedInput)
    queue.run(pass.weights.output, x: attended, count: pass.count, y: scratch.update)
  }

  /// Everything that is computed from the hidden state: the latent, and the query or its low-rank form.
  private func projectDown(_ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue) {
    let query: Linear
    let target: UnsafeMutablePointer<Float>
    switch pass.weights.query {
    case .direct(let weight): (query, target) = (Linear(weight: weight, bias: nil), scratch.query)
    case .lowRank(let down, _, _): (query, target) = (down, scratch.queryLatent)
    }
    let normed = queue.prepare(scratch.normed, columns: hidden, count: pass.count, in: scratch.quantizedInput)
    queue.begin(rows: query.weight.rows + latentWidth, rowCost: hidden * pass.count)
    queue.add(query, x: normed, count: pass.count, y: target)
    queue.add(pass.weights.latent, x: normed, count: pass.count, y: scratch.latent)
    queue.run()
  }

  /// Normalises both latents, rotates the shared key, and stores the tokens' rows in the cache.
  private func finishLatents(
    _ segment: ActiveSegment, _ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue
  ) {
    let kernels = queue.kernels
    let epsilon = ModelConfiguration.latentNormEpsilon
    queue.pool.forEachToken(segment.rows.count) { index in
      let token = segment.rows.lowerBound + index
      let row = scratch.latent + token * latentWidth
      kernels.rmsNorm(row, weight: pass.weights.latentNorm.pointer, epsilon: epsilon, count: rank, into: row)
      rotate(row + rank, token, scratch)
      segment.cache.store(row, count: 1, at: index, layer: pass.layer)
      if case .lowRank(_, let norm, _) = pass.weights.query {
        let query = scratch.queryLatent + token * norm.count
        kernels.rmsNorm(query, weight: norm.pointer, epsilon: epsilon, count: norm.count, into: query)
      }
    }
  }

  private func projectQueriesUp(_ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue) {
    guard case .lowRank(_, let norm, let up) = pass.weights.query else { return }
    let latent = queue.prepare(
      scratch.queryLatent, columns: norm.count, count: pass.count, in: scratch.quantizedInput)
    queue.run(Linear(weight: up, bias: nil), x: latent, count: pass.count, y: scratch.query)
  }

  /// Rotates `rope` channels of a token of the chunk in place.
  func rotate(_ x: UnsafeMutablePointer<Float>, _ token: Int, _ scratch: Scratch) {
    let offset = token * table.pairCount
    table.rotate(x, cosines: scratch.cosines + offset, sines: scratch.sines + offset)
  }

  private func usesExpandedForm(_ segment: ActiveSegment) -> Bool {
    switch segment.form {
    case .expanded: true
    case .absorbed: false
    case .automatic: form.isExpanded(count: segment.rows.count, first: segment.first)
    }
  }

  /// Words of memory that one task of either form works in.
  static func ownScratchCount(_ c: ModelConfiguration, chunk: Int) throws(Failure) -> Int {
    max(try expandedScratch(c, chunk: chunk).own.wordCount, try absorbedScratch(c).own.wordCount)
  }

  /// Words of memory that the tasks share.
  static func sharedScratchCount(_ c: ModelConfiguration) throws(Failure) -> Int {
    try absorbedScratch(c).shared.wordCount
  }
}
