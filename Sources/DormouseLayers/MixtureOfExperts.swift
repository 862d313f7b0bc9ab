public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// The weights of a mixture of experts, without the routed experts, which an `ExpertSource` has.
public struct ExpertsWeights: Sendable {
  /// [experts, hidden], of a type that is exact in float32.
  public let router: WeightMatrix
  /// [experts]; of routers that choose by more than their scores.
  public let correctionBias: FloatVector?
  public let shared: GatedWeights?

  public init(router: WeightMatrix, correctionBias: FloatVector?, shared: GatedWeights? = nil) {
    self.router = router
    self.correctionBias = correctionBias
    self.shared = shared
  }
}

/// A layer of routed and shared experts. Tokens are grouped by expert, so that each expert's weights are read once a batch.
public struct MixtureOfExperts {
  let weights: ExpertsWeights
  let router: Router
  private let source: any ExpertSource
  private let layer: Int
  private let networks: GatedNetworks
  let scratch: ExpertsScratch

  var hidden: Int { weights.router.columns }
  var queue: ProductQueue { networks.queue }

  /// - Parameters:
  ///   - source: has the routed experts, as layer `layer`; packed or not, as the layout says.
  ///   - memory: has room for `layout`.
  public init(
    _ weights: ExpertsWeights, _ configuration: RouterConfiguration, source: any ExpertSource, layer: Int,
    networks: GatedNetworks, memory: UnsafeMutablePointer<Float>, layout: ExpertsLayout
  ) {
    self.weights = weights
    router = Router(configuration)
    self.source = source
    self.layer = layer
    self.networks = networks
    scratch = ExpertsScratch(memory, layout)
  }

  /// - Parameters:
  ///   - x, y: [count, hidden].
  ///   - quantized: where `x` is rounded for packed matrices; nil where none is packed.
  /// - Throws: what the source throws; the next run is as if this one had not been.
  public func run(
    _ x: UnsafePointer<Float>, count: Int, quantized: UnsafeMutableRawPointer?, into y: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    let needed = route(x, count)
    let input = queue.prepare(x, columns: hidden, count: count, in: quantized)
    if isGathered(count) { gather(x, count) }
    var shared = weights.shared
    try source.lease(needed, of: layer) { lease in
      // With the first experts that come: one batch is shared out better than two.
      if let own = shared { networks.add(own, x: input, count: count, in: scratch.shared, y: scratch.sharedRows) }
      shared = nil
      for id in lease.ids { add(lease[id], id, input, count) }
      networks.run()
    }
    combine(count, into: y)
  }

  /// Packed experts find their tokens' rounded rows by number, and one token's row is every expert's input; else rows
  /// are gathered behind each other.
  private func isGathered(_ count: Int) -> Bool { count > 1 && !scratch.isPacked }

  /// Adds one expert to the next run: its tokens' rows to the rows of its slots.
  private func add(_ expert: ExpertWeights, _ id: Int32, _ input: Activations, _ count: Int) {
    let first = Int(scratch.firstSlots[Int(id)])
    let slots = Int(scratch.firstSlots[Int(id) + 1]) - first
    let rows = scratch.rows + first * hidden
    var x = isGathered(count) ? Activations(floats: rows, stride: hidden) : input
    if scratch.isPacked { x.quantized?.indices = UnsafePointer(scratch.tokens + first) }
    networks.add(GatedWeights(expert), x: x, count: slots, in: scratch.routed.dropFirst(first), y: rows)
  }
}
