import DormouseLayers
import DormouseSupport

/// What lies where in the scratch memory of a model's feed-forward layers. Those of both kinds use the same memory, since
/// layers run one after the other.
struct FeedForwardLayout {
  let dense: GatedLayout
  let experts: ExpertsLayout
  /// Of the larger one, of those that the model has.
  let wordCount: Int

  init(
    _ c: ModelConfiguration, _ precision: WeightPrecision, _ sizes: DecoderSizes, threadCount: Int
  ) throws(Failure) {
    var (denseWords, expertWords) = (ScratchLayout(), ScratchLayout())
    dense = try GatedLayout(
      rows: sizes.chunk, width: c.intermediateSize, isPacked: precision.packedType(of: .feedForward) != nil,
      in: &denseWords)
    experts = try ExpertsLayout(
      c.router, tokens: sizes.chunk, hidden: c.hiddenSize, width: c.moeIntermediateSize,
      sharedWidth: c.sharedExpertsWidth, isPacked: precision.packedType(of: .experts) != nil, threads: threadCount,
      in: &expertWords)
    wordCount = max(
      c.feedForward.contains(.dense) ? denseWords.wordCount : 0,
      c.feedForward.contains(.experts) ? expertWords.wordCount : 0)
  }
}

/// A dense gated network.
struct DenseLayer: FeedForwardLayer {
  let weights: GatedWeights
  let networks: GatedNetworks
  let queue: ProductQueue
  let scratch: Scratch
  let own: GatedScratch

  func run(_ batch: Batch) {
    let normed = queue.prepare(
      scratch.normed, columns: weights.gate.weight.columns, count: batch.count, in: scratch.quantizedInput)
    networks.add(weights, x: normed, count: batch.count, in: own, y: scratch.update)
    networks.run()
  }
}

/// Routed and shared experts.
struct ExpertsLayer: FeedForwardLayer {
  let experts: MixtureOfExperts
  let scratch: Scratch

  func run(_ batch: Batch) throws(Failure) {
    try experts.run(scratch.normed, count: batch.count, quantized: scratch.quantizedInput, into: scratch.update)
  }
}
