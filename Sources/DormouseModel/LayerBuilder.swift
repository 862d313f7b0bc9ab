import DormouseLayers
import DormouseSupport
import DormouseWeights

/// Makes a decoder's layers of a model's weights.
struct LayerBuilder {
  /// One for each of the model's kinds of attention.
  let kinds: [AttentionKind]
  private let model: Model
  private let scratch: Scratch
  private let queue: ProductQueue
  private let networks: GatedNetworks
  private let experts: any ExpertSource

  init(
    _ model: Model, _ experts: any ExpertSource, _ sizes: DecoderSizes, _ scratch: Scratch, _ queue: ProductQueue
  ) {
    let c = model.configuration
    kinds = c.attentions.indices.map { AttentionKind(c, $0, sizes: sizes, scratch: scratch, queue: queue) }
    self.model = model
    self.scratch = scratch
    self.queue = queue
    networks = GatedNetworks(queue: queue, capacity: c.router.expertCount + 1)
    self.experts = experts
  }

  /// - Throws: `Failure(.internalError)` for weights that are not the configuration's.
  func layers() throws(Failure) -> [DecoderLayer] {
    let c = model.configuration
    var section = 0
    var layers: [DecoderLayer] = []
    for (weights, kind) in zip(model.weights.layers, c.attentionKinds) {
      layers.append(
        DecoderLayer(
          attentionResidual: residual(weights.inputNorm),
          attention: try kinds[kind].layer(weights.attention, section: section),
          feedForwardResidual: residual(weights.feedForwardNorm),
          feedForward: feedForward(weights.feedForward, layers.count)))
      section += c.attentions[kind].rowSections.count
    }
    return layers
  }

  func residual(_ norm: FloatVector) -> Residual {
    let c = model.configuration
    return Residual(norm: norm, epsilon: c.rmsNormEpsilon, hidden: c.hiddenSize, scratch: scratch, queue: queue)
  }

  private func feedForward(_ weights: FeedForwardWeights, _ layer: Int) -> any FeedForwardLayer {
    switch weights {
    case .dense(let weights):
      return DenseLayer(
        weights: weights, networks: networks, queue: queue, scratch: scratch,
        own: GatedScratch(scratch.feedForward, scratch.feedForwardLayout.dense))
    case .experts(let weights):
      let mixture = MixtureOfExperts(
        weights, model.configuration.router, source: experts, layer: layer, networks: networks,
        memory: scratch.feedForward, layout: scratch.feedForwardLayout.experts)
      return ExpertsLayer(experts: mixture, scratch: scratch)
    }
  }
}
