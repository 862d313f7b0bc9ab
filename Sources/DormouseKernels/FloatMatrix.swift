/// A matrix [rows, columns] of float32 that somebody else owns and keeps alive.
public struct FloatMatrix: @unchecked Sendable {
  public let data: UnsafePointer<Float>
  public let rows: Int
  public let columns: Int
  /// Floats from one row to the next.
  public let stride: Int

  @inlinable public init(_ data: UnsafePointer<Float>, rows: Int, columns: Int, stride: Int) {
    self.data = data
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }
}
