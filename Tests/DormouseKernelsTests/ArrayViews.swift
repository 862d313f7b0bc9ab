import DormouseKernels

extension [Float] {
  /// Runs `body` with these numbers as a matrix.
  func withMatrix(rows: Int, columns: Int, stride: Int, _ body: (FloatMatrix) -> Void) {
    withUnsafeBufferPointer { numbers in
      guard let data = numbers.baseAddress else { return }
      body(FloatMatrix(data, rows: rows, columns: columns, stride: stride))
    }
  }

  /// Runs `body` with these numbers as what spans leave.
  mutating func withPartials(stride: Int, heads: Int, rank: Int, _ body: (LatentPartials) -> Void) {
    withUnsafeMutableBufferPointer { numbers in
      guard let data = numbers.baseAddress else { return }
      body(LatentPartials(data, stride: stride, heads: heads, rank: rank))
    }
  }
}
