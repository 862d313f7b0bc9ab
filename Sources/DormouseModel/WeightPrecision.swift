import DormouseKernels
import DormouseWeights

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
  func packedType(of part: TensorPart) -> PackedType? {
    switch (self, part) {
    case (.native, _), (_, .embedding), (_, .norm), (_, .router), (_, .tower): nil
    case (.int8, _), (.int4, .latentProjection), (.int4, .latentExpansion), (.int4, .indexer): .int8
    case (.int4, _): .int4
    }
  }
}
