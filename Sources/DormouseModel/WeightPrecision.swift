import DormouseKernels

/// In what precision a model's matrices are held.
public enum WeightPrecision: String, Sendable, CaseIterable {
  /// As the files have them.
  case native
  case int8
  case int4

  /// How the matrices of a part of the model are packed; nil for as the files have them.
  ///
  /// What never is packed, whatever the precision: the router, whose choice of experts a rounding would flip; norms and
  /// biases; and the embedding, of which a token reads a single row. `kv_a_proj_with_mqa` makes what the cache keeps for
  /// every later token, `kv_b_proj` what attention compares and sums, and both are small: they have 8 bits in int4, too.
  /// So has the indexer, which picks positions as the router picks experts, but from scores that lie closer together.
  func packedType(of part: WeightPart) -> PackedType? {
    switch self {
    case .native: nil
    case .int8: .int8
    case .int4:
      switch part {
      case .latentProjection, .latentExpansion, .indexer: .int8
      case .queryProjection, .outputProjection, .feedForward, .head: .int4
      }
    }
  }
}

/// The parts of a model that differ in how much a rounding of their weights matters.
enum WeightPart: Sendable {
  /// kv_a_proj_with_mqa.
  case latentProjection
  /// kv_b_proj.
  case latentExpansion
  /// q_proj, q_a_proj, q_b_proj.
  case queryProjection
  /// o_proj, g_proj.
  case outputProjection
  /// wq_b, wk, weights_proj.
  case indexer
  /// Dense networks, experts, shared experts.
  case feedForward
  case head
}
