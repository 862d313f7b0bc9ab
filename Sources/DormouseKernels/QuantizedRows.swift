internal import CPlatform
public import DormouseSupport

/// Rows of activations rounded to bytes for products with a `PanelMatrix`: for each group of 32 columns a scale, which
/// makes the greatest magnitude 127. The memory belongs to somebody else.
public struct QuantizedRows: @unchecked Sendable {
  /// [capacity, 32 * groups].
  let values: UnsafeMutablePointer<Int8>
  /// [capacity, groups].
  let scales: UnsafeMutablePointer<Float>
  /// [capacity, groups].
  let offsets: UnsafeMutablePointer<Int32>
  let groups: Int
  /// Which rows stand for rows 0, 1, 2, ... of a product; nil for themselves.
  public var indices: UnsafePointer<Int32>?

  /// - Parameter memory: `byteCount(columns:capacity:)` bytes at a multiple of 4.
  public init(memory: UnsafeMutableRawPointer, columns: Int, capacity: Int) {
    groups = CheckedSize.ceilingQuotient(columns, PanelMatrix.groupColumns)
    values = memory.assumingMemoryBound(to: Int8.self)
    let numbers = memory + capacity * groups * PanelMatrix.groupColumns
    scales = numbers.assumingMemoryBound(to: Float.self)
    offsets = (numbers + capacity * groups * 4).assumingMemoryBound(to: Int32.self)
  }

  private init(_ rows: QuantizedRows, from row: Int) {
    groups = rows.groups
    values = rows.values + row * rows.groups * PanelMatrix.groupColumns
    scales = rows.scales + row * rows.groups
    offsets = rows.offsets + row * rows.groups
    indices = rows.indices.map { $0 + row }
  }

  /// The rows from `row` on; with indices, those from index `row` on.
  public func dropFirst(_ row: Int) -> QuantizedRows {
    guard let indices else { return QuantizedRows(self, from: row) }
    var result = self
    result.indices = indices + row
    return result
  }

  /// Bytes of memory for `capacity` rows: 40 for each group of 32 columns.
  public static func byteCount(columns: Int, capacity: Int) throws(Failure) -> Int {
    let groups = CheckedSize.ceilingQuotient(columns, PanelMatrix.groupColumns)
    return try CheckedSize.product(
      groups, PanelMatrix.groupColumns + 8, capacity, of: "the size of rounded activations")
  }

  var platform: platform_activations {
    var result = platform_activations()
    result.values = UnsafePointer(values)
    result.scales = UnsafePointer(scales)
    result.offsets = UnsafePointer(offsets)
    result.groups = groups
    result.indices = indices
    return result
  }
}

extension Kernels {
  /// Rounds `columns` of `count` rows from column `first` on, which must begin a group of 32, into rows `row...` of
  /// `target`. A NaN or an infinity makes the group's scale NaN.
  ///
  /// - Parameter x: [count, columns], `xStride` floats between rows.
  public func quantize(
    _ x: UnsafePointer<Float>, xStride: Int, count: Int, columns: Int, into target: QuantizedRows, row: Int = 0,
    first: Int = 0
  ) {
    let group = first / PanelMatrix.groupColumns
    for i in 0..<count {
      let at = (row + i) * target.groups + group
      table.quantize_activations(
        x + i * xStride, columns, target.values + at * PanelMatrix.groupColumns, target.scales + at,
        target.offsets + at)
    }
  }
}
