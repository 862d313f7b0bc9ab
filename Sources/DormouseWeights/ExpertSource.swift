public import DormouseKernels
public import DormouseSupport

/// One routed expert: down(silu(gate x) * up x).
public struct ExpertWeights: Sendable {
  /// [width, hidden].
  public let gate: Weight
  public let up: Weight
  /// [hidden, width].
  public let down: Weight

  public init(gate: Weight, up: Weight, down: Weight) {
    self.gate = gate
    self.up = up
    self.down = down
  }
}

/// Where the routed experts of a model's layers come from. A layer asks once its router has chosen, for all tokens of a
/// batch together. Any thread may ask.
public protocol ExpertSource: Sendable {
  /// Leases experts of a layer to `body`, which is called with each of them once: with all at the same time, or in parts
  /// where they come one after another or there is no room for all. A part that is empty gives the layer time for what
  /// it does without routed experts.
  ///
  /// - Parameters:
  ///   - ids: which experts, at least one, rising. All may be fetched while the first part is in use.
  ///   - layer: the layer's number in the model.
  ///   - body: the lease ends when it returns.
  /// - Throws: why an expert can't be had; `body` may have seen some of the others.
  func lease(
    _ ids: UnsafeBufferPointer<Int32>, of layer: Int, _ body: (ExpertLease) -> Void
  ) throws(Failure)
}

/// Experts that may be used for a while.
public struct ExpertLease {
  /// Those that are leased.
  public let ids: UnsafeBufferPointer<Int32>
  private let experts: UnsafeBufferPointer<ExpertWeights>

  /// - Parameter experts: by their ids; only those of `ids` are looked at.
  public init(_ ids: UnsafeBufferPointer<Int32>, in experts: UnsafeBufferPointer<ExpertWeights>) {
    self.ids = ids
    self.experts = experts
  }

  /// - Parameter id: one of `ids`.
  public subscript(id: Int32) -> ExpertWeights { experts[Int(id)] }
}

/// Experts that stay in memory: leasing them is looking them up.
public struct ResidentExperts: ExpertSource {
  private let layers: [[ExpertWeights]]

  /// - Parameter layers: one entry a layer, empty for those without experts.
  public init(_ layers: [[ExpertWeights]]) { self.layers = layers }

  /// - Throws: `Failure(.internalError)` for a layer or an expert that the model does not have.
  public func lease(
    _ ids: UnsafeBufferPointer<Int32>, of layer: Int, _ body: (ExpertLease) -> Void
  ) throws(Failure) {
    guard layers.indices.contains(layer), let last = ids.last, last < layers[layer].count else {
      throw Failure(.internalError, "layer \(layer) has no expert \(ids.last ?? 0)")
    }
    layers[layer].withUnsafeBufferPointer { body(ExpertLease(ids, in: $0)) }
  }
}
