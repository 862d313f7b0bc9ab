public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// A loaded audio tower of dots3-note: sounds -> rows that stand in a prompt in place of embeddings. Immutable: any number
/// of threads may encode at once, and take turns on the pool.
public final class DotsAudioTower: SoundTower {
  public let configuration: DotsAudioConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  let folder: DotsAudioFolder
  let weights: DotsAudioWeights
  let spectrogram: LogMelSpectrogram
  private let store: TensorStore
  private let floats: [AlignedBuffer]

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
    store = try folder.checkpoint.load(folder.tensorNames, residency: residency, pool: pool, progress: progress)
    var source = TensorSource(folder.checkpoint, store: store, panels: nil, nil)
    weights = try DotsAudioWeights(&source, configuration)
    floats = source.floats
  }

  /// Rows of a chunk, at most.
  var chunkRows: Int { configuration.chunkRows(folder.features) }

  public func tokenCount(sampleCount: Int) throws(Failure) -> Int { try folder.tokenCount(sampleCount: sampleCount) }

  func begin(
    _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>
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

/// An audio tower at work on the chunks of a sound.
struct DotsAudioRun: EncodingRun {
  private enum Stage {
    /// The stem is at this row.
    case stem(Int)
    case layer(Int)
    case adapter
  }

  private let tower: DotsAudioTower
  private let rows: UnsafeMutableBufferPointer<Float>
  private let chunks: [DotsAudioConfiguration.Chunk]
  private let features: VoiceFeatures
  private let layers: DotsAudioLayers
  /// Chunks that are done, and rows that are there.
  private var chunkCount = 0
  private var rowCount = 0
  private var stage = Stage.stem(0)

  /// - Parameters:
  ///   - samples: 16,000 a second, finite.
  ///   - rows: [rows of the sound, text hidden size]; the caller keeps them as long as the run.
  /// - Throws: `Failure(.invalidArgument)` for a sound without samples or a buffer too small, `Failure(.outOfMemory)`.
  init(_ tower: DotsAudioTower, _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    let c = tower.configuration
    let needed = try CheckedSize.product(
      tower.tokenCount(sampleCount: samples.count), c.textHiddenSize, of: "a sound's rows")
    guard rows.count >= needed else {
      throw Failure(.invalidArgument, "room for \(rows.count) values of a sound's rows; \(needed) are to be written")
    }
    self.tower = tower
    self.rows = rows
    chunks = try c.chunks(sampleCount: samples.count, features: tower.folder.features)
    features = try VoiceFeatures(samples, tower.spectrogram, isWhole: false, pool: tower.pool)
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
      try finish(chunk)
      return true
    }
    return false
  }

  private mutating func finish(_ chunk: DotsAudioConfiguration.Chunk) throws(Failure) {
    let width = tower.configuration.textHiddenSize
    guard let base = rows.baseAddress, (rowCount + chunk.rows) * width <= rows.count else {
      throw Failure(.internalError, "a tower makes more rows than the \(rows.count / width) that there is room for")
    }
    layers.finish(chunk.rows, into: base + rowCount * width)
    rowCount += chunk.rows
    chunkCount += 1
  }
}
