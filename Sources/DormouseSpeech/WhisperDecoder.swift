import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport

struct WhisperDecoderLayerWeights: Sendable {
  let selfAttentionNorm: NormWeights
  let selfAttention: AttentionProjections
  let crossAttentionNorm: NormWeights
  let crossAttention: AttentionProjections
  let feedForward: TransformerFeedForwardWeights
}

struct WhisperDecoderWeights: Sendable {
  /// [vocabulary, hidden].
  let embedding: WeightMatrix
  /// [vocabulary, hidden]: `proj_out`, or the embedding.
  let head: WeightMatrix
  /// [target positions, hidden].
  let positions: FloatVector
  let layers: [WhisperDecoderLayerWeights]
  let norm: NormWeights
}

extension AudioTensors {
  static let head = "proj_out.weight"
  static let decoderPrefix = "model.decoder."
  static let embedding = "\(decoderPrefix)embed_tokens.weight"

  func decoder(_ c: WhisperConfiguration) -> TensorGroup<WhisperDecoderWeights> {
    let prefix = AudioTensors.decoderPrefix
    let layers = (0..<c.decoderLayerCount).map { layer("\(prefix)layers.\($0).", width: c.decoderIntermediateSize) }
    func table(_ name: String) -> TensorGroup<WeightMatrix> {
      .matrix(name, rows: c.vocabularySize, columns: hiddenSize)
    }
    return TensorGroup(
      table(AudioTensors.embedding), TensorGroup(c.tiesWordEmbeddings ? nil : table(AudioTensors.head)),
      .floats("\(prefix)embed_positions.weight", shape: [c.targetPositions, hiddenSize]), TensorGroup(layers),
      norm("\(prefix)layer_norm")
    ) { WhisperDecoderWeights(embedding: $0, head: $1 ?? $0, positions: $2, layers: $3, norm: $4) }
  }

  private func layer(_ prefix: String, width: Int) -> TensorGroup<WhisperDecoderLayerWeights> {
    TensorGroup(
      norm("\(prefix)self_attn_layer_norm"), attention("\(prefix)self_attn."),
      norm("\(prefix)encoder_attn_layer_norm"), attention("\(prefix)encoder_attn."), feedForward(prefix, width: width)
    ) {
      WhisperDecoderLayerWeights(
        selfAttentionNorm: $0, selfAttention: $1, crossAttentionNorm: $2, crossAttention: $3, feedForward: $4)
    }
  }
}

/// Whisper's decoder (`WhisperDecoder` of transformers 5.23): tokens and what the encoder heard -> logits.
///
/// One timeline at a time; a call takes it up at any earlier position. It keeps keys and values of its own tokens and,
/// from `listen` on, those of the encoder's rows.
final class WhisperDecoder {
  struct Layout {
    var rows: TransformerRowsLayout
    let attention: HeadAttention
    /// Each [layers, hidden * positions], as `HeadAttention` wants them.
    let selfKeys, selfValues, crossKeys, crossValues: Int
    /// [2, vocabulary].
    let logits: Int
    let attentionScratch: Int
    /// Words of the four caches.
    let cacheWords: Int

    init(_ c: WhisperConfiguration, threadCount: Int) throws(Failure) {
      rows = try TransformerRowsLayout(
        rows: c.targetPositions, hiddenSize: c.hiddenSize, width: c.decoderIntermediateSize)
      attention = try HeadAttention(
        headCount: c.decoderAttentionHeadCount, headDimension: c.decoderHeadDimension, capacity: c.targetPositions)
      let before = rows.layout.wordCount
      selfKeys = try rows.layout.words(c.decoderLayerCount, c.targetPositions, c.hiddenSize)
      selfValues = try rows.layout.words(c.decoderLayerCount, c.targetPositions, c.hiddenSize)
      crossKeys = try rows.layout.words(c.decoderLayerCount, c.encoder.sourcePositions, c.hiddenSize)
      crossValues = try rows.layout.words(c.decoderLayerCount, c.encoder.sourcePositions, c.hiddenSize)
      cacheWords = rows.layout.wordCount - before
      logits = try rows.layout.words(2, c.vocabularySize)
      attentionScratch = try rows.layout.words(threadCount, attention.ownWords)
    }
  }

  let configuration: WhisperConfiguration
  private let weights: WhisperDecoderWeights
  private let layout: Layout
  private let blocks: TransformerBlocks
  private var words: UnsafeMutablePointer<Float> { blocks.words }

  /// - Throws: `Failure(.outOfMemory)`.
  init(
    _ configuration: WhisperConfiguration, _ weights: WhisperDecoderWeights, pool: ThreadPool, kernels: Kernels
  ) throws(Failure) {
    self.configuration = configuration
    self.weights = weights
    layout = try Layout(configuration, threadCount: pool.threadCount)
    try Kernels.reserveThreadScratch(Self.threadScratchByteCount(configuration, kernels), pool: pool)
    let queue = ProductQueue(kernels: kernels, pool: pool, capacity: 3)
    blocks = try TransformerBlocks(
      layout.rows, hiddenSize: configuration.hiddenSize, queue: queue,
      for: "a Whisper decoder's caches and scratch memory")
  }

  /// Bytes that a thread keeps for the kernels.
  static func threadScratchByteCount(_ c: WhisperConfiguration, _ kernels: Kernels) -> Int {
    kernels.scratchByteCount(columns: max(c.hiddenSize, c.decoderIntermediateSize), count: c.targetPositions)
  }

  /// The logits of row `row` (0 or 1) of the last `forward`.
  func logits(_ row: Int) -> UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(
      start: words + layout.logits + row * configuration.vocabularySize, count: configuration.vocabularySize)
  }

  /// Takes a window's rows, normalised, from the encoder, whose other rows it overwrites.
  /// - Throws: `Failure(.cancelled)`.
  func listen(to heard: TransformerBlocks, interruption: Interruption) throws(Failure) {
    let count = configuration.encoder.sourcePositions
    for (index, layer) in weights.layers.enumerated() {
      try interruption.check()
      heard.products(
        [(layer.crossAttention.key, heard.key), (layer.crossAttention.value, heard.value)], heard.normed, count)
      layout.attention.store(
        key: heard.key, value: heard.value, count: count, at: 0, keys: cache(layout.crossKeys, index, count),
        values: cache(layout.crossValues, index, count), keyRow: count, heard.queue)
    }
  }

  /// Computes tokens from position `first` on, and leaves the logits of two of them, which may be the same.
  ///
  /// - Parameters:
  ///   - tokens: ids below the vocabulary's size; they end within the target positions.
  ///   - rows: whose logits are wanted, as indices of `tokens`; one or two.
  func forward(_ tokens: ArraySlice<Int32>, at first: Int, logitsOf rows: [Int]) {
    let hidden = configuration.hiddenSize
    for (row, token) in tokens.enumerated() {
      let target = blocks.hidden + row * hidden
      blocks.queue.kernels.dequantize(weights.embedding, row: Int(token), into: target)
      blocks.queue.kernels.addScaled(
        target, 1, weights.positions.pointer + (first + row) * hidden, count: hidden)
    }
    for (index, layer) in weights.layers.enumerated() {
      attendToSelf(layer, index, first, tokens.count)
      attendToAudio(layer, index, tokens.count)
      blocks.feedForward(layer.feedForward, tokens.count)
    }
    blocks.normalize(weights.norm, tokens.count, into: blocks.normed)
    let head = Linear(weight: .rows(weights.head), bias: nil)
    for (place, row) in rows.enumerated() {
      blocks.product(
        head, blocks.normed + row * hidden, 1, into: words + layout.logits + place * configuration.vocabularySize)
    }
  }

  private func cache(_ offset: Int, _ layer: Int, _ positions: Int) -> UnsafeMutablePointer<Float> {
    words + offset + layer * positions * configuration.hiddenSize
  }

  private func attendToSelf(_ layer: WhisperDecoderLayerWeights, _ index: Int, _ first: Int, _ count: Int) {
    let positions = configuration.targetPositions
    let keys = cache(layout.selfKeys, index, positions)
    let values = cache(layout.selfValues, index, positions)
    let projections = layer.selfAttention
    blocks.normalize(layer.selfAttentionNorm, count, into: blocks.normed)
    blocks.products(
      [(projections.query, blocks.query), (projections.key, blocks.key), (projections.value, blocks.value)],
      blocks.normed, count)
    blocks.scaleQueries(count, headDimension: configuration.decoderHeadDimension)
    layout.attention.store(
      key: blocks.key, value: blocks.value, count: count, at: first, keys: keys, values: values, keyRow: positions,
      blocks.queue)
    layout.attention.run(
      query: blocks.query, count: count, keys: keys, values: values, keyRow: positions, keyCount: first + count,
      visible: first + 1, into: blocks.attended, scratch: words + layout.attentionScratch, blocks.queue)
    blocks.addAttended(projections.output, count)
  }

  private func attendToAudio(_ layer: WhisperDecoderLayerWeights, _ index: Int, _ count: Int) {
    let positions = configuration.encoder.sourcePositions
    blocks.normalize(layer.crossAttentionNorm, count, into: blocks.normed)
    blocks.product(layer.crossAttention.query, blocks.normed, count, into: blocks.query)
    blocks.scaleQueries(count, headDimension: configuration.decoderHeadDimension)
    layout.attention.run(
      query: blocks.query, count: count, keys: cache(layout.crossKeys, index, positions),
      values: cache(layout.crossValues, index, positions), keyRow: positions, keyCount: positions, visible: positions,
      into: blocks.attended, scratch: words + layout.attentionScratch, blocks.queue)
    blocks.addAttended(layer.crossAttention.output, count)
  }
}
