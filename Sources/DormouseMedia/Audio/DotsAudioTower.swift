import DormouseAudio
public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// A loaded audio tower of dots3-note: audio -> rows that stand in a prompt in place of embeddings. Immutable: any number
/// of threads may encode at once, and take turns on the pool.
public final class DotsAudioTower: AudioTower {
  public let configuration: DotsAudioConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  let folder: DotsAudioFolder
  let weights: DotsAudioWeights
  let spectrogram: LogMelSpectrogram
  private let memory: TensorMemory

  /// Loads a folder that was checked.
  /// - Parameter progress: bytes of weights loaded; `false` cancels.
  public init(
    _ folder: DotsAudioFolder, residency: Checkpoint.Residency = .mapped, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    self.folder = folder
    configuration = folder.configuration
    self.pool = pool
    self.kernels = kernels
    spectrogram = try LogMelSpectrogram(folder.features)
    (weights, memory) = try folder.tensors.load(residency: residency, pool: pool, progress: progress)
  }

  /// Rows of a chunk, at most.
  var chunkRows: Int { configuration.chunkRows(folder.features) }

  public func tokenCount(sampleCount: Int) throws(Failure) -> Int { try folder.tokenCount(sampleCount: sampleCount) }

  var windowSampleCount: Int { folder.features.chunkSampleCount }

  func windowRowCount(sampleCount: Int) -> Int {
    CheckedSize.ceilingQuotient(sampleCount, configuration.samplesPerRow)
  }

  var maximumSampleCount: Int? { nil }

  func begin(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption = .never
  ) throws(Failure) -> any EncodingRun {
    try DotsAudioRun(self, samples, into: rows)
  }

  /// Bytes that a thread keeps for the kernels.
  static func threadScratchByteCount(_ c: DotsAudioConfiguration, rowCount: Int, _ kernels: Kernels) -> Int {
    let squares = ConvolutionStem.kernelSize * ConvolutionStem.kernelSize
    let last = c.bands(DotsAudioConfiguration.convolutionCount)
    let widest = max(c.intermediateSize, c.hiddenSize, c.textHiddenSize, c.downsampleSize * max(squares, last))
    return kernels.scratchByteCount(columns: widest, count: max(rowCount, ConvolutionStem.gatheredRows))
  }
}

/// An audio tower at work on the chunks of audio.
struct DotsAudioRun: EncodingRun {
  private enum Stage {
    /// The stem is at this row.
    case stem(Int)
    case layer(Int)
    case adapter
  }

  private let tower: DotsAudioTower
  private var rows: AudioRows
  private let chunks: [DotsAudioConfiguration.Chunk]
  private let features: AudioFeatures
  private let layers: DotsAudioLayers
  /// Chunks that are done.
  private var chunkCount = 0
  private var stage = Stage.stem(0)

  /// - Parameters:
  ///   - samples: 16,000 a second, finite.
  ///   - rows: [rows of the audio, text hidden size]; the caller keeps them as long as the run.
  /// - Throws: `Failure(.invalidArgument)` for audio without samples or a buffer too small, `Failure(.outOfMemory)`.
  init(_ tower: DotsAudioTower, _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    let c = tower.configuration
    self.tower = tower
    self.rows = try AudioRows(
      rows, count: try tower.tokenCount(sampleCount: samples.count), width: c.textHiddenSize)
    chunks = try c.chunks(sampleCount: samples.count, features: tower.folder.features)
    features = try AudioFeatures(samples, tower.spectrogram, isWhole: false, pool: tower.pool)
    layers = try DotsAudioLayers(tower)
  }

  mutating func prepareNext() throws(Failure) -> Bool {
    guard chunkCount < chunks.count else { return false }
    try features.load(chunks[chunkCount].samples)
    stage = .stem(0)
    return true
  }

  mutating func advance() throws(Failure) -> Bool {
    guard chunkCount < chunks.count else { return true }
    let chunk = chunks[chunkCount]
    switch stage {
    case .stem(let row):
      let block = row..<min(row + ConvolutionStem.blockRows, chunk.rows)
      features.withRows { layers.begin($0, chunk, rows: block) }
      stage = block.upperBound < chunk.rows ? .stem(block.upperBound) : .layer(0)
    case .layer(let layer):
      layers.run(layer: layer, count: chunk.rows)
      stage = layer + 1 < tower.weights.layers.count ? .layer(layer + 1) : .adapter
    case .adapter:
      layers.finish(chunk.rows, into: try rows.next(chunk.rows))
      chunkCount += 1
      return true
    }
    return false
  }
}
