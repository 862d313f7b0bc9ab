/// A weight matrix as products take it.
public enum Weight: Sendable {
  /// Row-major, in a type that files have.
  case rows(WeightMatrix)
  /// Packed at load.
  case panels(PanelMatrix)

  public var rows: Int {
    switch self {
    case .rows(let matrix): matrix.rows
    case .panels(let matrix): matrix.rows
    }
  }

  public var columns: Int {
    switch self {
    case .rows(let matrix): matrix.columns
    case .panels(let matrix): matrix.columns
    }
  }

  /// Bytes that a product reads, scales of float8 blocks aside.
  public var byteCount: Int {
    switch self {
    case .rows(let matrix): matrix.byteCount
    case .panels(let matrix): matrix.byteCount
    }
  }

  /// Whether products want their input rounded (`Kernels.quantize`).
  public var isPacked: Bool {
    if case .panels = self { true } else { false }
  }
}

/// The input of products: rows in float32, and the same rows rounded where a packed matrix may meet them.
public struct Activations: @unchecked Sendable {
  /// [count, columns], `stride` floats between rows.
  public let floats: UnsafePointer<Float>
  public let stride: Int
  public var quantized: QuantizedRows?

  public init(floats: UnsafePointer<Float>, stride: Int, quantized: QuantizedRows? = nil) {
    self.floats = floats
    self.stride = stride
    self.quantized = quantized
  }

  /// The rows from `row` on.
  public func dropFirst(_ row: Int) -> Activations {
    Activations(floats: floats + row * stride, stride: stride, quantized: quantized?.dropFirst(row))
  }
}

extension Kernels {
  /// `y[i, r - rows.lowerBound] = sum over c of w[r, c] * x[i, c]` for r in `rows`, i in `0..<count`.
  ///
  /// - Parameters:
  ///   - x: what the kind of `w` wants: rounded rows for a packed one; without them the result is NaN.
  ///   - y: [count, rows.count], `yStride` floats between rows.
  public func multiply(
    _ w: Weight, rows: Range<Int>, x: Activations, count: Int, into y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    switch w {
    case .rows(let matrix):
      multiply(matrix, rows: rows, x: x.floats, xStride: x.stride, count: count, into: y, yStride: yStride)
    case .panels(let matrix):
      if let quantized = x.quantized {
        multiply(matrix, rows: rows, x: quantized, count: count, into: y, yStride: yStride)
      } else {
        for i in 0..<count { (y + i * yStride).update(repeating: .nan, count: rows.count) }
      }
    }
  }
}
