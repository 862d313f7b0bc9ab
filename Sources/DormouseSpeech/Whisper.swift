import DormouseAudio
public import DormouseKernels
import DormouseLayers
public import DormouseSupport
import DormouseText
import DormouseWeights

/// A `whisper` folder as published, its configuration and headers read and checked against each other; no weights
/// loaded.
public struct WhisperFolder: Sendable {
  public let path: String
  public let configuration: WhisperConfiguration
  public let generation: WhisperGenerationConfiguration
  public let features: LogMelConfiguration
  let tensors: CheckedTensors<WhisperWeights>

  /// Bytes of the weights as the files have them.
  public var weightByteCount: Int { tensors.weightByteCount }

  /// - Parameter log: told about a head that is not tied though it should be.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init(_ path: String, log: Log = .silent) throws(Failure) {
    let file = "\(path)/config.json"
    let fields = try JSONFields(File.readJSON(file), file: file)
    let generationFile = "\(path)/generation_config.json"
    var generationFields: JSONFields?
    if File.exists(generationFile) {
      generationFields = try JSONFields(File.readJSON(generationFile), file: generationFile)
    }
    self.path = path
    var configuration = try WhisperConfiguration(fields)
    generation = try WhisperGenerationConfiguration(generationFields, fields, configuration)
    features = try LogMelConfiguration.load(folder: path)
    try fields.require(features, of: configuration.encoder)
    let checkpoint = try Checkpoint(folder: path)
    if configuration.tiesWordEmbeddings {
      let hasOwnHead = try checkpoint.hasOwnHead(AudioTensors.head, besides: AudioTensors.embedding, log: log)
      configuration.tiesWordEmbeddings = !hasOwnHead
    }
    self.configuration = configuration
    tensors = try CheckedTensors(WhisperWeights.tensors(configuration), in: checkpoint, of: "the weights")
  }

  /// The memory that the model and one transcription will take.
  public func plan(threadCount: Int, kernels: Kernels) throws(Failure) -> AudioModelPlan {
    let encoder = try AudioEncoder.Layout(configuration.encoder, threadCount: threadCount)
    let decoder = try WhisperDecoder.Layout(configuration, threadCount: threadCount)
    let window = try CheckedSize.product(
      configuration.encoder.windowFrameCount, configuration.encoder.melBinCount, 4, of: "a window's features")
    let cache = try CheckedSize.product(decoder.cacheWords, 4, of: "a Whisper decoder's caches")
    let own = max(
      AudioEncoder.threadScratchByteCount(configuration.encoder, kernels),
      WhisperDecoder.threadScratchByteCount(configuration, kernels))
    let scratch = try CheckedSize.sum(
      encoder.rows.layout.byteCount(), decoder.rows.layout.byteCount() - cache, window, of: "the memory plan")
    return try AudioModelPlan(
      tensors, cacheByteCount: cache, scratchByteCount: scratch, ownByteCount: own, threadCount: threadCount)
  }
}

struct WhisperWeights: Sendable {
  let encoder: AudioEncoderWeights
  let decoder: WhisperDecoderWeights

  static func tensors(_ c: WhisperConfiguration) -> TensorGroup<WhisperWeights> {
    let blocks = AudioTensors(hiddenSize: c.hiddenSize)
    return TensorGroup(blocks.encoder(c.encoder, prefix: "model.encoder."), blocks.decoder(c)) {
      WhisperWeights(encoder: $0, decoder: $1)
    }
  }
}

/// A loaded Whisper model (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022).
/// Immutable: any number of threads may transcribe at once, and take turns on the pool.
public final class Whisper: Sendable {
  public let configuration: WhisperConfiguration
  public let generation: WhisperGenerationConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  let weights: WhisperWeights
  let tokenizer: Tokenizer
  let spectrogram: LogMelSpectrogram
  private let memory: TensorMemory

  /// Opens a folder as published on a model hub.
  ///
  /// - Parameters:
  ///   - residency: whether weights stay in the files' maps or are read into memory.
  ///   - progress: bytes of weights loaded; `false` cancels.
  /// - Throws: `Failure` naming file, and field or tensor.
  public convenience init(
    folder: String, residency: Checkpoint.Residency = .mapped, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    try self.init(WhisperFolder(folder), residency: residency, pool: pool, kernels: kernels, progress: progress)
  }

  /// Loads a folder that was checked.
  public init(
    _ folder: WhisperFolder, residency: Checkpoint.Residency = .mapped, pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    configuration = folder.configuration
    generation = folder.generation
    self.pool = pool
    self.kernels = kernels
    tokenizer = try Tokenizer(folder: folder.path)
    spectrogram = try LogMelSpectrogram(folder.features)
    (weights, memory) = try folder.tensors.load(residency: residency, pool: pool, progress: progress)
  }

  /// What is said in audio.
  ///
  /// - Parameters:
  ///   - samples: mono, 16,000 a second, of finite numbers; at least one.
  ///   - interruption: asked once a layer of the encoder, and once a token.
  ///   - onProgress: seconds of the audio that are done, and all.
  ///   - onSegment: called with every segment as soon as its window is written.
  /// - Throws: `Failure(.invalidArgument)` for samples or options that make no sense, `.cancelled`, `.outOfMemory`,
  ///   `.numerical` when the model gives no numbers.
  public func transcribe(
    _ samples: UnsafeBufferPointer<Float>, options: WhisperOptions = WhisperOptions(),
    interruption: Interruption = .never, onProgress: (_ done: Double, _ all: Double) -> Void = { _, _ in },
    onSegment: (TranscriptSegment) -> Void = { _ in }
  ) throws(Failure) -> Transcript {
    try options.check(generation)
    let transcription = try WhisperTranscription(self, samples, options, interruption)
    return try transcription.run(interruption: interruption, onProgress: onProgress, onSegment: onSegment)
  }

  /// The code of the language that the audio's first window is in; nil for a model of one language.
  public func detectLanguage(
    _ samples: UnsafeBufferPointer<Float>, interruption: Interruption = .never
  ) throws(Failure) -> String? {
    let transcription = try WhisperTranscription(self, samples, WhisperOptions(), interruption)
    return try transcription.detectLanguage(interruption: interruption)?.code
  }
}
