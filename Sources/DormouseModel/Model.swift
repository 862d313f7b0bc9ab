public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// A model's folder, its configuration and headers read and checked against each other; no weights loaded.
public struct ModelFolder: Sendable {
  public let path: String
  public let configuration: ModelConfiguration
  public let checkpoint: Checkpoint
  /// In what precision the weights will be held; sizes are those of this precision.
  public let precision: WeightPrecision
  /// Where its tensors are.
  let plan: TensorPlan
  let tensors: ModelTensors
  /// Bytes of the weights, packed or as the files have them.
  public let weightByteCount: Int
  /// Bytes of weights that decoding one token reads: everything once, but one row of the embedding, and of a layer's
  /// routed experts those that the router picks.
  public let byteCountPerToken: Int
  /// Bytes of the used tensors in the files by type, largest first.
  public let byteCountByType: [(type: TensorType, byteCount: Int)]
  /// Bytes of all of them.
  public let fileByteCount: Int

  /// The tensors that the model uses.
  public var tensorNames: [String] { plan.names }
  /// Of `weightByteCount`, bytes of packed matrices.
  public var packedByteCount: Int { plan.packedByteCount }
  /// Bytes of the float32 copies that loading will make.
  public var floatByteCount: Int { plan.floatByteCount }

  /// - Parameter log: told about a head that is not tied though it should be.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init(
    _ path: String, precision: WeightPrecision = .native, log: Log = .silent
  ) throws(Failure) {
    self.path = path
    self.precision = precision
    var configuration = try ModelConfiguration.load(folder: path)
    checkpoint = try Checkpoint(folder: path)
    if configuration.tiesWordEmbeddings {
      let names = TensorNames(checkpoint)
      let hasOwnHead = try checkpoint.hasOwnHead(names.head, besides: names.embedding, log: log)
      configuration.tiesWordEmbeddings = !hasOwnHead
    }
    self.configuration = configuration
    tensors = ModelTensors(configuration, checkpoint)
    var plan = TensorPlan(checkpoint, configuration.quantization)
    try tensors.forEachGroup { (group) throws(Failure) in
      try plan.add(together: group, packedAs: group.first.flatMap { precision.packedType(of: $0.part) })
    }
    self.plan = plan
    byteCountPerToken = tensors.byteCountPerToken(plan)
    byteCountByType = try ModelFolder.byteCountByType(plan.names, checkpoint)
    let loaded = try ModelFolder.byteCountByType(plan.loadedNames, checkpoint)
    // Sparse files may claim more bytes than there are numbers for.
    let what = "\(path): the weights' size"
    var fileTotal = 0
    for entry in byteCountByType { fileTotal = try CheckedSize.sum(fileTotal, entry.byteCount, of: what) }
    fileByteCount = fileTotal
    var total = plan.packedByteCount
    for entry in loaded { total = try CheckedSize.sum(total, entry.byteCount, of: what) }
    _ = try CheckedSize.sum(total, plan.floatByteCount, of: what)
    weightByteCount = total
  }

  private static func byteCountByType(
    _ names: [String], _ checkpoint: Checkpoint
  ) throws(Failure) -> [(type: TensorType, byteCount: Int)] {
    var byType: [TensorType: Int] = [:]
    for name in names {
      guard let tensor = checkpoint.record(of: name) else { continue }
      byType[tensor.type] = try CheckedSize.sum(
        byType[tensor.type] ?? 0, tensor.byteCount, of: "\(checkpoint.folder): the weights' size")
    }
    return byType.map { ($0.key, $0.value) }.sorted {
      ($0.byteCount, $1.type.rawValue) > ($1.byteCount, $0.type.rawValue)
    }
  }
}

/// How a model's weights are held.
public struct ModelOptions: Sendable {
  /// Of the weights that are as the files have them; packed ones are in memory in any case.
  public var residency: Checkpoint.Residency
  /// The folder that keeps packed weights for the next start; nil: none.
  public var packedCacheFolder: String?

  public init(residency: Checkpoint.Residency = .mapped, packedCacheFolder: String? = nil) {
    self.residency = residency
    self.packedCacheFolder = packedCacheFolder
  }
}

/// A loaded model: configuration and bound weights. Immutable, shared by any number of decoders.
public final class Model: Sendable {
  public let configuration: ModelConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  public let precision: WeightPrecision
  /// Bytes of the weights, packed or as they lie in the files, mapped or in memory.
  public var weightByteCount: Int { weights.store.byteCount + (weights.panels?.bytes.count ?? 0) }
  /// Bytes of the float32 copies of norms and biases.
  public var floatByteCount: Int { weights.floats.reduce(0) { $0 + $1.bytes.count } }
  let weights: ModelWeights
  /// Writes packed weights for the next start; the model goes when it is done.
  private let cacheWriter: PackedCacheWriter?

  /// Opens a folder as published on a model hub: reads and checks configuration and headers, then loads the weights.
  ///
  /// - Parameters:
  ///   - progress: bytes of weights loaded; `false` cancels.
  /// - Throws: `Failure` naming file, and field or tensor.
  public static func open(
    folder: String, precision: WeightPrecision = .native, options: ModelOptions = ModelOptions(), pool: ThreadPool,
    kernels: Kernels, log: Log = .silent, progress: Progress? = nil
  ) throws(Failure) -> Model {
    let folder = try ModelFolder(folder, precision: precision, log: log)
    // Of a model that sees or hears, only who knows its towers can tell.
    if folder.configuration.composite == nil { folder.reportLeftovers(to: log) }
    return try Model(folder, options: options, pool: pool, kernels: kernels, log: log, progress: progress)
  }

  /// Loads the weights of a folder that was checked.
  /// - Parameter log: told what becomes of the file of packed weights.
  public init(
    _ folder: ModelFolder, options: ModelOptions = ModelOptions(), pool: ThreadPool, kernels: Kernels,
    log: Log = .silent, progress: Progress? = nil
  ) throws(Failure) {
    let checkpoint = folder.checkpoint
    let stored = try LoadingProgress(folder, progress)
    let store = try checkpoint.load(
      folder.plan.loadedNames, residency: options.residency, pool: pool, progress: stored.ofStore)
    var panels: AlignedBuffer?
    if folder.packedByteCount > 0 {
      panels = try AlignedBuffer(byteCount: folder.packedByteCount, for: "packed weights of \(folder.path)")
    }
    let loaded = LoadedTensors(folder.plan, store: store, panels: panels)
    configuration = folder.configuration
    precision = folder.precision
    weights = try ModelWeights(folder.tensors, loaded)
    var writer: PackedCacheWriter?
    if let panels {
      let loader = PanelLoader(
        folder: folder, jobs: loaded.packingJobs, kernels: kernels, pool: pool, progress: stored.ofPanels)
      writer = try loader.fill(panels, cacheFolder: options.packedCacheFolder, log: log)
    }
    cacheWriter = writer
    self.pool = pool
    self.kernels = kernels
  }
}
