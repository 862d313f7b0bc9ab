import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// The tensors of a part of a model, each stated once: which they are, and the value that is made of them once they are
/// loaded. Groups are put together from smaller ones; the smallest is a single tensor.
public struct TensorGroup<Value>: Sendable {
  /// In the order in which they are checked and lie in memory.
  public let specs: [TensorSpec]
  /// Makes the value of tensors that were planned by `specs` and loaded.
  let bind: @Sendable (LoadedTensors) throws(Failure) -> Value

  /// A single tensor.
  init(_ spec: TensorSpec, bind: @escaping @Sendable (LoadedTensors, TensorSpec) throws(Failure) -> Value) {
    specs = [spec]
    self.bind = { (loaded) throws(Failure) in try bind(loaded, spec) }
  }

  /// The tensors of several parts, of whose values `make` makes one.
  public init<each Part>(
    _ parts: repeat TensorGroup<each Part>, make: @escaping @Sendable (repeat each Part) throws(Failure) -> Value
  ) {
    var all: [TensorSpec] = []
    for specs in repeat (each parts).specs { all += specs }
    specs = all
    bind = { (loaded) throws(Failure) in try make(repeat (each parts).bind(loaded)) }
  }

  /// The tensors of parts of one kind, such as layers.
  public init<Element>(_ parts: [TensorGroup<Element>]) where Value == [Element] {
    specs = parts.flatMap(\.specs)
    bind = { (loaded) throws(Failure) in
      var values: [Element] = []
      for part in parts { values.append(try part.bind(loaded)) }
      return values
    }
  }

  /// The tensors of a part that not every model has.
  public init<Wrapped>(_ part: TensorGroup<Wrapped>?) where Value == Wrapped? {
    specs = part?.specs ?? []
    bind = { (loaded) throws(Failure) in try part?.bind(loaded) }
  }
}

// MARK: - Towers

/// What towers are made of: their weights stay in the types that the files have.
extension TensorGroup where Value == WeightMatrix {
  /// A matrix [rows, columns].
  /// - Parameter isExact: whether its type has to be one whose numbers are exact in float32.
  public static func matrix(_ name: String, rows: Int, columns: Int, isExact: Bool = false) -> TensorGroup {
    let role = isExact ? TensorRole.exactMatrix : .matrix
    return TensorGroup(TensorSpec(name, shape: [rows, columns], part: .tower, role: role)) {
      (loaded, spec) throws(Failure) in try loaded.matrix(spec)
    }
  }
}

extension TensorGroup where Value == [[Weight]] {
  /// `count` matrices in one tensor [count, rows, columns], each cut into these ranges of rows, which are all of them.
  public static func fusedWeights(_ name: String, count: Int, cuts: [Range<Int>], columns: Int) -> TensorGroup {
    let shape = [count, cuts.last?.upperBound ?? 0, columns]
    return TensorGroup(TensorSpec(name, shape: shape, part: .tower, role: .fusedWeights(cuts: cuts))) {
      (loaded, spec) throws(Failure) in try loaded.fusedWeights(spec)
    }
  }
}

extension TensorGroup where Value == FloatVector {
  /// A tensor of any shape, converted to float32, row-major.
  public static func floats(_ name: String, shape: [Int]) -> TensorGroup {
    TensorGroup(TensorSpec(name, shape: shape, part: .tower, role: .floats(factor: 1))) {
      (loaded, spec) throws(Failure) in try loaded.floats(spec)
    }
  }
}

extension TensorGroup where Value == Linear {
  /// `name.weight`, and `name.bias` where the model has one.
  /// - Parameter shape: [outputs, inputs], or the shape of a convolution's kernel, whose inputs are all but the first.
  public static func linear(_ name: String, shape: [Int], hasBias: Bool = true) -> TensorGroup {
    let weight = TensorGroup<Weight>(TensorSpec("\(name).weight", shape: shape, part: .tower, role: .weight)) {
      (loaded, spec) throws(Failure) in try loaded.weight(spec)
    }
    let bias: TensorGroup<FloatVector>? = hasBias ? .floats("\(name).bias", shape: Array(shape.prefix(1))) : nil
    return TensorGroup(weight, TensorGroup<FloatVector?>(bias)) { Linear(weight: $0, bias: $1) }
  }
}

extension TensorGroup where Value == NormWeights {
  /// `name.weight` and `name.bias` of a LayerNorm.
  public static func layerNorm(_ name: String, count: Int, epsilon: Float) -> TensorGroup {
    TensorGroup(.floats("\(name).weight", shape: [count]), .floats("\(name).bias", shape: [count])) {
      NormWeights(kind: .layer(bias: $1), weight: $0, epsilon: epsilon)
    }
  }

  /// `name.weight` of an RMSNorm.
  public static func rmsNorm(_ name: String, count: Int, epsilon: Float) -> TensorGroup {
    TensorGroup(.floats("\(name).weight", shape: [count])) {
      NormWeights(kind: .rootMeanSquare, weight: $0, epsilon: epsilon)
    }
  }
}
