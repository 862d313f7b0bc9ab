import DormouseKernels
import DormouseModel
import DormouseSupport
import DormouseText
import DormouseWeights

/// One opened model, immutable and shared by its sessions.
public final class Engine: Sendable {
  public let folder: String
  public let kernels: Kernels
  let pool: ThreadPool
  let text: TextResources
  let memoryBudget: MemoryBudget
  let residency: Checkpoint.Residency
  private let model: Model?
  private let weightsReservation: MemoryBudget.Reservation?

  /// Opens the model at `path`: a folder, or a file in it.
  /// - Throws: a `Failure` that names the file, field or tensor at fault; nothing stays behind.
  public init(path: String, options: EngineOptions) throws(Failure) {
    folder = try Engine.folder(of: path)
    kernels = try Kernels.selected()
    guard (0...EngineOptions.maximumThreadCount).contains(options.threadCount) else {
      throw Failure(
        .invalidArgument,
        "thread_count is \(options.threadCount), more than \(EngineOptions.maximumThreadCount)")
    }
    let threads = options.threadCount == 0 ? ThreadPool.defaultThreadCount() : options.threadCount
    pool = try ThreadPool(threadCount: threads)
    residency = options.residency
    memoryBudget = MemoryBudget(limit: options.memoryLimit)
    text = try TextResources(folder: folder)
    if options.withoutWeights {
      model = nil
      weightsReservation = nil
    } else {
      let inspection = try ModelInspection(folder: folder)
      weightsReservation = try memoryBudget.reserve(
        UInt64(clamping: inspection.weightBytes), for: "\(folder): the weights")
      model = try inspection.load(
        residency: options.residency, pool: pool, kernels: kernels, log: options.log, progress: options.progress)
    }
  }

  /// The folder itself, or the one that holds the file at `path`.
  private static func folder(of path: String) throws(Failure) -> String {
    guard File.exists(path) else { throw Failure(.notFound, "\(path): no such file or folder") }
    if File.isFolder(path) { return path }
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  func requireModel() throws(Failure) -> Model {
    guard let model else {
      throw Failure(.unsupported, "the engine was opened without weights, so it has no sessions")
    }
    return model
  }

  /// Config and headers only; of the loaded model where there is one.
  func inspection() throws(Failure) -> ModelInspection {
    try ModelInspection(folder: folder)
  }
}

/// Text without a session.
extension Engine {
  public func tokenize(_ bytes: UnsafeRawBufferPointer, addSpecial: Bool, parseSpecial: Bool) throws(Failure)
    -> [Int32]
  {
    try text.requireTokenizer().encode(bytes, parseSpecial: parseSpecial, addSpecialTokens: addSpecial)
  }

  public func detokenize(_ tokens: [Int32], skipSpecial: Bool) throws(Failure) -> [UInt8] {
    try text.requireTokenizer().decode(tokens, skipSpecial: skipSpecial)
  }

  /// The prompt that the model's template makes of a chat.
  public func render(messages: String) throws(Failure) -> String {
    try text.render(try ChatRequest(json: messages)).map(\.text).joined()
  }

  /// The tokens of that prompt; control tokens come from the template alone.
  public func tokenize(messages: String) throws(Failure) -> [Int32] {
    try text.tokenize(try ChatRequest(json: messages))
  }
}
