public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// A model's folder, its configuration and headers read and checked against each other; no weights loaded.
public struct ModelFolder: Sendable {
  public let path: String
  public let configuration: ModelConfiguration
  public let checkpoint: Checkpoint
  /// The tensors that the model uses.
  public let tensorNames: [String]
  /// Bytes of those tensors in the files.
  public let weightByteCount: Int
  /// Bytes of the float32 copies that loading will make.
  public let floatByteCount: Int
  /// Bytes of the used tensors by type, largest first.
  public let byteCountByType: [(type: TensorType, byteCount: Int)]

  /// - Parameter log: told about tensors that the model does not use.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init(_ path: String, log: Log = .silent) throws(Failure) {
    self.path = path
    configuration = try ModelConfiguration.load(folder: path)
    checkpoint = try Checkpoint(folder: path)
    var binding = Binding(configuration, checkpoint, store: nil)
    _ = try binding.weights()
    binding.reportLeftovers(log)
    tensorNames = binding.source.names
    floatByteCount = binding.source.floatByteCount
    var byType: [TensorType: Int] = [:]
    var total = 0
    for name in tensorNames {
      guard let tensor = checkpoint.description(of: name) else { continue }
      // Sparse files may claim more bytes than there are numbers for.
      total =
        try CheckedSize.sum(total, tensor.byteCount, floatByteCount, of: "\(path): the weights' size") - floatByteCount
      byType[tensor.type, default: 0] += tensor.byteCount
    }
    byteCountByType = byType.map { ($0.key, $0.value) }.sorted {
      ($0.byteCount, $1.type.rawValue) > ($1.byteCount, $0.type.rawValue)
    }
    weightByteCount = total
  }
}

/// How a model's weights are held.
public struct ModelOptions: Sendable {
  public var residency: Checkpoint.Residency

  public init(residency: Checkpoint.Residency = .mapped) { self.residency = residency }
}

/// A loaded model: configuration and bound weights. Immutable, shared by any number of decoders.
public final class Model: Sendable {
  public let configuration: ModelConfiguration
  public let pool: ThreadPool
  public let kernels: Kernels
  /// Bytes of the weights as they lie in the files, mapped or in memory.
  public var weightByteCount: Int { weights.store?.byteCount ?? 0 }
  /// Bytes of the float32 copies of norms, biases and routers.
  public var floatByteCount: Int { weights.floats.reduce(0) { $0 + $1.bytes.count } }
  let weights: ModelWeights

  /// Opens a folder as published on a model hub: reads and checks configuration and headers, then loads the weights.
  ///
  /// - Parameters:
  ///   - progress: bytes of weights loaded; `false` cancels.
  /// - Throws: `Failure` naming file, and field or tensor.
  public static func open(
    folder: String, options: ModelOptions = ModelOptions(), pool: ThreadPool, kernels: Kernels, log: Log = .silent,
    progress: Progress? = nil
  ) throws(Failure) -> Model {
    try Model(ModelFolder(folder, log: log), options: options, pool: pool, kernels: kernels, progress: progress)
  }

  /// Loads the weights of a folder that was checked.
  public init(
    _ folder: ModelFolder, options: ModelOptions = ModelOptions(), pool: ThreadPool, kernels: Kernels,
    progress: Progress? = nil
  ) throws(Failure) {
    let store = try folder.checkpoint.load(
      folder.tensorNames, residency: options.residency, pool: pool, progress: progress)
    var binding = Binding(folder.configuration, folder.checkpoint, store: store)
    configuration = folder.configuration
    weights = try binding.weights()
    self.pool = pool
    self.kernels = kernels
  }
}
