import DormouseKernels
import DormouseLayers

/// One layer: x += attention(norm(x)); x += feedForward(norm(x)).
struct DecoderLayer {
  let hidden: Int
  let epsilon: Float
  /// One for each of the model's kinds of attention.
  let attentions: [LatentAttention]
  let feedForward: FeedForward
  let scratch: Scratch
  let queue: ProductQueue

  /// Changes `scratch.hidden` [count, hidden] and stores the layer's new rows in the segments' caches.
  /// - Parameters:
  ///   - kind: which of `attentions` the layer has.
  ///   - sections: where its rows are in the caches' pages.
  func run(
    _ weights: LayerWeights, kind: Int, sections: ModelConfiguration.CacheSections, count: Int,
    segments: ContiguousArray<ActiveSegment>
  ) {
    normalize(weights.inputNorm, 0..<count, to: 0)
    let pass = LatentAttention.Pass(weights: weights.attention, sections: sections, count: count, segments: segments)
    attentions[kind].run(pass, scratch: scratch, queue: queue)
    addUpdate(count)
    normalize(weights.feedForwardNorm, 0..<count, to: 0)
    feedForward.run(weights.feedForward, count: count)
    addUpdate(count)
  }

  /// Rows of `scratch.normed` from `target` on = RMSNorm of `rows` of `scratch.hidden`.
  func normalize(_ weight: FloatVector, _ rows: Range<Int>, to target: Int) {
    let kernels = queue.kernels
    queue.pool.forEachToken(rows.count) { token in
      kernels.rmsNorm(
        scratch.hidden + (rows.lowerBound + token) * hidden, weight: weight.pointer, epsilon: epsilon, count: hidden,
        into: scratch.normed + (target + token) * hidden)
    }
  }

  private func addUpdate(_ count: Int) {
    let kernels = queue.kernels
    queue.pool.forEachToken(count) { token in
      kernels.addScaled(scratch.hidden + token * hidden, 1, scratch.update + token * hidden, count: hidden)
    }
  }
}
