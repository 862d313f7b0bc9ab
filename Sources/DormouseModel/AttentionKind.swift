import DormouseLayers
import DormouseSupport

/// What the layers with one kind of attention share in a decoder.
struct AttentionKind {
  let configuration: AttentionConfiguration
  let hidden: Int
  let scratch: Scratch
  let own: AttentionScratch
  let queue: ProductQueue
  let positions: RotaryPositions
  /// What picks positions; nil where tokens attend to all that they see.
  let indexer: Indexer?
  let absorbedTokens: AbsorbedTokens

  /// - Parameter index: its place among the model's kinds.
  init(_ c: ModelConfiguration, _ index: Int, sizes: DecoderSizes, scratch: Scratch, queue: ProductQueue) {
    configuration = c.attentions[index]
    hidden = c.hiddenSize
    self.scratch = scratch
    own = scratch.attentions[index]
    self.queue = queue
    positions = RotaryPositions(configuration, scratch.angles[index])
    indexer =
      if let indexer = configuration.indexer, let layout = own.layout.index {
        Indexer(indexer, layout, own, chunk: sizes.chunk)
      } else { nil }
    absorbedTokens = AbsorbedTokens(capacity: min(sizes.chunk, sizes.batch))
  }
}

/// The scratch memory that one kind of attention works in.
struct AttentionScratch {
  let base: UnsafeMutablePointer<Float>
  let layout: AttentionLayout

  init(_ base: UnsafeMutablePointer<Float>, _ layout: AttentionLayout) {
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
struct AttentionLayout {
  let queryLatent, query, latent, attended, headGate: Int
  let index: IndexLayout?
  let absorbed: LatentAttention.AbsorbedScratch
  let expanded: LatentAttention.ExpandedScratch
  let shared: Int
  /// [threads, taskStride].
  let tasks, taskStride: Int
  private var layout = ScratchLayout()

  init(_ a: AttentionConfiguration, _ sizes: DecoderSizes, threadCount: Int) throws(Failure) {
    let chunk = sizes.chunk
    queryLatent = try layout.words(chunk, a.qLoraRank ?? 0)
    query = try layout.words(chunk, a.headCount * a.qkHeadDimension)
    latent = try layout.words(chunk, a.latentWidth)
    attended = try layout.words(chunk, a.headCount * a.vHeadDimension)
    headGate = try layout.words(chunk, a.gatesHeads ? a.headCount : 0)
    index = if let indexer = a.indexer { try IndexLayout(indexer, sizes, in: &layout) } else { nil }
    absorbed = try LatentAttention.absorbedScratch(a)
    expanded = try LatentAttention.expandedScratch(a, chunk: chunk)
    shared = try layout.words(max(absorbed.shared.wordCount, index?.shared.wordCount ?? 0))
    taskStride = max(expanded.own.wordCount, absorbed.own.wordCount, index?.own.wordCount ?? 0)
    tasks = try layout.words(threadCount, taskStride)
  }

  var wordCount: Int { layout.wordCount }
}
