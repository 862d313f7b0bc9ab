import DormouseKernels
import DormouseLayers
import DormouseSupport

/// The decoder's intermediate results for one chunk of tokens, sized once.
final class Scratch {
  /// Cosines and sines of the positions, for one kind of attention.
  struct Angles {
    let pairCount: Int
    /// [chunk, pairCount].
    let cosines: UnsafeMutablePointer<Float>
    let sines: UnsafeMutablePointer<Float>
  }

  private let hiddenCount: Int
  /// [chunk, hidden]: the residual stream.
  let hidden: UnsafeMutablePointer<Float>
  /// [chunk, hidden]: the stream normalised for the next block.
  let normed: UnsafeMutablePointer<Float>
  /// [chunk, hidden]: what a block adds to the stream.
  let update: UnsafeMutablePointer<Float>
  /// One for each of the model's kinds of attention.
  let angles: [Angles]
  /// What attention works in, whichever kind: layers run one after the other.
  let attention: UnsafeMutablePointer<Float>
  /// What lies where there, for each kind.
  let attentions: [AttentionLayout]
  /// What the feed-forward layers work in, one after the other.
  let feedForward: UnsafeMutablePointer<Float>
  let feedForwardLayout: FeedForwardLayout
  /// Where a model with packed matrices has rounded rows: [chunk] of the widest input. Nil without.
  let quantizedInput: UnsafeMutableRawPointer?
  /// [batch, vocabulary].
  let logits: UnsafeMutablePointer<Float>
  private let memory: AlignedBuffer

  var byteCount: Int { memory.bytes.count }

  init(
    _ configuration: ModelConfiguration, precision: WeightPrecision, sizes: DecoderSizes, threadCount: Int
  ) throws(Failure) {
    let offsets = try ScratchOffsets(configuration, precision, sizes, threadCount: threadCount)
    memory = try AlignedBuffer(byteCount: offsets.layout.byteCount(), for: "the decoder's scratch memory")
    guard let base = memory.bound(to: Float.self).baseAddress else {
      throw Failure(.internalError, "the decoder's scratch memory has no address")
    }
    hiddenCount = configuration.hiddenSize
    hidden = base + offsets.hidden
    normed = base + offsets.normed
    update = base + offsets.update
    angles = offsets.angles.map {
      Angles(pairCount: $0.pairCount, cosines: base + $0.cosines, sines: base + $0.sines)
    }
    attention = base + offsets.attention
    attentions = offsets.attentions
    feedForward = base + offsets.feedForward
    feedForwardLayout = offsets.feedForwardLayout
    logits = base + offsets.logits
    quantizedInput = offsets.quantizedInput.map { UnsafeMutableRawPointer(base + $0) }
  }

  /// Bytes that a decoder of these sizes takes.
  static func byteCount(
    _ configuration: ModelConfiguration, precision: WeightPrecision, sizes: DecoderSizes, threadCount: Int
  ) throws(Failure) -> Int {
    try ScratchOffsets(configuration, precision, sizes, threadCount: threadCount).layout.byteCount()
  }

  /// Moves what tokens keep between two layers, their residual stream and their angles, to rows from `target` on.
  func moveRows(_ rows: Range<Int>, to target: Int) {
    guard rows.lowerBound != target else { return }
    func move(_ base: UnsafeMutablePointer<Float>, _ width: Int) {
      // The memory may overlap, which `update` allows.
      (base + target * width).update(from: base + rows.lowerBound * width, count: rows.count * width)
    }
    move(hidden, hiddenCount)
    for angles in angles {
      move(angles.cosines, angles.pairCount)
      move(angles.sines, angles.pairCount)
    }
  }
}

/// The layout of the scratch memory; also what the memory plan counts.
private struct ScratchOffsets {
  var layout = ScratchLayout()
  let hidden, normed, update: Int
  var angles: [(pairCount: Int, cosines: Int, sines: Int)] = []
  var attentions: [AttentionLayout] = []
  let feedForwardLayout: FeedForwardLayout
  let attention, feedForward, logits: Int
  let quantizedInput: Int?

  init(
    _ c: ModelConfiguration, _ precision: WeightPrecision, _ sizes: DecoderSizes, threadCount: Int
  ) throws(Failure) {
    let chunk = sizes.chunk
    hidden = try layout.words(chunk, c.hiddenSize)
    normed = try layout.words(chunk, c.hiddenSize)
    update = try layout.words(chunk, c.hiddenSize)
    var mostWords = 0
    for kind in c.attentions {
      let pairs = kind.latent.qkRopeHeadDimension / 2
      angles.append((pairs, try layout.words(chunk, pairs), try layout.words(chunk, pairs)))
      var own = ScratchLayout()
      attentions.append(try AttentionLayout(kind, sizes, threadCount: threadCount, in: &own))
      mostWords = max(mostWords, own.wordCount)
    }
    attention = try layout.words(mostWords)
    func largest(_ count: (LatentAttentionConfiguration) -> Int) -> Int {
      c.attentions.map { count($0.latent) }.max() ?? 0
    }
    let ranks = largest { $0.qLoraRank ?? 0 }
    let values = largest { $0.headCount * $0.vHeadDimension }
    feedForwardLayout = try FeedForwardLayout(c, precision, sizes, threadCount: threadCount)
    feedForward = try layout.words(feedForwardLayout.wordCount)
    logits = try layout.words(sizes.batch, c.vocabularySize)
    let widest = max(c.hiddenSize, ranks, values)
    quantizedInput =
      if precision != .native {
        try layout.words(QuantizedRows.byteCount(columns: widest, capacity: chunk) / 4)
      } else { nil }
  }
}
