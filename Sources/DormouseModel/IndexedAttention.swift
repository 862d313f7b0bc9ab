import DormouseCache
import DormouseKernels
import DormouseLayers

/// One layer's sparse attention (DeepSeek-V3.2-Exp): latent attention whose tokens attend to the positions that an indexer
/// picks.
struct IndexedAttention: AttentionLayer {
  let latent: LatentAttention
  let indexer: Indexer
  let weights: IndexerWeights
  /// Where the indexer's keys are in the caches' pages.
  let section: Int

  private var queue: ProductQueue { latent.queue }

  func run(_ batch: Batch) {
    latent.projectDown(batch) { normed in
      queue.add(weights.key, x: normed, count: batch.count, y: indexer.scratch.key)
      queue.add(weights.headWeights, x: normed, count: batch.count, y: indexer.scratch.headWeights)
    }
    for segment in batch.segments {
      latent.finishLatents(segment) { token, index in finishKey(token, index, segment) }
    }
    latent.projectQueriesUp(batch) { latents in
      queue.add(weights.query, x: latents, count: batch.count, y: indexer.scratch.query)
    }
    pick(batch)
    latent.attend(batch, picked: indexer)
  }

  /// Normalises, rotates and stores a token's key.
  /// - Parameter index: the token's place in its segment.
  private func finishKey(_ token: Int, _ index: Int, _ segment: ActiveSegment) {
    let key = indexer.scratch.key + token * indexer.headDimension
    queue.kernels.layerNorm(
      key, weight: weights.keyNorm.pointer, bias: weights.keyNormBias.pointer,
      epsilon: IndexerConfiguration.normEpsilon, count: indexer.headDimension, into: key)
    latent.positions.rotate(key, token)
    segment.cache.store(key, count: 1, at: index, section: section)
  }

  /// Fills `indexer.scratch.selected` for the tokens that see more positions than are picked.
  private func pick(_ batch: Batch) {
    indexer.removeAll()
    for segment in batch.segments {
      guard let keys = segment.cache.rows(section: section) else { continue }
      for (index, row) in segment.rows.enumerated() where segment.first + index >= indexer.selectedCount {
        indexer.append(Indexer.Token(row: row, visible: segment.first + index + 1, keys: keys))
      }
    }
    guard !indexer.tokens.isEmpty else { return }
    let width = indexer.headDimension
    // Behind relu, where a positive factor may stand as well as before it.
    let factor = 1 / (Float(width) * Float(indexer.headCount)).squareRoot()
    queue.pool.forEachToken(indexer.tokens.count) { index in
      let row = indexer.tokens[index].row
      for head in row * indexer.headCount..<(row + 1) * indexer.headCount {
        latent.positions.rotate(indexer.scratch.query + head * width, row)
        indexer.scratch.headWeights[head] *= factor
      }
    }
    indexer.run(queue)
  }
}
