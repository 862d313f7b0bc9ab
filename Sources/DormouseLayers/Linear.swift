public import DormouseKernels

/// Numbers held in float32, in memory of the model's own.
public struct FloatVector: @unchecked Sendable {
  public let pointer: UnsafePointer<Float>
  public let count: Int

  init(pointer: UnsafePointer<Float>, count: Int) {
    self.pointer = pointer
    self.count = count
  }

  /// The numbers of `range` alone, clamped to those there are.
  public func slice(_ range: Range<Int>) -> FloatVector {
    let kept = range.clamped(to: 0..<count)
    return FloatVector(pointer: pointer + kept.lowerBound, count: kept.count)
  }
}

/// y = W x + b.
public struct Linear: Sendable {
  /// [outputs, inputs].
  public let weight: Weight
  /// [outputs].
  public let bias: FloatVector?

  public init(weight: Weight, bias: FloatVector?) {
    self.weight = weight
    self.bias = bias
  }

  /// The outputs `rows` alone; nil for a packed matrix, which can't be cut.
  public func slice(rows: Range<Int>) -> Linear? {
    guard case .rows(let matrix) = weight else { return nil }
    return Linear(weight: .rows(matrix.slice(rows: rows)), bias: bias?.slice(rows))
  }
}

extension Kernels {
  /// `y[i, r - rows.lowerBound] = sum over c of W[r, c] * x[i, c] + b[r]` for r in `rows`, i in `0..<count`.
  ///
  /// - Parameter y: [count, rows.count], `yStride` floats between rows.
  func multiply(
    _ linear: Linear, rows: Range<Int>, x: Activations, count: Int, into y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    multiply(linear.weight, rows: rows, x: x, count: count, into: y, yStride: yStride)
    guard let bias = linear.bias else { return }
    for token in 0..<count {
      addScaled(y + token * yStride, 1, bias.pointer + rows.lowerBound, count: rows.count)
    }
  }
}
