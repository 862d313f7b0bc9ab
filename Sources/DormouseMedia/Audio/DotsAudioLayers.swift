import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport
import Glibc

/// The layers of dots3-note's audio tower at work on one chunk (`Dots3NoteAudioModel` of transformers 5.23): the stem, then
/// layers of full attention, of whose channels a share turns with the row's place, and gated networks.
final class DotsAudioLayers {
  /// Where everything lies, and how much it is.
  struct Layout {
    var rows: TransformerRowsLayout
    let attention: HeadAttention
    /// [heads, head dimension, rows], and [heads, rows, head dimension].
    let keys, values: Int
    let stem: ConvolutionStem.Layout
    /// [rows, pairs] each.
    let cosines, sines: Int
    /// [threads, attention.ownWords].
    let attentionScratch: Int

    init(_ c: DotsAudioConfiguration, rowCount: Int, threadCount: Int) throws(Failure) {
      rows = try TransformerRowsLayout(
        rows: rowCount, hiddenSize: c.hiddenSize, width: max(2 * c.intermediateSize, c.textHiddenSize))
      attention = try HeadAttention(
        headCount: c.attentionHeadCount, headDimension: c.headDimension, capacity: rowCount)
      keys = try rows.layout.words(rowCount, c.hiddenSize)
      values = try rows.layout.words(rowCount, c.hiddenSize)
      cosines = try rows.layout.words(rowCount, c.rotaryDimension / 2)
      sines = try rows.layout.words(rowCount, c.rotaryDimension / 2)
      stem = try ConvolutionStem.Layout(c, &rows.layout)
      attentionScratch = try rows.layout.words(threadCount, attention.ownWords)
    }
  }

  private let tower: DotsAudioTower
  private let layout: Layout
  private let blocks: TransformerBlocks
  private let stem: ConvolutionStem
  private let rope: PartialRope

  /// - Throws: `Failure(.outOfMemory)`.
  init(_ tower: DotsAudioTower) throws(Failure) {
    self.tower = tower
    let c = tower.configuration
    layout = try Layout(c, rowCount: tower.chunkRows, threadCount: tower.pool.threadCount)
    try Kernels.reserveThreadScratch(
      DotsAudioTower.threadScratchByteCount(c, rowCount: tower.chunkRows, tower.kernels), pool: tower.pool)
    let queue = ProductQueue(kernels: tower.kernels, pool: tower.pool, capacity: 3)
    blocks = try TransformerBlocks(
      layout.rows, hiddenSize: c.hiddenSize, queue: queue, for: "an audio tower's scratch memory")
    stem = ConvolutionStem(
      configuration: c, weights: tower.weights, layout: layout.stem, words: blocks.words, queue: queue)
    rope = PartialRope(
      c, rows: tower.chunkRows, cosines: blocks.words + layout.cosines, sines: blocks.words + layout.sines,
      pool: tower.pool)
  }

  /// Makes some of the stream's rows of the features [frames, mel bins] of a chunk.
  func begin(_ features: UnsafePointer<Float>, _ chunk: DotsAudioConfiguration.Chunk, rows: Range<Int>) {
    stem.run(
      features, frameCount: chunk.frames, rows: rows,
      into: blocks.hidden + rows.lowerBound * tower.configuration.hiddenSize)
  }

  /// A layer over the stream's first `count` rows.
  func run(layer: Int, count: Int) {
    let weights = tower.weights.layers[layer]
    blocks.normalize(weights.attentionNorm, count, into: blocks.normed)
    attend(weights.attention, count)
    blocks.gatedFeedForward(weights.networkNorm, gateUp: weights.gateUp, down: weights.down, count)
  }

  private func attend(_ weights: AttentionProjections, _ count: Int) {
    let c = tower.configuration
    blocks.products(
      [(weights.query, blocks.query), (weights.key, blocks.key), (weights.value, blocks.value)], blocks.normed, count)
    rope.rotate(blocks.query, blocks.key, count: count, heads: c.attentionHeadCount, pool: tower.pool)
    blocks.scaleQueries(count, headDimension: c.headDimension)
    let (keys, values) = (blocks.words + layout.keys, blocks.words + layout.values)
    layout.attention.store(
      key: blocks.key, value: blocks.value, count: count, at: 0, keys: keys, values: values, keyRow: tower.chunkRows,
      blocks.queue)
    layout.attention.run(
      query: blocks.query, count: count, keys: keys, values: values, keyRow: tower.chunkRows, keyCount: count,
      visible: count, into: blocks.attended, scratch: blocks.words + layout.attentionScratch, blocks.queue)
    blocks.addAttended(weights.output, count)
  }

  /// The last norm and the adapter: the stream's first `count` rows to [count, text hidden].
  func finish(_ count: Int, into rows: UnsafeMutablePointer<Float>) {
    let weights = tower.weights
    blocks.normalize(weights.norm, count, into: blocks.hidden)
    blocks.normalize(weights.adapterNorm, count, into: blocks.normed)
    blocks.product(weights.adapter.first, blocks.normed, count, into: blocks.wide)
    blocks.activate(blocks.wide, count, width: tower.configuration.textHiddenSize)
    blocks.product(weights.adapter.second, blocks.wide, count, into: rows)
  }

  /// The stream [count, hidden], for tests.
  var stream: UnsafePointer<Float> { UnsafePointer(blocks.hidden) }
}

/// Rotation of a head's first channels by a row's place (RoPE, arXiv 2104.09864), halves turning together.
private struct PartialRope {
  private let pairs: RotaryPairs
  /// [rows, pairs], in memory of the tower's at work.
  private let cosines: UnsafeMutablePointer<Float>
  private let sines: UnsafeMutablePointer<Float>

  /// - Parameter rows: places, from 0 on.
  init(
    _ c: DotsAudioConfiguration, rows: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>,
    pool: ThreadPool
  ) {
    let dimension = c.rotaryDimension
    let frequencies = stride(from: 0, to: dimension, by: 2).map { index in
      1 / powf(c.ropeTheta, Float(index) / Float(dimension))
    }
    pool.forEachToken(rows) { row in
      for (pair, frequency) in frequencies.enumerated() {
        let angle = Float(row) * frequency
        cosines[row * frequencies.count + pair] = cosf(angle)
        sines[row * frequencies.count + pair] = sinf(angle)
      }
    }
    pairs = RotaryPairs(headWidth: c.headDimension, count: frequencies.count, isInterleaved: false)
    self.cosines = cosines
    self.sines = sines
  }

  /// Rotates `count` rows of queries and keys [count, heads, head dimension] in place.
  func rotate(
    _ query: UnsafeMutablePointer<Float>, _ key: UnsafeMutablePointer<Float>, count: Int, heads: Int, pool: ThreadPool
  ) {
    let width = heads * pairs.headWidth
    pool.forEachToken(count) { row in
      let place = row * pairs.count
      for x in [query, key] {
        pairs.rotate(x + row * width, heads: heads, cosines: cosines + place, sines: sines + place)
      }
    }
  }
}
