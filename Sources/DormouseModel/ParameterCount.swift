public import DormouseKernels
import DormouseSupport

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
    let attention = try attentionParameters()
    let shared = try CheckedSize.product(3, hiddenSize, sharedExpertsWidth, of: "the parameters of shared experts")
    let expert = try CheckedSize.product(3, hiddenSize, moeIntermediateSize, of: "the parameters of an expert")
    let dense = try CheckedSize.product(3, hiddenSize, intermediateSize, of: "the parameters of a dense layer")
    let gate = try CheckedSize.product(router.expertCount, hiddenSize, of: "the parameters of the router")
    let bias = router.method == .noAuxiliaryLoss ? router.expertCount : 0
    let tables = try CheckedSize.product(
      tiesWordEmbeddings ? 1 : 2, vocabularySize, hiddenSize, of: "the parameters of embedding and head")
    func count(experts: Int) throws(Failure) -> Int {
      let mixture = try CheckedSize.sum(
        CheckedSize.product(experts, expert, of: "the parameters of a layer's experts"), shared, gate, bias,
        of: "the parameters of a layer")
      let sparseLayers = feedForward.count { $0 == .experts }
      let what = "the model's parameters"
      return try CheckedSize.sum(
        tables, hiddenSize, attention,
        CheckedSize.product(sparseLayers, mixture, of: what),
        CheckedSize.product(hiddenLayerCount - sparseLayers, dense, of: what), of: what)
    }
    return ParameterCount(
      total: try count(experts: router.expertCount), active: try count(experts: router.expertsPerToken), tables: tables)
  }

  /// Attention of all layers, with the two norms of each.
  private func attentionParameters() throws(Failure) -> Int {
    var total = 0
    var kinds: [Int] = []
    for kind in attentions { kinds.append(try kind.parameterCount(hiddenSize: hiddenSize)) }
    for kind in attentionKinds {
      total = try CheckedSize.sum(total, kinds[kind], 2 * hiddenSize, of: "the parameters of attention")
    }
    return total
  }

  /// The attention of each layer.
  private var layerAttentions: [AttentionConfiguration] { attentionKinds.map { attentions[$0] } }

  /// Values of the cache for one token over all layers.
  public var cacheValuesPerToken: Int {
    layerAttentions.reduce(0) { $0 + $1.latentWidth + ($1.indexer?.headDimension ?? 0) }
  }

  /// Bytes of cache for one token over all layers.
  public func cacheByteCountPerToken(_ type: CacheRowType) -> Int {
    cacheSections.sizes.reduce(0) { $0 + (type.byteCount(rank: $1.rank, rope: $1.rope) ?? 0) }
  }

  /// What a cache of expanded keys and values would take instead.
  public func plainCacheByteCountPerToken(elementByteCount: Int) -> Int {
    layerAttentions.reduce(0) { $0 + $1.headCount * ($1.qkHeadDimension + $1.vHeadDimension) } * elementByteCount
  }
}

extension AttentionConfiguration {
  /// Parameters of one layer's attention.
  fileprivate func parameterCount(hiddenSize: Int) throws(Failure) -> Int {
    let what = "the parameters of a layer's attention"
    let queries = headCount * qkHeadDimension
    var total = kvLoraRank
    if let qLoraRank {
      total += qLoraRank * (hiddenSize + 1)
      total = try CheckedSize.sum(total, CheckedSize.product(queries, qLoraRank, of: what), of: what)
    } else {
      total = try CheckedSize.sum(total, CheckedSize.product(queries, hiddenSize, of: what), of: what)
    }
    if hasBias { total += (qLoraRank ?? 0) + latentWidth + hiddenSize }
    if normalizesRotatedKey { total += qkRopeHeadDimension }
    if gatesHeads { total += headCount * hiddenSize }
    if let indexer {
      let queries = try CheckedSize.product(
        indexer.headCount, indexer.headDimension, qLoraRank ?? hiddenSize, of: what)
      let rest = (indexer.headCount + indexer.headDimension) * hiddenSize + 2 * indexer.headDimension
      total = try CheckedSize.sum(total, queries, rest, of: what)
    }
    return try CheckedSize.sum(
      total,
      CheckedSize.product(latentWidth, hiddenSize, of: what),
      CheckedSize.product(headCount, qkNopeHeadDimension + vHeadDimension, kvLoraRank, of: what),
      CheckedSize.product(headCount, vHeadDimension, hiddenSize, of: what), of: what)
  }
}
