import DormouseCache
import DormouseKernels
import DormouseSupport

/// One layer: x += attention(norm(x)); x += feedForward(norm(x)).
struct DecoderLayer {
  let hidden: Int
  let epsilon: Float
  let attention: LatentAttention
  let feedForward: FeedForward
  let scratch: Scratch
  let queue: ProductQueue

  /// Changes `scratch.hidden` [count, hidden] and stages the layer's new rows in the cache.
  func run(
    _ weights: LayerWeights, layer: Int, count: Int, form: AttentionForm, cache: LatentCache
  ) throws(Failure) {
    normalize(weights.inputNorm, count)
    let pass = LatentAttention.Pass(
      weights: weights.attention, layer: layer, count: count, first: cache.length, form: form)
    try attention.run(pass, cache: cache, scratch: scratch, queue: queue)
    addUpdate(count)
    normalize(weights.feedForwardNorm, count)
    feedForward.run(weights.feedForward, count: count)
    addUpdate(count)
  }

  /// normed = RMSNorm(hidden) for the first `count` tokens.
  func normalize(_ weight: FloatVector, _ count: Int) {
    let kernels = queue.kernels
    queue.pool.forEachToken(count) { token in
      kernels.rmsNorm(
        scratch.hidden + token * hidden, weight: weight.pointer, epsilon: epsilon, count: hidden,
        into: scratch.normed + token * hidden)
    }
  }

  private func addUpdate(_ count: Int) {
    let kernels = queue.kernels
    queue.pool.forEachToken(count) { token in
      kernels.addScaled(scratch.hidden + token * hidden, 1, scratch.update + token * hidden, count: hidden)
    }
  }
}
