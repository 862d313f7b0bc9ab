import DormouseCache
import DormouseKernels
import DormouseLayers
import DormouseSupport
import Glibc

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
  /// Of the norms of latents and shared key.
  let epsilon: Float
  let configuration: AttentionConfiguration
  private let table: RopeTable
  private let angles: Scratch.Angles
  let indexer: Indexer?
  let absorbed: AbsorbedScratch
  let absorbedTokens: AbsorbedTokens
  let expanded: ExpandedScratch

  /// Channels of a query or key head.
  var keyWidth: Int { nope + rope }
  /// Values of a cache row.
  var latentWidth: Int { rank + rope }

  init(
    _ configuration: AttentionConfiguration, hidden: Int, sizes: DecoderSizes, angles: Scratch.Angles
  ) throws(Failure) {
    self.configuration = configuration
    self.hidden = hidden
    self.angles = angles
    heads = configuration.headCount
    nope = configuration.qkNopeHeadDimension
    rope = configuration.qkRopeHeadDimension
    value = configuration.vHeadDimension
    rank = configuration.kvLoraRank
    scale = configuration.softmaxScale
    epsilon = configuration.latentNormEpsilon
    form = AttentionFormChoice(configuration)
    table = RopeTable(configuration)
    if let own = configuration.indexer { indexer = try Indexer(own, sizes) } else { indexer = nil }
    absorbed = try Self.absorbedScratch(configuration)
    absorbedTokens = AbsorbedTokens(capacity: min(sizes.chunk, sizes.batch))
    expanded = try Self.expandedScratch(configuration, chunk: sizes.chunk)
  }

  /// What every step of one pass over a layer needs.
  struct Pass {
    let weights: AttentionWeights
    let sections: ModelConfiguration.CacheSections
    /// New tokens, of all segments.
    let count: Int
    let segments: ContiguousArray<ActiveSegment>
  }

  /// What makes a head's keys and values of latents.
  func expansion(_ head: Int, _ pass: Pass, _ kernels: Kernels) -> HeadExpansion {
    HeadExpansion(weights: pass.weights.expansion, head: head, nope: nope, value: value, kernels: kernels)
  }

  /// From `scratch.normed` to `scratch.update`: [count, hidden] each. Stores the new tokens' rows in their caches.
  func run(_ pass: Pass, scratch: Scratch, queue: ProductQueue) {
    projectDown(pass, scratch, queue)
    for segment in pass.segments { finishLatents(segment, pass, scratch, queue) }
    projectQueriesUp(pass, scratch, queue)
    if let indexer { select(by: indexer, pass, scratch, queue) }
    absorbedTokens.removeAll()
    for segment in pass.segments {
      guard let rows = segment.cache.rows(section: pass.sections.latent) else { continue }
      if usesExpandedForm(segment) {
        attendExpanded(segment, pass, rows, scratch, queue)
      } else {
        appendAbsorbed(segment, rows, scratch)
      }
    }
    attendAbsorbed(pass, scratch, queue)
    if pass.weights.headGate != nil { gateHeads(pass, scratch, queue) }
    let attended = queue.prepare(
      scratch.attended, columns: heads * value, count: pass.count, in: scratch.quantizedInput)
    queue.run(pass.weights.output, x: attended, count: pass.count, y: scratch.update)
  }

  /// Everything that is computed from the hidden state: the latent, the query or its low-rank form, the heads' gates, and
  /// the indexer's key and weights.
  private func projectDown(_ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue) {
    let query: Linear
    let target: UnsafeMutablePointer<Float>
    switch pass.weights.query {
    case .direct(let weight): (query, target) = (Linear(weight: weight, bias: nil), scratch.query)
    case .lowRank(let down, _, _): (query, target) = (down, scratch.queryLatent)
    }
    let normed = queue.prepare(scratch.normed, columns: hidden, count: pass.count, in: scratch.quantizedInput)
    let (gate, index) = (pass.weights.headGate, pass.weights.indexer)
    queue.add(query, x: normed, count: pass.count, y: target)
    queue.add(pass.weights.latent, x: normed, count: pass.count, y: scratch.latent)
    if let gate { queue.add(gate, x: normed, count: pass.count, y: scratch.headGate) }
    if let index {
      queue.add(index.key, x: normed, count: pass.count, y: scratch.index.key)
      queue.add(index.headWeights, x: normed, count: pass.count, y: scratch.index.headWeights)
    }
    queue.run()
  }

  /// Normalises both latents, rotates the shared key, and stores the tokens' rows in the cache.
  private func finishLatents(
    _ segment: ActiveSegment, _ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue
  ) {
    let kernels = queue.kernels
    queue.pool.forEachToken(segment.rows.count) { index in
      let token = segment.rows.lowerBound + index
      let row = scratch.latent + token * latentWidth
      kernels.rmsNorm(row, weight: pass.weights.latentNorm.pointer, epsilon: epsilon, count: rank, into: row)
      if let norm = pass.weights.rotatedKeyNorm {
        kernels.rmsNorm(row + rank, weight: norm.pointer, epsilon: epsilon, count: rope, into: row + rank)
      }
      rotate(row + rank, token)
      segment.cache.store(row, count: 1, at: index, section: pass.sections.latent)
      if case .lowRank(_, let norm, _) = pass.weights.query {
        let query = scratch.queryLatent + token * norm.count
        kernels.rmsNorm(query, weight: norm.pointer, epsilon: epsilon, count: norm.count, into: query)
      }
      if let indexer, let weights = pass.weights.indexer, let section = pass.sections.index {
        let key = scratch.index.key + token * indexer.headDimension
        kernels.layerNorm(
          key, weight: weights.keyNorm.pointer, bias: weights.keyNormBias.pointer,
          epsilon: IndexerConfiguration.normEpsilon, count: indexer.headDimension, into: key)
        rotate(key, token)
        segment.cache.store(key, count: 1, at: index, section: section)
      }
    }
  }

  private func projectQueriesUp(_ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue) {
    guard case .lowRank(_, let norm, let up) = pass.weights.query else { return }
    let latent = queue.prepare(
      scratch.queryLatent, columns: norm.count, count: pass.count, in: scratch.quantizedInput)
    let index = pass.weights.indexer?.query
    queue.add(Linear(weight: up, bias: nil), x: latent, count: pass.count, y: scratch.query)
    if let index { queue.add(index, x: latent, count: pass.count, y: scratch.index.query) }
    queue.run()
  }

  /// Multiplies each head's output by the sigmoid of its gate.
  private func gateHeads(_ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue) {
    queue.pool.forEachToken(pass.count) { token in
      for head in token * heads..<(token + 1) * heads {
        let gate = 1 / (1 + expf(-scratch.headGate[head]))
        for channel in head * value..<(head + 1) * value { scratch.attended[channel] *= gate }
      }
    }
  }

  // MARK: - Positions

  /// Computes the angles of `count` tokens from position `first` on, whose rows in the scratch memory begin at `row`.
  func fillAngles(first: Int, count: Int, row: Int) {
    let offset = row * table.pairCount
    table.fill(first: first, count: count, cosines: angles.cosines + offset, sines: angles.sines + offset)
  }

  /// Rotates `rope` channels of a token of the chunk in place.
  func rotate(_ x: UnsafeMutablePointer<Float>, _ token: Int) {
    let offset = token * table.pairCount
    table.rotate(x, cosines: angles.cosines + offset, sines: angles.sines + offset)
  }

  // MARK: - Forms

  private func usesExpandedForm(_ segment: ActiveSegment) -> Bool {
    form.isExpanded(segment.form, count: segment.rows.count, first: segment.first)
  }

  /// Words of memory that one task of either form works in, or of the indexer; the most of all kinds.
  static func ownScratchCount(_ c: ModelConfiguration, _ sizes: DecoderSizes) throws(Failure) -> Int {
    var most = 0
    for kind in c.attentions {
      most = max(
        most, try expandedScratch(kind, chunk: sizes.chunk).own.wordCount, try absorbedScratch(kind).own.wordCount)
      if let indexer = kind.indexer { most = max(most, try Indexer(indexer, sizes).own.wordCount) }
    }
    return most
  }

  /// Words of memory that the tasks share; the most of all kinds.
  static func sharedScratchCount(_ c: ModelConfiguration, _ sizes: DecoderSizes) throws(Failure) -> Int {
    var most = 0
    for kind in c.attentions {
      most = max(most, try absorbedScratch(kind).shared.wordCount)
      if let indexer = kind.indexer { most = max(most, try Indexer(indexer, sizes).shared.wordCount) }
    }
    return most
  }
}
