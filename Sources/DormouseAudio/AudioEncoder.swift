public import DormouseKernels
import DormouseLayers
public import DormouseSupport

/// Whisper's encoder (Radford et al. 2022, section 2.2; `WhisperEncoder` of transformers 5.23): log-mel features of a
/// window -> a row for every two frames.
///
/// Two convolutions of width 3, the second of stride 2, each with GELU; positions as the file has them; layers of full
/// attention. One audio input at a time.
public final class AudioEncoder {
  /// Frames that a convolution sees.
  public static let kernelSize = 3
  /// Rows of a convolution's input gathered at a time.
  private static let gatheredRows = 256

  /// Where everything lies, and how much it is.
  public struct Layout {
    public var rows: TransformerRowsLayout
    public let attention: HeadAttention
    /// [heads, head dimension, positions], and [heads, positions, head dimension].
    public let keys, values: Int
    /// [gathered rows, 3 * the wider of a convolution's inputs].
    public let gathered: Int
    /// [threads, attention.ownWords].
    public let attentionScratch: Int

    public init(_ c: AudioEncoderConfiguration, threadCount: Int) throws(Failure) {
      // The first convolution's output has two rows for each position.
      let width = max(c.intermediateSize, AudioEncoderConfiguration.framesPerPosition * c.hiddenSize)
      rows = try TransformerRowsLayout(rows: c.sourcePositions, hiddenSize: c.hiddenSize, width: width)
      attention = try HeadAttention(
        headCount: c.attentionHeadCount, headDimension: c.headDimension, capacity: c.sourcePositions)
      keys = try rows.layout.words(c.sourcePositions, c.hiddenSize)
      values = try rows.layout.words(c.sourcePositions, c.hiddenSize)
      gathered = try rows.layout.words(
        AudioEncoder.gatheredRows, AudioEncoder.kernelSize, max(c.melBinCount, c.hiddenSize))
      attentionScratch = try rows.layout.words(threadCount, attention.ownWords)
    }
  }

  public let configuration: AudioEncoderConfiguration
  public let blocks: TransformerBlocks
  private let weights: AudioEncoderWeights
  private let layout: Layout
  /// Positions of the window.
  private var count = 0
  private var words: UnsafeMutablePointer<Float> { blocks.words }

  /// - Throws: `Failure(.outOfMemory)`.
  public init(
    _ configuration: AudioEncoderConfiguration, _ weights: AudioEncoderWeights, pool: ThreadPool, kernels: Kernels
  ) throws(Failure) {
    self.configuration = configuration
    self.weights = weights
    layout = try Layout(configuration, threadCount: pool.threadCount)
    try Kernels.reserveThreadScratch(Self.threadScratchByteCount(configuration, kernels), pool: pool)
    let queue = ProductQueue(kernels: kernels, pool: pool, capacity: 3)
    blocks = try TransformerBlocks(
      layout.rows, hiddenSize: configuration.hiddenSize, queue: queue, for: "an audio encoder's scratch memory")
  }

  /// Bytes that a thread keeps for the kernels.
  public static func threadScratchByteCount(_ c: AudioEncoderConfiguration, _ kernels: Kernels) -> Int {
    let widest = max(c.intermediateSize, kernelSize * max(c.hiddenSize, c.melBinCount))
    return kernels.scratchByteCount(columns: widest, count: c.windowFrameCount)
  }

  /// Computes a window's first `count` positions, each of which attends to those alone, and leaves them in
  /// `blocks.hidden` before the last norm.
  ///
  /// - Parameters:
  ///   - features: [2 * positions, mel bins], a whole window.
  ///   - interruption: asked before every layer.
  /// - Throws: `Failure(.cancelled)`.
  public func run(
    _ features: UnsafePointer<Float>, count: Int, interruption: Interruption
  ) throws(Failure) {
    begin(features, count: count)
    for layer in 0..<layerCount {
      try interruption.check()
      run(layer: layer)
    }
  }

  public var layerCount: Int { weights.layers.count }

  /// The convolutions and the positions of a window; parameters are those of `run`.
  public func begin(_ features: UnsafePointer<Float>, count wanted: Int) {
    let c = configuration
    count = max(0, min(wanted, c.sourcePositions))
    guard count > 0 else { return }
    convolve(
      weights.convolutions.first, features, inputs: c.melBinCount, rows: c.windowFrameCount, stride: 1,
      count: AudioEncoderConfiguration.framesPerPosition * count, into: blocks.wide)
    convolve(
      weights.convolutions.second, blocks.wide, inputs: c.hiddenSize, rows: c.windowFrameCount,
      stride: AudioEncoderConfiguration.framesPerPosition, count: count, into: blocks.hidden)
    blocks.queue.kernels.addScaled(blocks.hidden, 1, weights.positions.pointer, count: count * c.hiddenSize)
  }

  /// A layer of the window that `begin` was given.
  public func run(layer: Int) {
    guard count > 0 else { return }
    attend(weights.layers[layer], count)
    blocks.feedForward(weights.layers[layer].feedForward, count)
  }

  /// The last norm of the first `count` rows, from `blocks.hidden` to `blocks.normed`.
  public func finish(_ count: Int) { blocks.normalize(weights.norm, count, into: blocks.normed) }

  private func attend(_ layer: AudioEncoderLayerWeights, _ count: Int) {
    let (keys, values) = (words + layout.keys, words + layout.values)
    let keyRow = configuration.sourcePositions
    blocks.normalize(layer.attentionNorm, count, into: blocks.normed)
    blocks.products(
      [
        (layer.attention.query, blocks.query), (layer.attention.key, blocks.key),
        (layer.attention.value, blocks.value),
      ], blocks.normed, count)
    blocks.scaleQueries(count, headDimension: configuration.headDimension)
    layout.attention.store(
      key: blocks.key, value: blocks.value, count: count, at: 0, keys: keys, values: values, keyRow: keyRow,
      blocks.queue)
    layout.attention.run(
      query: blocks.query, count: count, keys: keys, values: values, keyRow: keyRow, keyCount: count, visible: count,
      into: blocks.attended, scratch: words + layout.attentionScratch, blocks.queue)
    blocks.addAttended(layer.attention.output, count)
  }

  /// `gelu(convolution(x))` with a zero row before and behind, as a product of rows of three neighbours: element
  /// `3 * channel + k` of such a row is that channel of neighbour k, the order of the kernel in the file.
  ///
  /// - Parameters:
  ///   - x: [rows, inputs].
  ///   - y: [count, hidden].
  private func convolve(
    _ kernel: Linear, _ x: UnsafePointer<Float>, inputs: Int, rows: Int, stride: Int, count: Int,
    into y: UnsafeMutablePointer<Float>
  ) {
    let width = AudioEncoder.kernelSize
    let gathered = words + layout.gathered
    for first in Swift.stride(from: 0, to: count, by: AudioEncoder.gatheredRows) {
      let some = min(AudioEncoder.gatheredRows, count - first)
      blocks.queue.pool.forEachToken(some) { index in
        let target = gathered + index * inputs * width
        for k in 0..<width {
          let row = (first + index) * stride + k - width / 2
          let isInside = row >= 0 && row < rows
          for channel in 0..<inputs { target[channel * width + k] = isInside ? x[row * inputs + channel] : 0 }
        }
      }
      blocks.product(kernel, gathered, some, into: y + first * configuration.hiddenSize)
    }
    blocks.activate(y, count, width: configuration.hiddenSize)
  }
}
