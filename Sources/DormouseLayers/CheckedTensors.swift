public import DormouseSupport
public import DormouseWeights

/// The tensors of a model or of one of its towers, found in a checkpoint and checked by their headers; no weights loaded.
public struct CheckedTensors: Sendable {
  private let plan: TensorPlan
  /// Those that are loaded.
  public var names: [String] { plan.loadedNames }
  /// Bytes of the weights as the files have them.
  public let weightByteCount: Int
  /// Bytes of the float32 copies of norms, biases and positions that loading will make.
  public let floatByteCount: Int

  /// - Parameters:
  ///   - path: the model's folder.
  ///   - checkpoint: its files where they are open already.
  ///   - what: whose tensors they are, for sentences.
  ///   - bind: asks the source for every tensor.
  /// - Throws: `Failure` naming the tensor, what it is and what was expected.
  public init(
    _ path: String, _ checkpoint: Checkpoint?, of what: String, bind: (inout TensorSource) throws(Failure) -> Void
  ) throws(Failure) {
    let checkpoint = if let checkpoint { checkpoint } else { try Checkpoint(folder: path) }
    var source = TensorSource(TensorPlan(checkpoint))
    try bind(&source)
    plan = source.plan
    floatByteCount = plan.floatByteCount
    var total = 0
    for name in plan.loadedNames {
      let own = checkpoint.record(of: name)?.byteCount ?? 0
      total = try CheckedSize.sum(total, own, of: "\(path): the size of \(what)")
    }
    weightByteCount = total
  }

  /// Loads the weights, and binds them as they were checked.
  /// - Parameter progress: bytes of weights loaded; `false` cancels.
  /// - Returns: what `bind` makes of them, and the memory that this points into.
  public func load<Weights>(
    residency: Checkpoint.Residency, pool: ThreadPool, progress: Progress?,
    bind: (inout TensorSource) throws(Failure) -> Weights
  ) throws(Failure) -> (weights: Weights, memory: TensorMemory) {
    let store = try plan.checkpoint.load(names, residency: residency, pool: pool, progress: progress)
    let loaded = LoadedTensors(plan, store: store)
    var source = TensorSource(plan, loaded)
    let weights = try bind(&source)
    return (weights, TensorMemory(store: store, floats: loaded.floats))
  }
}

/// What the weights of a loaded model are views of.
public struct TensorMemory: Sendable {
  public let store: TensorStore
  public let floats: [AlignedBuffer]
}
