public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// Hands out the tensors of a tower by name, shape and role: it runs twice over the same questions, first to plan, when
/// what it hands out points to nothing, then to bind what was loaded.
public struct TensorSource {
  /// What was asked for.
  public private(set) var plan: TensorPlan
  private let loaded: LoadedTensors?

  public var checkpoint: Checkpoint { plan.checkpoint }

  /// Checks headers.
  public init(_ plan: TensorPlan) {
    self.plan = plan
    loaded = nil
  }

  /// - Parameter plan: of the questions that will come.
  public init(_ plan: TensorPlan, _ loaded: LoadedTensors) {
    self.plan = plan
    self.loaded = loaded
  }

  public func has(_ name: String) -> Bool { checkpoint.has(name) }

  /// A matrix of weights in the type the file has.
  /// - Parameter shape: the file's shape where it is not [rows, columns], of as many elements: a convolution's kernel.
  public mutating func matrix(
    _ name: String, rows: Int, columns: Int, shape: [Int]? = nil
  ) throws(Failure) -> WeightMatrix {
    try matrix(TensorSpec(name, shape: shape ?? [rows, columns], part: .tower, role: .matrix), rows, columns)
  }

  /// A matrix of a type without block scales: its numbers are exact in float32.
  public mutating func exactMatrix(_ name: String, rows: Int, columns: Int) throws(Failure) -> WeightMatrix {
    try matrix(TensorSpec(name, shape: [rows, columns], part: .tower, role: .exactMatrix), rows, columns)
  }

  /// `count` matrices fused into one tensor [count, rows, columns].
  public mutating func matrices(_ name: String, count: Int, rows: Int, columns: Int) throws(Failure) -> [WeightMatrix] {
    let spec = TensorSpec(
      name, shape: [count, rows, columns], part: .tower, role: .fusedWeights(cuts: [0..<rows]))
    if let loaded { return try loaded.matrices(spec) }
    try plan.add(spec)
    return Array(repeating: Self.unloaded(rows, columns), count: count)
  }

  /// A vector, converted to float32.
  public mutating func vector(_ name: String, count: Int) throws(Failure) -> FloatVector {
    try table(name, shape: [count])
  }

  /// A tensor of any shape, converted to float32, row-major.
  public mutating func table(_ name: String, shape: [Int]) throws(Failure) -> FloatVector {
    let spec = TensorSpec(name, shape: shape, part: .tower, role: .floats(factor: 1))
    if let loaded { return try loaded.floats(spec) }
    try plan.add(spec)
    return FloatVector(pointer: Self.nothing.assumingMemoryBound(to: Float.self), count: shape.reduce(1, *))
  }

  private mutating func matrix(_ spec: TensorSpec, _ rows: Int, _ columns: Int) throws(Failure) -> WeightMatrix {
    if let loaded { return try loaded.matrix(spec) }
    try plan.add(spec)
    return Self.unloaded(rows, columns)
  }

  private static func unloaded(_ rows: Int, _ columns: Int) -> WeightMatrix {
    WeightMatrix(elementType: .float32, rows: rows, columns: columns, data: nothing)
  }

  /// Never read.
  private nonisolated(unsafe) static let nothing = UnsafeRawPointer(
    UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64))
}
