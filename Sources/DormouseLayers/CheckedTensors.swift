public import DormouseSupport
public import DormouseWeights

/// The tensors of a model or of one of its towers, found in a checkpoint and checked by their headers; no weights loaded.
public struct CheckedTensors<Weights>: Sendable {
  private let group: TensorGroup<Weights>
  private let plan: TensorPlan
  /// Those that are loaded.
  public var names: [String] { plan.loadedNames }
  /// Bytes of the weights as the files have them.
  public let weightByteCount: Int
  /// Numbers in all tensors, block scales aside.
  public let parameterCount: Int
  /// Bytes of the float32 copies of norms, biases and positions that loading will make.
  public var floatByteCount: Int { plan.floatByteCount }

  /// - Parameter what: whose tensors they are, for sentences.
  /// - Throws: `Failure` naming the tensor, what it is and what was expected.
  public init(_ group: TensorGroup<Weights>, in checkpoint: Checkpoint, of what: String) throws(Failure) {
    var plan = TensorPlan(checkpoint)
    var (total, parameters) = (0, 0)
    for spec in group.specs {
      try plan.add(spec)
      let own = try CheckedSize.product(spec.shape, of: "the parameters of \(spec.name)")
      parameters = try CheckedSize.sum(parameters, own, of: "\(checkpoint.folder): the parameters of \(what)")
    }
    for name in plan.loadedNames {
      let own = checkpoint.record(of: name)?.byteCount ?? 0
      total = try CheckedSize.sum(total, own, of: "\(checkpoint.folder): the size of \(what)")
    }
    self.group = group
    self.plan = plan
    weightByteCount = total
    parameterCount = parameters
  }

  /// Loads the weights, and binds them as they were checked.
  /// - Parameter progress: bytes of weights loaded; `false` cancels.
  /// - Returns: the weights, and the memory that they point into.
  public func load(
    residency: Checkpoint.Residency, pool: ThreadPool, progress: Progress?
  ) throws(Failure) -> (weights: Weights, memory: TensorMemory) {
    let store = try plan.checkpoint.load(names, residency: residency, pool: pool, progress: progress)
    let loaded = LoadedTensors(plan, store: store)
    let weights = try group.bind(loaded)
    return (weights, TensorMemory(store: store, floats: loaded.floats))
  }
}

/// What the weights of a loaded model are views of.
public struct TensorMemory: Sendable {
  public let store: TensorStore
  public let floats: [AlignedBuffer]
}
