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
  /// [chunk, wide]: gate and up of a dense network or of the shared experts.
  let wideGate: UnsafeMutablePointer<Float>
  let wideUp: UnsafeMutablePointer<Float>
  let experts: ExpertsScratch
  /// Where a model with packed matrices has rounded rows: [chunk] of the widest input, and of `wideGate`. Nil without.
  let quantizedInput: UnsafeMutableRawPointer?
  let quantizedWide: UnsafeMutableRawPointer?
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
    wideGate = base + offsets.wideGate
    wideUp = base + offsets.wideUp
    logits = base + offsets.logits
    experts = ExpertsScratch(base, offsets)
    let isPacked = precision != .native
    quantizedInput = isPacked ? UnsafeMutableRawPointer(base + offsets.quantizedInput) : nil
    quantizedWide = isPacked ? UnsafeMutableRawPointer(base + offsets.quantizedWide) : nil
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

/// The part of the scratch memory that a layer of experts uses; a "slot" is one token's place at one expert.
struct ExpertsScratch {
  /// [chunk, experts].
  let routerLogits: UnsafeMutablePointer<Float>
  /// [threads, routerStride].
  let router: UnsafeMutablePointer<Float>
  let routerStride: Int
  /// [chunk, expertsPerToken]: the experts of a token.
  let ids: UnsafeMutablePointer<Int32>
  /// [chunk, expertsPerToken].
  let weights: UnsafeMutablePointer<Float>
  /// [chunk, expertsPerToken]: the slot of each pair of token and expert.
  let slots: UnsafeMutablePointer<Int32>
  /// [slots]: the token of each slot.
  let tokens: UnsafeMutablePointer<Int32>
  /// [experts + 1]: the first slot of each expert.
  let firstSlots: UnsafeMutablePointer<Int32>
  /// [slots, hidden]: the experts' inputs, then their outputs.
  let rows: UnsafeMutablePointer<Float>
  /// [slots, moeIntermediateSize].
  let gate: UnsafeMutablePointer<Float>
  let up: UnsafeMutablePointer<Float>
  /// [chunk, hidden].
  let shared: UnsafeMutablePointer<Float>
  /// `gate` rounded, in a model with packed matrices: `quantizedRowByteCount` bytes a slot. Nil without.
  let quantizedGate: UnsafeMutableRawPointer?
  let quantizedRowByteCount: Int

  fileprivate init(_ base: UnsafeMutablePointer<Float>, _ offsets: ScratchOffsets) {
    func integers(_ offset: Int) -> UnsafeMutablePointer<Int32> {
      UnsafeMutableRawPointer(base + offset).assumingMemoryBound(to: Int32.self)
    }
    routerLogits = base + offsets.routerLogits
    router = base + offsets.router
    routerStride = offsets.routerStride
    ids = integers(offsets.ids)
    weights = base + offsets.weights
    slots = integers(offsets.slots)
    tokens = integers(offsets.tokens)
    firstSlots = integers(offsets.firstSlots)
    rows = base + offsets.rows
    gate = base + offsets.gate
    up = base + offsets.up
    shared = base + offsets.shared
    quantizedGate = offsets.isPacked ? UnsafeMutableRawPointer(base + offsets.quantizedGate) : nil
    quantizedRowByteCount = offsets.quantizedRowByteCount
  }
}

/// The layout of the scratch memory; also what the memory plan counts.
private struct ScratchOffsets {
  var layout = ScratchLayout()
  let hidden, normed, update: Int
  var angles: [(pairCount: Int, cosines: Int, sines: Int)] = []
  var attentions: [AttentionLayout] = []
  let attention, wideGate, wideUp, logits: Int
  let routerLogits, router, routerStride, ids, weights, slots, tokens, firstSlots, rows, gate, up, shared: Int
  let isPacked: Bool
  let quantizedInput, quantizedWide, quantizedGate, quantizedRowByteCount: Int

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
    let isSparse = c.feedForward.contains(.experts)
    let dense = c.feedForward.contains(.dense) ? c.intermediateSize : 0
    let wide = max(dense, isSparse ? c.sharedExpertsWidth : 0)
    wideGate = try layout.words(chunk, wide)
    wideUp = try layout.words(chunk, wide)
    logits = try layout.words(sizes.batch, c.vocabularySize)
    let experts = isSparse ? c.router.expertCount : 0
    let perToken = isSparse ? c.router.expertsPerToken : 0
    routerLogits = try layout.words(chunk, experts)
    routerStride = ScratchLayout.wholeLines(Router(c.router).scratchCount)
    router = try layout.words(threadCount, routerStride)
    ids = try layout.words(chunk, perToken)
    weights = try layout.words(chunk, perToken)
    slots = try layout.words(chunk, perToken)
    tokens = try layout.words(chunk, perToken)
    firstSlots = try layout.words(experts + 1)
    rows = try layout.words(chunk, perToken, c.hiddenSize)
    gate = try layout.words(chunk, perToken, c.moeIntermediateSize)
    up = try layout.words(chunk, perToken, c.moeIntermediateSize)
    shared = try layout.words(chunk, isSparse ? c.hiddenSize : 0)
    isPacked = precision != .native
    let rows = isPacked ? chunk : 0
    let widest = max(c.hiddenSize, ranks, values)
    quantizedInput = try layout.words(QuantizedRows.byteCount(columns: widest, capacity: rows) / 4)
    quantizedWide = try layout.words(QuantizedRows.byteCount(columns: wide, capacity: rows) / 4)
    quantizedRowByteCount = try QuantizedRows.byteCount(columns: isSparse ? c.moeIntermediateSize : 0, capacity: 1)
    quantizedGate = try layout.words(rows, perToken, quantizedRowByteCount / 4)
  }
}
