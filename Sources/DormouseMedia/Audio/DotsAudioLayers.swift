import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport
import Glibc

struct DotsAudioWeights: Sendable {
  /// [channels, inputs * 3 * 3] each: a square of three bands and three frames is one input of a product.
  let convolutions: [Linear]
  /// [hidden, channels * bands].
  let stemOutput: Linear
  let layers: [DotsAudioLayerWeights]
  let norm: NormWeights
  let adapterNorm: NormWeights
  /// [text hidden, hidden], [text hidden, text hidden].
  let adapter: (first: Linear, second: Linear)
}

struct DotsAudioLayerWeights: Sendable {
  let attentionNorm: NormWeights
  let attention: AttentionProjections
  let networkNorm: NormWeights
  /// Gate and up in one matrix [2 * intermediate, hidden]; [hidden, intermediate].
  let gateUp: Linear
  let down: Linear
}

/// The layers of dots3-note's audio tower at work on one window (`Dots3NoteAudioModel` of transformers 5.23): the stem, then
/// layers of full attention, of whose channels a share turns with the row's place, and gated networks.
final class DotsAudioLayers: AudioNetwork {
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
  /// Rows of a window, at most.
  private let windowRows: Int
  private let layout: Layout
  private let blocks: TransformerBlocks
  private let stem: ConvolutionStem
  private let rope: PartialRope

  /// - Throws: `Failure(.outOfMemory)`.
  init(_ tower: DotsAudioTower) throws(Failure) {
    self.tower = tower
    let c = tower.configuration
    windowRows = c.windowRows(tower.folder.processor.features)
    layout = try Layout(c, rowCount: windowRows, threadCount: tower.pool.threadCount)
    let queue = ProductQueue(kernels: tower.kernels, pool: tower.pool, capacity: 3)
    blocks = try TransformerBlocks(
      layout.rows, hiddenSize: c.hiddenSize, queue: queue, for: "an audio tower's scratch memory")
    stem = ConvolutionStem(
      configuration: c, weights: tower.weights, layout: layout.stem, words: blocks.words, queue: queue)
    rope = PartialRope(
      c, rows: windowRows, cosines: blocks.words + layout.cosines, sines: blocks.words + layout.sines,
      pool: tower.pool)
  }

  func begin(_ window: AudioWindow, _ features: AudioFeatures) {}

  func stepCount(_ window: AudioWindow) -> Int { stemStepCount(window) + tower.weights.layers.count }

  private func stemStepCount(_ window: AudioWindow) -> Int {
    CheckedSize.ceilingQuotient(window.rows, ConvolutionStem.blockRows)
  }

  /// First the stem, a block of rows at a time, then the layers.
  func run(step: Int, of window: AudioWindow, _ features: AudioFeatures) {
    let layer = step - stemStepCount(window)
    guard layer < 0 else { return run(layer: layer, count: window.rows) }
    let first = step * ConvolutionStem.blockRows
    let block = first..<min(first + ConvolutionStem.blockRows, window.rows)
    features.withRows { runStem($0, frameCount: window.inputCount, rows: block) }
  }

  /// Makes some of the stream's rows of the features [frames, mel bins] of a window.
  func runStem(_ features: UnsafePointer<Float>, frameCount: Int, rows: Range<Int>) {
    stem.run(
      features, frameCount: frameCount, rows: rows,
      into: blocks.hidden + rows.lowerBound * tower.configuration.hiddenSize)
  }

  /// A layer over the stream's first `count` rows.
  private func run(layer: Int, count: Int) {
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
      key: blocks.key, value: blocks.value, count: count, at: 0, keys: keys, values: values, keyRow: windowRows,
      blocks.queue)
    layout.attention.run(
      query: blocks.query, count: count, keys: keys, values: values, keyRow: windowRows, keyCount: count,
      visible: count, into: blocks.attended, scratch: blocks.words + layout.attentionScratch, blocks.queue)
    blocks.addAttended(weights.output, count)
  }

  /// The last norm and the adapter.
  func finish(_ window: AudioWindow, into rows: UnsafeMutablePointer<Float>) {
    let count = window.rows
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
