import DormouseCache
import DormouseSupport
import DormouseWeights

/// Parameters of a model without its layers for multi-token prediction.
public struct ParameterCount: Sendable, Equatable {
  public internal(set) var total: Int
  /// Those that one token meets: everything but the routed experts it was not sent to. Embedding and head count.
  public internal(set) var active: Int
  /// Those of embedding and head, once where they are tied; a prompt's tokens, but the last, meet the rest alone.
  public internal(set) var tables: Int
}

extension ModelConfiguration {
  /// - Throws: `Failure(.malformed)` when a product of the dimensions is beyond 64 bits.
  public func parameterCount() throws(Failure) -> ParameterCount {
    var count = ParameterCount(total: 0, active: 0, tables: 0)
    func add(_ spec: TensorSpec, times: Int) throws(Failure) {
      let own = try CheckedSize.product(spec.shape + [times], of: "the parameters of \(spec.name)")
      let met = spec.part == .experts ? own / router.expertCount * router.expertsPerToken : own
      let isTable = spec.part == .embedding || spec.part == .head
      let what = "the model's parameters"
      count.total = try CheckedSize.sum(count.total, own, of: what)
      count.active = try CheckedSize.sum(count.active, met, of: what)
      if isTable { count.tables = try CheckedSize.sum(count.tables, own, of: what) }
    }
    let tensors = ModelTensors(self)
    for spec in tensors.outsideLayers { try add(spec, times: 1) }
    for (layer, times) in layerKinds() {
      for spec in tensors.layer(layer).groups.joined() { try add(spec, times: times) }
    }
    return count
  }

  /// The first layer of every kind, and how many are like it.
  private func layerKinds() -> [(first: Int, count: Int)] {
    var kinds: [(first: Int, count: Int)] = []
    var places: [LayerKind: Int] = [:]
    for index in 0..<hiddenLayerCount {
      let kind = LayerKind(attention: attentionKinds[index], feedForward: feedForward[index])
      if let place = places[kind] {
        kinds[place].count += 1
      } else {
        places[kind] = kinds.count
        kinds.append((index, 1))
      }
    }
    return kinds
  }

  private struct LayerKind: Hashable {
    let attention: Int
    let feedForward: FeedForward
  }

  /// Values of the cache for one token over all layers, rounded up.
  public var cacheValuesPerToken: Int {
    CheckedSize.ceilingQuotient(
      cacheSections.reduce(0) { $0 + $1.rowsPerPage * $1.width }, PageLayout.positionsPerPage)
  }

  /// What a cache of expanded keys and values would take instead.
  public func plainCacheByteCountPerToken(elementByteCount: Int) -> Int {
    attentionKinds.reduce(0) { values, kind in
      let attention = attentions[kind].latent
      return values + attention.headCount * (attention.qkHeadDimension + attention.vHeadDimension)
    } * elementByteCount
  }
}
