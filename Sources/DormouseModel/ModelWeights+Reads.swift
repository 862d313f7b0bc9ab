import DormouseKernels

extension ModelWeights {
  /// Bytes that decoding one token reads: everything once, but one row of the embedding, and of a layer's routed experts
  /// those that the router picks.
  func byteCountPerToken(_ configuration: ModelConfiguration) -> Int {
    var total = embedding.byteCount / max(embedding.rows, 1) + head.byteCount
    for layer in layers {
      total += layer.attention.byteCount
      switch layer.feedForward {
      case .dense(let weights): total += weights.byteCount
      case .experts(let weights):
        let chosen = configuration.router.expertsPerToken
        total += weights.router.byteCount + (weights.shared?.byteCount ?? 0)
        total += (weights.experts.first?.byteCount ?? 0) * chosen
      }
    }
    return total
  }
}

extension AttentionWeights {
  fileprivate var byteCount: Int {
    let queries =
      switch query {
      case .direct(let weight): weight.byteCount
      case .lowRank(let down, _, let up): down.weight.byteCount + up.byteCount
      }
    return queries + latent.weight.byteCount + expansion.byteCount + output.weight.byteCount
      + (headGate?.weight.byteCount ?? 0) + (indexer?.byteCount ?? 0)
  }
}

extension IndexerWeights {
  fileprivate var byteCount: Int { query.weight.byteCount + key.weight.byteCount + headWeights.weight.byteCount }
}

extension GatedWeights {
  fileprivate var byteCount: Int { gate.byteCount + up.byteCount + down.byteCount }
}
