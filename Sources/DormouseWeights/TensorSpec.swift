/// A tensor as a model expects it. Each part of a model lists its own once: what is checked, counted, planned and bound
/// derives from these lists.
public struct TensorSpec: Sendable, Equatable {
  public let name: String
  public let shape: [Int]
  public let part: TensorPart
  public let role: TensorRole

  public init(_ name: String, shape: [Int], part: TensorPart, role: TensorRole) {
    self.name = name
    self.shape = shape
    self.part = part
    self.role = role
  }

  /// A matrix [rows, columns] that products multiply with.
  public static func weight(_ name: String, rows: Int, columns: Int, _ part: TensorPart) -> TensorSpec {
    TensorSpec(name, shape: [rows, columns], part: part, role: .weight)
  }

  /// A vector in float32, multiplied by `factor`.
  public static func vector(_ name: String, count: Int, _ part: TensorPart, factor: Float = 1) -> TensorSpec {
    TensorSpec(name, shape: [count], part: part, role: .floats(factor: factor))
  }
}

/// The parts of a model that differ in how much a rounding of their weights matters, or in how many tokens meet them.
/// A norm or a bias is of the part that it serves.
public enum TensorPart: Sendable {
  case embedding
  /// The norms of the residual stream.
  case norm
  /// q_proj, q_a_proj, q_b_proj.
  case queryProjection
  /// kv_a_proj_with_mqa.
  case latentProjection
  /// kv_b_proj.
  case latentExpansion
  /// o_proj, g_proj.
  case outputProjection
  /// wq_b, wk, weights_proj.
  case indexer
  /// Dense networks and shared experts.
  case feedForward
  case router
  /// The routed experts, of which a token meets a few.
  case experts
  case head
  /// What makes rows of images, video or audio; its weights are never packed.
  case tower
}

/// What becomes of a tensor in memory.
public enum TensorRole: Sendable, Equatable {
  /// Numbers in float32, multiplied by `factor`: norms, biases, tables of positions.
  case floats(factor: Float)
  /// A matrix in the file's own type, whatever the precision.
  case matrix
  /// The same, of a type whose numbers are exact in float32.
  case exactMatrix
  /// A matrix that products multiply with: packed where the precision packs its part.
  case weight
  /// Such matrices in one tensor [count, rows, columns], each cut into ranges of rows that are weights of their own.
  case fusedWeights(cuts: [Range<Int>])
  /// A matrix [count * rows, columns] of `count` blocks of rows; where it is packed, each block is cut into matrices of
  /// their own.
  case blocks(count: Int, cuts: [RowCut])
}

/// Rows of a block that become a packed matrix.
public struct RowCut: Sendable, Equatable {
  public let rows: Range<Int>
  /// Whether the packed matrix's rows are these rows' columns.
  public let isTransposed: Bool

  public init(rows: Range<Int>, isTransposed: Bool = false) {
    self.rows = rows
    self.isTransposed = isTransposed
  }
}
