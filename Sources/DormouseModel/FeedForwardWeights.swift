import DormouseKernels
import DormouseLayers
import DormouseSupport
import DormouseWeights

/// The tensors of down(silu(gate x) * up x).
struct GatedTensors {
  let gate, up, down: TensorSpec

  init(_ prefix: String, width: Int, hidden: Int, _ part: TensorPart = .feedForward) {
    gate = .weight("\(prefix)gate_proj.weight", rows: width, columns: hidden, part)
    up = .weight("\(prefix)up_proj.weight", rows: width, columns: hidden, part)
    down = .weight("\(prefix)down_proj.weight", rows: hidden, columns: width, part)
  }

  var all: [TensorSpec] { [gate, up, down] }
}

/// The tensors of a layer of experts.
struct ExpertsTensors {
  let router: TensorSpec
  /// Of routers that choose by more than their scores.
  let correctionBias: TensorSpec?
  let shared: GatedTensors?
  let count: Int
  /// transformers' own layout: gate_up_proj [experts, 2 * width, hidden], down_proj [experts, hidden, width]; nil where
  /// each expert has tensors of its own.
  let fused: (gateUp: TensorSpec, down: TensorSpec)?
  private let prefix: String
  private let width: Int
  private let hidden: Int

  init(_ c: ModelConfiguration, prefix: String, isFused: Bool) {
    self.prefix = prefix
    (count, width, hidden) = (c.router.expertCount, c.moeIntermediateSize, c.hiddenSize)
    router = TensorSpec("\(prefix)gate.weight", shape: [count, hidden], part: .router, role: .exactMatrix)
    correctionBias =
      c.router.method == .noAuxiliaryLoss
      ? .vector("\(prefix)gate.e_score_correction_bias", count: count, .router) : nil
    shared =
      c.sharedExpertCount > 0
      ? GatedTensors("\(prefix)shared_experts.", width: c.sharedExpertsWidth, hidden: hidden) : nil
    guard isFused else {
      fused = nil
      return
    }
    fused = (
      TensorSpec(
        Self.fusedName(prefix), shape: [count, 2 * width, hidden], part: .experts,
        role: .fusedWeights(cuts: [0..<width, width..<2 * width])),
      TensorSpec(
        "\(prefix)experts.down_proj", shape: [count, hidden, width], part: .experts,
        role: .fusedWeights(cuts: [0..<hidden]))
    )
  }

  /// A tensor that a checkpoint has where its experts are fused.
  static func fusedName(_ prefix: String) -> String { "\(prefix)experts.gate_up_proj" }

  /// The tensors of one expert among others that are not fused.
  func expert(_ index: Int) -> GatedTensors {
    GatedTensors("\(prefix)experts.\(index).", width: width, hidden: hidden, .experts)
  }

  /// All tensors, those together whose packed matrices lie together: an expert's.
  var groups: [[TensorSpec]] {
    let experts = fused.map { [[$0.gateUp, $0.down]] } ?? (0..<count).map { expert($0).all }
    return [[router]] + (correctionBias.map { [[$0]] } ?? []) + experts + (shared?.all ?? []).map { [$0] }
  }
}

// MARK: - Bound

enum FeedForwardWeights: Sendable {
  case dense(GatedWeights)
  case experts(ExpertsWeights)

  init(_ tensors: FeedForwardTensors, _ loaded: LoadedTensors) throws(Failure) {
    switch tensors {
    case .dense(let gated): self = .dense(try GatedWeights(gated, loaded))
    case .experts(let experts):
      self = .experts(
        ExpertsWeights(
          router: try loaded.matrix(experts.router),
          correctionBias: try experts.correctionBias.map { (spec) throws(Failure) in try loaded.floats(spec) },
          shared: try experts.shared.map { (shared) throws(Failure) in try GatedWeights(shared, loaded) }))
    }
  }
}

extension GatedWeights {
  init(_ tensors: GatedTensors, _ loaded: LoadedTensors) throws(Failure) {
    func linear(_ spec: TensorSpec) throws(Failure) -> Linear { Linear(weight: try loaded.weight(spec), bias: nil) }
    self.init(gate: try linear(tensors.gate), up: try linear(tensors.up), down: try linear(tensors.down))
  }
}

extension ExpertWeights {
  fileprivate init(_ tensors: GatedTensors, _ loaded: LoadedTensors) throws(Failure) {
    self.init(
      gate: try loaded.weight(tensors.gate), up: try loaded.weight(tensors.up), down: try loaded.weight(tensors.down))
  }
}

extension FeedForwardTensors {
  /// The routed experts; none of a dense layer.
  func routedExperts(_ loaded: LoadedTensors) throws(Failure) -> [ExpertWeights] {
    guard case .experts(let tensors) = self else { return [] }
    if let fused = tensors.fused {
      return zip(try loaded.fusedWeights(fused.gateUp), try loaded.fusedWeights(fused.down)).map { both, down in
        ExpertWeights(gate: both[0], up: both[1], down: down[0])
      }
    }
    var experts: [ExpertWeights] = []
    experts.reserveCapacity(tensors.count)
    for index in 0..<tensors.count { experts.append(try ExpertWeights(tensors.expert(index), loaded)) }
    return experts
  }
}
