import DormouseKernels
import DormouseLayers
import DormouseSupport

/// The tokens of a batch on their way through the layers.
struct Batch {
  /// New tokens, of all segments: rows of the scratch memory.
  let count: Int
  /// Whose tokens they are: which rows, which ids, at which positions.
  let segments: ContiguousArray<ActiveSegment>
}

/// One layer's attention, with its weights and its place in the caches' pages.
protocol AttentionLayer {
  /// From `scratch.normed` to `scratch.update`: [count, hidden] each. Stores the new tokens' rows in their caches.
  func run(_ batch: Batch)
}

/// One layer's feed-forward half, with its weights.
protocol FeedForwardLayer {
  /// From `scratch.normed` to `scratch.update`: [count, hidden] each.
  /// - Throws: why its weights can't be had.
  func run(_ batch: Batch) throws(Failure)
}

/// How attention or a feed-forward half stands in the residual stream: `x += block(norm(x))`.
struct Residual {
  let norm: FloatVector
  let epsilon: Float
  let hidden: Int
  let scratch: Scratch
  let queue: ProductQueue

  /// Rows of `scratch.normed` from `target` on = RMSNorm of `rows` of `scratch.hidden`.
  func read(_ rows: Range<Int>, to target: Int = 0) {
    let kernels = queue.kernels
    queue.pool.forEachToken(rows.count) { token in
      kernels.rmsNorm(
        scratch.hidden + (rows.lowerBound + token) * hidden, weight: norm.pointer, epsilon: epsilon, count: hidden,
        into: scratch.normed + (target + token) * hidden)
    }
  }

  /// Adds `scratch.update` [count, hidden] to `scratch.hidden`.
  func write(_ count: Int) {
    let kernels = queue.kernels
    queue.pool.forEachToken(count) { token in
      kernels.addScaled(scratch.hidden + token * hidden, 1, scratch.update + token * hidden, count: hidden)
    }
  }
}

/// One layer of the decoder.
struct DecoderLayer {
  let attentionResidual: Residual
  let attention: any AttentionLayer
  let feedForwardResidual: Residual
  let feedForward: any FeedForwardLayer

  /// Changes `scratch.hidden` [count, hidden] and stores the layer's new rows in the segments' caches.
  /// - Throws: what the feed-forward half throws.
  func run(_ batch: Batch) throws(Failure) {
    attentionResidual.read(0..<batch.count)
    attention.run(batch)
    attentionResidual.write(batch.count)
    feedForwardResidual.read(0..<batch.count)
    try feedForward.run(batch)
    feedForwardResidual.write(batch.count)
  }
}
