import DormouseCache
import DormouseGrammar
import DormouseKernels
import DormouseMedia
import DormouseModel
import DormouseSpeech
import DormouseSupport
import DormouseText

/// One opened model, immutable and shared by its sessions.
public final class Engine: Sendable {
  /// The path of the model's folder, as it was given or of the file that was given.
  public let folder: String
  /// Those of the instruction set that was chosen.
  public let kernels: Kernels
  let pool: ThreadPool
  let text: TextResources
  let options: EngineOptions
  let configuredDefaults: ConfiguredDefaults
  let memoryBudget: MemoryBudget
  /// Towers; nil for a model of text alone.
  let media: EngineMedia?
  /// Transcribes audio for a model that takes none itself; nil: audio is refused.
  let speech: SpeechModel?
  /// Nil without weights.
  let runtime: Runtime?
  private let identity = Locked<SnapshotIdentity?>(nil)
  let keptGrammarVocabulary = Locked<GrammarVocabulary?>(nil)
  /// Configuration and headers, once they have been read.
  private let checkedFolder: Locked<ModelFolder?>

  /// What an engine with weights has besides.
  struct Runtime: Sendable {
    let scheduler: Scheduler
    let stores: CacheStores
    let reservation: MemoryBudget.Reservation
    /// Outlives the scheduler's thread.
    let model: Model
    /// The engine's memory without a session.
    let plan: EnginePlan
  }

  /// Opens the model at `path`: a folder, or a file in it.
  /// - Throws: a `Failure` that names the file, field or tensor at fault; nothing stays behind.
  public init(path: String, options: EngineOptions) throws(Failure) {
    folder = try ModelPath.folder(of: path)
    kernels = try Kernels.selected()
    pool = try Engine.makePool(threadCount: options.threadCount, pinsThreads: options.pinsThreads)
    memoryBudget = MemoryBudget(limit: options.memoryLimit, name: "memory_limit")
    text = try TextResources(folder: folder, log: options.log)
    self.options = options
    configuredDefaults = try ConfiguredDefaults(json: options.generationDefaults, folder: folder)
    let sizes = try options.decoderOptions()
    guard !options.withoutWeights else {
      runtime = nil
      media = nil
      speech = nil
      checkedFolder = Locked(nil)
      return
    }
    let modelFolder = try ModelFolder(folder, precision: options.precision, log: options.log)
    try text.requireTokens(within: modelFolder.configuration.vocabularySize, log: options.log)
    let towers = try MediaFolder(folder, checkpoint: modelFolder.checkpoint)
    modelFolder.reportLeftovers(besides: towers?.tensorNames ?? [], to: options.log)
    let speechFolder = try Engine.speechFolder(besides: towers, options)
    var progress = ProgressParts(
      options.progress, total: try Engine.fileByteCount(modelFolder, towers, speechFolder))
    let plan = try modelFolder.plan(sizes, threadCount: pool.threadCount, kernels: kernels)
    let reservation = try memoryBudget.reserve(
      UInt64(clamping: plan.totalByteCount - plan.cacheByteCount), for: "\(folder): weights and working memory")
    let modelOptions = ModelOptions(residency: options.residency, packedCacheFolder: options.packedCacheFolder)
    let model = try Model(
      modelFolder, options: modelOptions, pool: pool, kernels: kernels, log: options.log,
      progress: progress.next(UInt64(clamping: modelFolder.fileByteCount)))
    media =
      if let towers {
        try EngineMedia(
          towers, path: folder, hiddenSize: modelFolder.configuration.hiddenSize, options: options, pool: pool,
          kernels: kernels, budget: memoryBudget, progress: progress.next(UInt64(clamping: towers.weightByteCount)))
      } else { nil }
    speech =
      if let speechFolder {
        try Engine.openSpeech(
          speechFolder, options: options, pool: pool, kernels: kernels, budget: memoryBudget,
          progress: progress.next(UInt64(clamping: speechFolder.weightByteCount)))
      } else { nil }
    let memoryPlan = EnginePlan(plan, towers: try towers?.byteCount() ?? 0, speech: speech?.byteCount ?? 0)
    checkedFolder = Locked(modelFolder)
    // The scheduler comes last: it has a thread, and an engine that fails to open ends none.
    runtime = Runtime(
      scheduler: try Scheduler(model: model, options: sizes, limits: try options.limits()),
      stores: CacheStores(modelFolder.configuration, kernels: kernels, budget: memoryBudget, options: options),
      reservation: reservation, model: model, plan: memoryPlan)
  }

  /// The scheduler's thread ends first: the model's own end, which may wait for a file and tell the log, is for the
  /// host's thread.
  deinit { runtime?.scheduler.stop() }

  /// Bytes of all weights in their files: what loading reports its progress in.
  private static func fileByteCount(
    _ model: ModelFolder, _ towers: MediaFolder?, _ speech: WhisperFolder?
  ) throws(Failure) -> UInt64 {
    UInt64(
      clamping: try CheckedSize.sum(
        model.fileByteCount, towers?.weightByteCount ?? 0, speech?.weightByteCount ?? 0,
        of: "\(model.path): the weights' size"))
  }

  var hasWeights: Bool { runtime != nil }

  func requireRuntime() throws(Failure) -> Runtime {
    guard let runtime else {
      throw Failure(.unsupported, "the engine was opened without weights, so it has no sessions")
    }
    return runtime
  }

  /// Configuration and headers; read at the first call where the engine has no weights, which takes seconds for the
  /// hundred thousand tensors of a large model.
  func modelFolder() throws(Failure) -> ModelFolder {
    let outcome: Result<ModelFolder, Failure> = checkedFolder.withLock { checked in
      if let checked { return .success(checked) }
      do throws(Failure) {
        let modelFolder = try ModelFolder(folder, precision: options.precision)
        checked = modelFolder
        return .success(modelFolder)
      } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  /// What saved sessions are bound to; made when the first one is saved or restored.
  func snapshotIdentity() throws(Failure) -> SnapshotIdentity {
    if let known = identity.withLock({ $0 }) { return known }
    let modelFolder = try modelFolder()
    let made = SnapshotIdentity(
      bytes: try modelFolder.identity(), description: "\(folder), weights in \(options.precision.rawValue)")
    identity.withLock { $0 = made }
    return made
  }

  static func makePool(threadCount: Int, pinsThreads: Bool = false) throws(Failure) -> ThreadPool {
    guard (0...EngineOptions.maximumThreadCount).contains(threadCount) else {
      throw Failure(
        .invalidArgument, "thread_count is \(threadCount), more than \(EngineOptions.maximumThreadCount)")
    }
    return try ThreadPool(
      threadCount: threadCount == 0 ? ThreadPool.defaultThreadCount() : threadCount, pinsThreads: pinsThreads)
  }
}

/// Text without a session.
extension Engine {
  /// The ids of a text.
  /// - Parameters:
  ///   - bytes: UTF-8, at most 64 MiB; each maximal part that is none is read as U+FFFD.
  ///   - addSpecial: whether to add what the tokenizer puts around a text.
  ///   - parseSpecial: whether control tokens in the text are such; else they are plain text.
  /// - Throws: `Failure(.notFound)` without a tokenizer, `.invalidArgument` for a text that is too long, `.malformed`
  ///   for a tokenizer whose patterns take too long over it.
  public func tokenize(_ bytes: UnsafeRawBufferPointer, addSpecial: Bool, parseSpecial: Bool) throws(Failure)
    -> [Int32]
  {
    try text.requireTokenizer().encode(bytes, parseSpecial: parseSpecial, addSpecialTokens: addSpecial)
  }

  /// The text of `tokens`, always valid UTF-8.
  /// - Parameter skipSpecial: whether to leave control tokens out.
  /// - Throws: `Failure(.notFound)` without a tokenizer, `.invalidArgument` naming an id that no token has.
  public func detokenize(_ tokens: [Int32], skipSpecial: Bool) throws(Failure) -> [UInt8] {
    try text.requireTokenizer().decode(tokens, skipSpecial: skipSpecial)
  }

  /// The prompt that the model's template makes of a chat; audio is transcribed where a speech model does that.
  /// - Parameter messages: the JSON that `dormouse_engine_render_messages` describes.
  /// - Throws: `Failure(.invalidArgument)` for messages that are none or that the template refuses, `.notFound` without
  ///   a template, `.malformed` and `.unsupported` for one that cannot be used, and what is wrong with audio.
  public func render(messages: String) throws(Failure) -> String {
    let request = try transcribed(try ChatRequest(json: messages), attachments: []).request
    return try text.render(request).map(\.text).joined()
  }

  /// The tokens of that prompt; control tokens come from the template alone. Positions of media have the tokens that
  /// the model's own processor has there, which need not be in the vocabulary.
  /// - Parameters:
  ///   - messages: the JSON that `dormouse_engine_render_messages` describes.
  ///   - attachments: what its parts name by number.
  /// - Throws: as `render` and `tokenize`, and what is wrong with a part; `Failure(.unsupported)` for media that the
  ///   model does not take.
  public func tokenize(messages: String, attachments: [MediaItem] = []) throws(Failure) -> [Int32] {
    let request = try transcribed(try ChatRequest(json: messages), attachments: attachments).request
    return try tokens(request, attachments: attachments)
  }
}
