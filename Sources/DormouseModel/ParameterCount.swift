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
    let expert = try CheckedSize.product(3, hiddenSize, moeIntermediateSize, of: "the parameters of an expert")
    let dense = try CheckedSize.product(3, hiddenSize, intermediateSize, of: "the parameters of a dense layer")
    let gate = try CheckedSize.product(router.expertCount, hiddenSize, of: "the parameters of the router")
    let bias = router.method == .noAuxiliaryLoss ? router.expertCount : 0
    let tables = try CheckedSize.product(
      tiesWordEmbeddings ? 1 : 2, vocabularySize, hiddenSize, of: "the parameters of embedding and head")
    func count(experts: Int) throws(Failure) -> Int {
      let mixture = try CheckedSize.sum(
        CheckedSize.product(experts + sharedExpertCount, expert, of: "the parameters of a layer's experts"), gate, bias,
        of: "the parameters of a layer")
      let sparseLayers = feedForward.count { $0 == .experts }
      let what = "the model's parameters"
      return try CheckedSize.sum(
        tables, hiddenSize, CheckedSize.product(hiddenLayerCount, attention, of: what),
        CheckedSize.product(sparseLayers, mixture, of: what),
        CheckedSize.product(hiddenLayerCount - sparseLayers, dense, of: what), of: what)
    }
    return ParameterCount(
      total: try count(experts: router.expertCount), active: try count(experts: router.expertsPerToken), tables: tables)
  }

  /// Attention with the two norms of its layer.
  private func attentionParameters() throws(Failure) -> Int {
    let what = "the parameters of a layer's attention"
    let queries = attentionHeadCount * qkHeadDimension
    var total = 2 * hiddenSize + kvLoraRank
    if let qLoraRank {
      total += qLoraRank * (hiddenSize + 1)
      total = try CheckedSize.sum(total, CheckedSize.product(queries, qLoraRank, of: what), of: what)
    } else {
      total = try CheckedSize.sum(total, CheckedSize.product(queries, hiddenSize, of: what), of: what)
    }
    if attentionBias { total += (qLoraRank ?? 0) + latentWidth + hiddenSize }
    return try CheckedSize.sum(
      total,
      CheckedSize.product(latentWidth, hiddenSize, of: what),
      CheckedSize.product(attentionHeadCount, qkNopeHeadDimension + vHeadDimension, kvLoraRank, of: what),
      CheckedSize.product(attentionHeadCount, vHeadDimension, hiddenSize, of: what), of: what)
  }

  /// Latent values of one token over all layers.
  public var cacheValuesPerToken: Int { hiddenLayerCount * latentWidth }

  /// Bytes of cache for one token over all layers.
  public func cacheByteCountPerToken(_ type: CacheRowType) -> Int {
    hiddenLayerCount * (type.byteCount(rank: kvLoraRank, rope: qkRopeHeadDimension) ?? 0)
  }

  /// What a cache of expanded keys and values would take instead.
  public func plainCacheByteCountPerToken(elementByteCount: Int) -> Int {
    hiddenLayerCount * attentionHeadCount * (qkHeadDimension + vHeadDimension) * elementByteCount
  }
}
