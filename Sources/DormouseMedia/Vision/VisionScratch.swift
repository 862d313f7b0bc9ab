import DormouseKernels
import DormouseLayers
import DormouseSupport

/// Where a tower's intermediate results lie, for one batch of patches; offsets are in 4-byte words.
struct VisionScratchLayout {
  private(set) var words = ScratchLayout()
  /// Rows that pass through the wide middle of a network at a time, so that its memory does not grow with the batch.
  let wideRows: Int
  /// [patches, hidden]: the residual stream.
  let hidden: Int
  /// [patches, hidden]: the stream normalised for the next block; in attention, what it found.
  let normed: Int
  /// [patches, hidden] each; `query` also holds what a block adds to the stream.
  let query: Int
  let key: Int
  let value: Int
  /// [patches, head / 2].
  let cosines: Int
  let sines: Int
  /// [wide slots, intermediate], where a layer of experts has several slots for each row; in the projector twice
  /// [tokens, merged].
  let wide: Int
  /// [wide slots, intermediate]: what `up` makes in gated networks.
  let wideUp: Int
  /// Of layers of experts: [wideRows, experts]; [threads, routerStride]; [slots] each; [experts + 1]; and
  /// [slots, hidden], the experts' inputs, then their outputs.
  let routerLogits, router, routerStride, expertIds, expertWeights, slots, slotTokens, firstSlots, expertRows: Int
  /// [threads, attentionStride].
  let attention: Int
  let attentionStride: Int

  private static let maximumWideRows = 1024

  /// Tokens that pass through the projector at a time.
  static let projectorTokens = 256

  init(_ c: VisionConfiguration, patches: Int, threads: Int) throws(Failure) {
    wideRows = min(patches, Self.maximumWideRows)
    hidden = try words.words(patches, c.hiddenSize)
    normed = try words.words(patches, c.hiddenSize)
    query = try words.words(patches, c.hiddenSize)
    key = try words.words(patches, c.hiddenSize)
    value = try words.words(patches, c.hiddenSize)
    cosines = try words.words(patches, c.headDimension / 2)
    sines = try words.words(patches, c.headDimension / 2)
    let sizes = NetworkSizes(c, rows: wideRows)
    let projector = try CheckedSize.product(
      2, min(patches, Self.projectorTokens), c.mergedWidth, of: "a tower's scratch memory")
    wide = try words.words(max(sizes.wide, projector))
    wideUp = try words.words(sizes.isGated ? sizes.wide : 0)
    routerLogits = try words.words(wideRows, sizes.experts)
    routerStride = ScratchLayout.wholeLines(sizes.routerScratch)
    router = try words.words(threads, routerStride)
    expertIds = try words.words(sizes.slots)
    expertWeights = try words.words(sizes.slots)
    slots = try words.words(sizes.slots)
    slotTokens = try words.words(sizes.slots)
    firstSlots = try words.words(sizes.experts + 1)
    expertRows = try words.words(sizes.slots, c.hiddenSize)
    attentionStride = try VisionAttention.scratchLayout(c).own.wordCount
    attention = try words.words(threads, attentionStride)
  }
}

/// The largest sizes among a tower's networks, for `rows` rows.
private struct NetworkSizes {
  /// Numbers between the maps of a network.
  var wide = 0
  var isGated = false
  var experts = 0
  /// Rows times the experts of each.
  var slots = 0
  var routerScratch = 0

  /// - Parameter rows: at most `VisionScratchLayout.maximumWideRows`, so that no product leaves 64 bits: widths are below
  ///   2^21 and experts below 2^17.
  init(_ c: VisionConfiguration, rows: Int) {
    for network in c.networks {
      switch network {
      case .plain: wide = max(wide, rows * c.intermediateSize)
      case .gated:
        wide = max(wide, rows * c.intermediateSize)
        isGated = true
      case .experts(let own):
        wide = max(wide, rows * own.perToken * own.intermediateSize)
        isGated = true
        experts = max(experts, own.count)
        slots = max(slots, rows * own.perToken)
        routerScratch = max(routerScratch, Router(own.router).scratchCount)
      }
    }
  }
}

/// The memory of one batch.
final class VisionScratch {
  let layout: VisionScratchLayout
  private let buffer: AlignedBuffer
  private let base: UnsafeMutablePointer<Float>

  init(_ layout: VisionScratchLayout) throws(Failure) {
    self.layout = layout
    buffer = try AlignedBuffer(byteCount: layout.words.byteCount(), isZeroed: false, for: "a vision tower's work")
    guard let base = buffer.bound(to: Float.self).baseAddress else {
      throw Failure(.internalError, "a vision tower has no memory")
    }
    self.base = base
  }

  var hidden: UnsafeMutablePointer<Float> { base + layout.hidden }
  var normed: UnsafeMutablePointer<Float> { base + layout.normed }
  var query: UnsafeMutablePointer<Float> { base + layout.query }
  var key: UnsafeMutablePointer<Float> { base + layout.key }
  var value: UnsafeMutablePointer<Float> { base + layout.value }
  var cosines: UnsafeMutablePointer<Float> { base + layout.cosines }
  var sines: UnsafeMutablePointer<Float> { base + layout.sines }
  var wide: UnsafeMutablePointer<Float> { base + layout.wide }
  var wideUp: UnsafeMutablePointer<Float> { base + layout.wideUp }
  var routerLogits: UnsafeMutablePointer<Float> { base + layout.routerLogits }
  var router: UnsafeMutablePointer<Float> { base + layout.router }
  var expertIds: UnsafeMutablePointer<Int32> { integers(layout.expertIds) }
  var expertWeights: UnsafeMutablePointer<Float> { base + layout.expertWeights }
  var slots: UnsafeMutablePointer<Int32> { integers(layout.slots) }
  var slotTokens: UnsafeMutablePointer<Int32> { integers(layout.slotTokens) }
  var firstSlots: UnsafeMutablePointer<Int32> { integers(layout.firstSlots) }
  var expertRows: UnsafeMutablePointer<Float> { base + layout.expertRows }

  private func integers(_ offset: Int) -> UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(base + offset).assumingMemoryBound(to: Int32.self)
  }

  func attention(of worker: Int) -> UnsafeMutablePointer<Float> {
    base + layout.attention + worker * layout.attentionStride
  }
}
