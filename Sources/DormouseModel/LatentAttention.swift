import DormouseCache
import DormouseKernels
import DormouseSupport

/// Which of the two equal ways to compute latent attention.
public enum AttentionForm: Sendable, Equatable {
  /// Whichever costs less for the number of tokens.
  case automatic
  /// Keys and values are expanded from the latents: fewer operations for many tokens.
  case expanded
  /// `kv_b_proj` is moved into query and output, so that attention reads latents only: for few tokens.
  case absorbed
}

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
  let table: RopeTable
  let absorbed: AbsorbedScratch
  let expanded: ExpandedScratch

  /// Channels of a query or key head.
  var keyWidth: Int { nope + rope }
  /// Values of a cache row.
  var latentWidth: Int { rank + rope }

  /// - Parameter chunk: tokens of one pass at most.
  init(_ configuration: ModelConfiguration, chunk: Int) throws(Failure) {
    heads = configuration.attentionHeadCount
    nope = configuration.qkNopeHeadDimension
    rope = configuration.qkRopeHeadDimension
    value = configuration.vHeadDimension
    rank = configuration.kvLoraRank
    hidden = configuration.hiddenSize
    scale = configuration.softmaxScale
    table = RopeTable(configuration)
    absorbed = try Self.absorbedScratch(configuration)
    expanded = try Self.expandedScratch(configuration, chunk: chunk)
  }

  /// What every step of one pass over a layer needs.
  struct Pass {
    let weights: AttentionWeights
    let layer: Int
    /// New tokens, at the positions from `first` on.
    let count: Int
    let first: Int
    let form: AttentionForm
  }

  /// From `scratch.normed` to `scratch.update`: [count, hidden] each. Stages the new tokens' rows in the cache.
  /// - Throws: `Failure(.contextFull)` when the rows don't fit.
  func run(_ pass: Pass, cache: LatentCache, scratch: Scratch, queue: ProductQueue) throws(Failure) {
    projectDown(pass, scratch, queue)
    let staged = try cache.stage(count: pass.count, layer: pass.layer)
    finishLatents(pass, scratch, queue) { cache.store(scratch.latent + $0 * latentWidth, count: 1, at: $0, of: staged) }
    projectQueriesUp(pass, scratch, queue)
    guard let rows = cache.rows(layer: pass.layer) else {
      throw Failure(.internalError, "the cache has no layer \(pass.layer)")
    }
    if usesExpandedForm(pass) {
      attendExpanded(pass, rows, scratch, queue)
    } else {
      attendAbsorbed(pass, rows, scratch, queue)
    }
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

  /// Normalises both latents, rotates the shared key, and hands each token's row of the cache to `store`.
  private func finishLatents(
    _ pass: Pass, _ scratch: Scratch, _ queue: ProductQueue, _ store: (_ token: Int) -> Void
  ) {
    let kernels = queue.kernels
    let epsilon = ModelConfiguration.latentNormEpsilon
    queue.pool.forEachToken(pass.count) { token in
      let row = scratch.latent + token * latentWidth
      kernels.rmsNorm(row, weight: pass.weights.latentNorm.pointer, epsilon: epsilon, count: rank, into: row)
      rotate(row + rank, token, scratch)
      store(token)
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

  /// Compares multiplications a head, since both forms run near the arithmetic's peak: expanded `rank * (nope + value)`
  /// a key and `nope + rope + value` a visible pair of token and key; absorbed `rank * (nope + value)` a token and
  /// `2 * rank + rope` a pair.
  private func usesExpandedForm(_ pass: Pass) -> Bool {
    switch pass.form {
    case .expanded: return true
    case .absorbed: return false
    case .automatic:
      let projection = Double(rank * (nope + value))
      let pairs = Double(pass.count) * (Double(pass.first) + Double(pass.count + 1) / 2)
      let byKeys = Double(pass.first + pass.count) * projection + pairs * Double(keyWidth + value)
      return byKeys < Double(pass.count) * projection + pairs * Double(2 * rank + rope)
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
