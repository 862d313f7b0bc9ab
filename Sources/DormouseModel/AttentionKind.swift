import DormouseLayers
import DormouseSupport

/// What the layers with one kind of attention share in a decoder.
enum AttentionKind {
  case latent(LatentAttentionKind)
  case indexed(LatentAttentionKind, Indexer)

  /// - Parameter index: its place among the model's kinds.
  init(_ c: ModelConfiguration, _ index: Int, sizes: DecoderSizes, scratch: Scratch, queue: ProductQueue) {
    let (attention, layout) = (c.attentions[index], scratch.attentions[index])
    let latent = LatentAttentionKind(
      configuration: attention.latent, form: AttentionFormChoice(attention), hidden: c.hiddenSize, scratch: scratch,
      own: AttentionScratch(scratch.attention, layout.latent), queue: queue,
      positions: RotaryPositions(attention.latent, scratch.angles[index]),
      absorbedTokens: AbsorbedTokens(capacity: min(sizes.chunk, sizes.batch)))
    switch layout {
    case .latent: self = .latent(latent)
    case .indexed(_, let index): self = .indexed(latent, Indexer(index, latent.own, chunk: sizes.chunk))
    }
  }

  var positions: RotaryPositions {
    switch self {
    case .latent(let latent), .indexed(let latent, _): latent.positions
    }
  }

  /// - Parameter section: the first of the layer's sections in the caches' pages.
  /// - Throws: `Failure(.internalError)` for weights of another kind.
  func layer(_ weights: AttentionWeights, section: Int) throws(Failure) -> any AttentionLayer {
    switch (self, weights) {
    case (.latent(let kind), .latent(let weights)):
      return LatentAttention(kind, weights, section: section)
    case (.indexed(let kind, let indexer), .indexed(let weights, let own)):
      return IndexedAttention(
        latent: LatentAttention(kind, weights, section: section), indexer: indexer, weights: own, section: section + 1)
    default: throw Failure(.internalError, "a layer's weights are of another kind of attention")
    }
  }
}

/// What latent attention of one kind works with, whichever positions its tokens attend to.
struct LatentAttentionKind {
  let configuration: LatentAttentionConfiguration
  let form: AttentionFormChoice
  let hidden: Int
  let scratch: Scratch
  let own: AttentionScratch
  let queue: ProductQueue
  let positions: RotaryPositions
  let absorbedTokens: AbsorbedTokens
}

/// The scratch memory that one kind of attention works in.
struct AttentionScratch {
  let base: UnsafeMutablePointer<Float>
  let layout: LatentLayout

  init(_ base: UnsafeMutablePointer<Float>, _ layout: LatentLayout) {
    self.base = base
    self.layout = layout
  }

  /// [chunk, qLoraRank].
  var queryLatent: UnsafeMutablePointer<Float> { base + layout.queryLatent }
  /// [chunk, heads, nope + rope].
  var query: UnsafeMutablePointer<Float> { base + layout.query }
  /// [chunk, kvLoraRank + rope]: new rows of the cache.
  var latent: UnsafeMutablePointer<Float> { base + layout.latent }
  /// [chunk, heads, v].
  var attended: UnsafeMutablePointer<Float> { base + layout.attended }
  /// [chunk, heads]: what gates them.
  var headGate: UnsafeMutablePointer<Float> { base + layout.headGate }
  /// What tasks hand to one another.
  var shared: UnsafeMutablePointer<Float> { base + layout.shared }

  /// What a task on `worker` works in.
  func task(of worker: Int) -> UnsafeMutablePointer<Float> { base + (layout.tasks + worker * layout.taskStride) }
}

/// How much of it there is, and what lies where.
enum AttentionLayout {
  case latent(LatentLayout)
  case indexed(LatentLayout, IndexLayout)

  init(
    _ attention: AttentionConfiguration, _ sizes: DecoderSizes, threadCount: Int, in layout: inout ScratchLayout
  ) throws(Failure) {
    switch attention {
    case .latent(let latent):
      self = .latent(
        try LatentLayout(
          latent, sizes, threadCount: threadCount, try LatentAttention.expandedScratch(latent, chunk: sizes.chunk),
          in: &layout))
    case .indexed(let latent, let indexer):
      let index = try IndexLayout(indexer, sizes, in: &layout)
      let expanded = try LatentAttention.expandedScratch(latent, chunk: sizes.chunk, picksPositions: true)
      self = .indexed(
        try LatentLayout(
          latent, sizes, threadCount: threadCount, expanded, shared: index.shared.wordCount,
          task: index.own.wordCount, in: &layout), index)
    }
  }

  var latent: LatentLayout {
    switch self {
    case .latent(let latent), .indexed(let latent, _): latent
    }
  }
}

/// The part of it that latent attention has, whichever positions its tokens attend to.
struct LatentLayout {
  let queryLatent, query, latent, attended, headGate: Int
  let absorbed: LatentAttention.AbsorbedScratch
  let expanded: LatentAttention.ExpandedScratch
  let shared: Int
  /// [threads, taskStride].
  let tasks, taskStride: Int

  /// - Parameter shared, task: words that somebody else needs of what tasks share, and of what each task has.
  init(
    _ a: LatentAttentionConfiguration, _ sizes: DecoderSizes, threadCount: Int,
    _ expanded: LatentAttention.ExpandedScratch, shared: Int = 0, task: Int = 0, in layout: inout ScratchLayout
  ) throws(Failure) {
    let chunk = sizes.chunk
    queryLatent = try layout.words(chunk, a.qLoraRank ?? 0)
    query = try layout.words(chunk, a.headCount * a.qkHeadDimension)
    latent = try layout.words(chunk, a.latentWidth)
    attended = try layout.words(chunk, a.headCount * a.vHeadDimension)
    headGate = try layout.words(chunk, a.gatesHeads ? a.headCount : 0)
    absorbed = try LatentAttention.absorbedScratch(a)
    self.expanded = expanded
    self.shared = try layout.words(max(absorbed.shared.wordCount, shared))
    taskStride = max(expanded.own.wordCount, absorbed.own.wordCount, task)
    tasks = try layout.words(threadCount, taskStride)
  }
}
