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
  /// What networks and the projector work in: [wideRows, intermediate], what gated networks or experts need, and twice
  /// [tokens, merged].
  let wide: Int
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
    let projector = try CheckedSize.product(
      2, min(patches, Self.projectorTokens), c.mergedWidth, of: "a tower's scratch memory")
    wide = try words.words(max(Self.networkWords(c, rows: wideRows, threads: threads), projector))
    attentionStride = try VisionAttention.scratchLayout(c).own.wordCount
    attention = try words.words(threads, attentionStride)
  }

  /// What the tower's largest network works in, for `rows` rows.
  private static func networkWords(_ c: VisionConfiguration, rows: Int, threads: Int) throws(Failure) -> Int {
    var most = 0
    for network in c.networks {
      var words = ScratchLayout()
      switch network {
      case .plain: _ = try words.words(rows, c.intermediateSize)
      case .gated: _ = try GatedLayout(rows: rows, width: c.intermediateSize, isPacked: false, in: &words)
      case .experts(let own): _ = try own.layout(rows: rows, hidden: c.hiddenSize, threads: threads, in: &words)
      }
      most = max(most, words.wordCount)
    }
    return most
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

  func attention(of worker: Int) -> UnsafeMutablePointer<Float> {
    base + layout.attention + worker * layout.attentionStride
  }
}
