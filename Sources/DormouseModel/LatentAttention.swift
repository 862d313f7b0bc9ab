import DormouseCache
import DormouseKernels
import DormouseLayers
import DormouseSupport
import Glibc

/// One layer's multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1): projections, cache rows, and the
/// choice of form. The forms themselves are in `LatentAttention+Expanded` and `LatentAttention+Absorbed`. Its steps are
/// also those of `IndexedAttention`.
struct LatentAttention: AttentionLayer {
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
  let configuration: LatentAttentionConfiguration
  let weights: LatentAttentionWeights
  /// Where its rows are in the caches' pages.
  let section: Int
  let positions: RotaryPositions
  let scratch: Scratch
  /// What of the scratch memory is attention's own.
  let own: AttentionScratch
  let queue: ProductQueue
  let absorbed: AbsorbedScratch
  let absorbedTokens: AbsorbedTokens
  let expanded: ExpandedScratch

  /// Channels of a query or key head.
  var keyWidth: Int { nope + rope }
  /// Values of a cache row.
  var latentWidth: Int { rank + rope }

  /// - Parameters:
  ///   - shared: what all layers of the kind work with.
  ///   - section: where its rows are in the caches' pages.
  init(_ shared: LatentAttentionKind, _ weights: LatentAttentionWeights, section: Int) {
    self.weights = weights
    self.section = section
    configuration = shared.configuration
    hidden = shared.hidden
    positions = shared.positions
    scratch = shared.scratch
    own = shared.own
    queue = shared.queue
    heads = configuration.headCount
    nope = configuration.qkNopeHeadDimension
    rope = configuration.qkRopeHeadDimension
    value = configuration.vHeadDimension
    rank = configuration.kvLoraRank
    scale = configuration.softmaxScale
    epsilon = configuration.latentNormEpsilon
    form = shared.form
    absorbed = own.layout.absorbed
    absorbedTokens = shared.absorbedTokens
    expanded = own.layout.expanded
  }

  /// What makes a head's keys and values of latents.
  func expansion(_ head: Int) -> HeadExpansion {
    HeadExpansion(weights: weights.expansion, head: head, nope: nope, value: value, kernels: queue.kernels)
  }

  func run(_ batch: Batch) {
    projectDown(batch)
    for segment in batch.segments { finishLatents(segment) }
    projectQueriesUp(batch)
    attend(batch)
  }
}

/// The steps of a layer.
extension LatentAttention {
  /// Everything that is computed from the hidden state: the latent, the query or its low-rank form, the heads' gates.
  /// - Parameter addMore: queues more products of the normalised hidden state.
  func projectDown(_ batch: Batch, addMore: (_ normed: Activations) -> Void = { _ in }) {
    let query: Linear
    let target: UnsafeMutablePointer<Float>
    switch weights.query {
    case .direct(let weight): (query, target) = (Linear(weight: weight, bias: nil), own.query)
    case .lowRank(let down, _, _): (query, target) = (down, own.queryLatent)
    }
    let normed = queue.prepare(scratch.normed, columns: hidden, count: batch.count, in: scratch.quantizedInput)
    queue.add(query, x: normed, count: batch.count, y: target)
    queue.add(weights.latent, x: normed, count: batch.count, y: own.latent)
    if let gate = weights.headGate { queue.add(gate, x: normed, count: batch.count, y: own.headGate) }
    addMore(normed)
    queue.run()
  }

  /// Normalises both latents, rotates the shared key, and stores the tokens' rows in the cache.
  /// - Parameter finishMore: is called for each token, with its row in the scratch memory and its place in the segment.
  func finishLatents(_ segment: ActiveSegment, finishMore: (_ token: Int, _ index: Int) -> Void = { _, _ in }) {
    let kernels = queue.kernels
    queue.pool.forEachToken(segment.rows.count) { index in
      let token = segment.rows.lowerBound + index
      let row = own.latent + token * latentWidth
      kernels.rmsNorm(row, weight: weights.latentNorm.pointer, epsilon: epsilon, count: rank, into: row)
      if let norm = weights.rotatedKeyNorm {
        kernels.rmsNorm(row + rank, weight: norm.pointer, epsilon: epsilon, count: rope, into: row + rank)
      }
      positions.rotate(row + rank, token)
      segment.cache.store(row, count: 1, at: index, section: section)
      if case .lowRank(_, let norm, _) = weights.query {
        let query = own.queryLatent + token * norm.count
        kernels.rmsNorm(query, weight: norm.pointer, epsilon: epsilon, count: norm.count, into: query)
      }
      finishMore(token, index)
    }
  }

  /// The queries of their low-rank form, where they have one.
  /// - Parameter addMore: queues more products of that form.
  func projectQueriesUp(_ batch: Batch, addMore: (_ latents: Activations) -> Void = { _ in }) {
    guard case .lowRank(_, let norm, let up) = weights.query else { return }
    let latents = queue.prepare(
      own.queryLatent, columns: norm.count, count: batch.count, in: scratch.quantizedInput)
    queue.add(Linear(weight: up, bias: nil), x: latents, count: batch.count, y: own.query)
    addMore(latents)
    queue.run()
  }

  /// From queries and the caches' rows to `scratch.update`.
  /// - Parameter picked: has picked the positions that tokens attend to; nil: all that they see.
  func attend(_ batch: Batch, picked: Indexer? = nil) {
    absorbedTokens.removeAll()
    for segment in batch.segments {
      guard let rows = segment.cache.rows(section: section) else { continue }
      if form.isExpanded(segment.form, count: segment.rows.count, first: segment.first) {
        attendExpanded(segment, rows, picked)
      } else {
        appendAbsorbed(segment, rows, picked)
      }
    }
    attendAbsorbed()
    if weights.headGate != nil { gateHeads(batch) }
    let attended = queue.prepare(
      own.attended, columns: heads * value, count: batch.count, in: scratch.quantizedInput)
    queue.run(weights.output, x: attended, count: batch.count, y: scratch.update)
  }

  /// Multiplies each head's output by the sigmoid of its gate.
  private func gateHeads(_ batch: Batch) {
    queue.pool.forEachToken(batch.count) { token in
      for head in token * heads..<(token + 1) * heads {
        let gate = 1 / (1 + expf(-own.headGate[head]))
        for channel in head * value..<(head + 1) * value { own.attended[channel] *= gate }
      }
    }
  }
}
