internal import CPlatform
public import DormouseSupport

/// How the elements of a packed matrix are stored: groups of 32 columns, a scale for each group of a row.
public enum PackedType: String, Sendable, CaseIterable {
  /// -127...127 times the scale.
  case int8
  /// One of sixteen levels, unevenly spaced for normally distributed weights, times the scale.
  case int4

  /// The number of the type in `matrix.h`.
  var platform: Int32 {
    switch self {
    case .int8: Int32(PLATFORM_PANELS_INT8)
    case .int4: Int32(PLATFORM_PANELS_INT4)
    }
  }
}

/// A matrix [rows, columns] of few bits, packed in panels of 16 rows for products with activations rounded to bytes
/// (`platform_panels` in `matrix.h` shows the layout, which is the same for every instruction set). The memory belongs
/// to somebody else and begins at a multiple of 64.
public struct PanelMatrix: @unchecked Sendable {
  public let type: PackedType
  public let rows: Int
  public let columns: Int
  public let data: UnsafeRawPointer

  /// Rows of a panel. A range of rows that does not begin or end with a panel costs what the whole panels cost.
  public static let panelRows = 16
  /// Columns that share a scale.
  public static let groupColumns = 32
  /// Raised with every change of the layout, of the matrices' order in a model's packed memory, or of what packing makes
  /// of the same weights: files of packed weights that have another number are not read.
  public static let layoutRevision: UInt32 = 4

  public init(type: PackedType, rows: Int, columns: Int, data: UnsafeRawPointer) {
    self.type = type
    self.rows = max(0, rows)
    self.columns = max(0, columns)
    self.data = data
  }

  public var panelCount: Int { CheckedSize.ceilingQuotient(rows, PanelMatrix.panelRows) }
  public var panelByteCount: Int { PanelMatrix.panelByteCount(type, groups: groups) }
  public var byteCount: Int { panelCount * panelByteCount }

  /// Bytes of a packed matrix, a multiple of 64.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public static func byteCount(_ type: PackedType, rows: Int, columns: Int) throws(Failure) -> Int {
    let what = "the size of a packed matrix"
    // A panel takes less than 1024 bytes for each group and its share of the head.
    _ = try CheckedSize.product(CheckedSize.sum(columns, 64, of: what), 1024, of: what)
    let groups = CheckedSize.ceilingQuotient(columns, groupColumns)
    return try CheckedSize.product(
      CheckedSize.ceilingQuotient(rows, panelRows), panelByteCount(type, groups: groups), of: what)
  }

  var groups: Int { CheckedSize.ceilingQuotient(columns, PanelMatrix.groupColumns) }

  private static func panelByteCount(_ type: PackedType, groups: Int) -> Int {
    platform_panel_byte_count(type.platform, groups)
  }

  /// The same matrix as the kernels see it.
  var platform: platform_panels {
    var result = platform_panels()
    result.data = data
    result.groups = groups
    result.panel_stride = panelByteCount
    result.type = type.platform
    return result
  }
}

extension Kernels {
  /// Floats of memory that `pack` works in, for a matrix of `columns` columns.
  public func packScratchCount(columns: Int) -> Int {
    let groups = CheckedSize.ceilingQuotient(max(0, columns), PanelMatrix.groupColumns)
    return PanelMatrix.panelRows * groups * PanelMatrix.groupColumns + table.pack_panel_scratch(groups)
  }

  /// Packs the panels `panels` of `w`, each of which covers 16 rows.
  ///
  /// Thread: any; panels may be packed side by side.
  /// - Parameters:
  ///   - target: where panel 0 of the whole matrix begins; `PanelMatrix.byteCount` bytes, a multiple of 64.
  ///   - scratch: `packScratchCount(columns: w.columns)` floats of the thread's own.
  public func pack(
    _ w: WeightMatrix, panels: Range<Int>, as type: PackedType, into target: UnsafeMutableRawPointer,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let packed = PanelMatrix(type: type, rows: w.rows, columns: w.columns, data: UnsafeRawPointer(target))
    let stride = packed.groups * PanelMatrix.groupColumns
    for panel in panels.clamped(to: 0..<packed.panelCount) {
      for index in 0..<PanelMatrix.panelRows {
        let row = panel * PanelMatrix.panelRows + index
        let values = scratch + index * stride
        let known = row < w.rows ? w.columns : 0
        if known > 0 { dequantize(w, row: row, into: values) }
        (values + known).update(repeating: 0, count: stride - known)
      }
      var rows = platform_floats(data: scratch, stride: stride, rows: PanelMatrix.panelRows, columns: stride)
      table.pack_panel(
        type.platform, &rows, target + panel * packed.panelByteCount, scratch + PanelMatrix.panelRows * stride)
    }
  }

  /// Floats of memory that `packTransposed` works in, for a matrix [rows, columns].
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func packTransposedScratchCount(rows: Int, columns: Int) throws(Failure) -> Int {
    let what = "the scratch memory of packing"
    return try CheckedSize.sum(CheckedSize.product(rows, columns, of: what), packScratchCount(columns: rows), of: what)
  }

  /// Packs `w` transposed: [w.columns, w.rows].
  ///
  /// Thread: any.
  /// - Parameters:
  ///   - target: `PanelMatrix.byteCount` bytes, a multiple of 64.
  ///   - scratch: `packTransposedScratchCount` floats of the thread's own.
  public func packTransposed(
    _ w: WeightMatrix, as type: PackedType, into target: UnsafeMutableRawPointer,
    scratch: UnsafeMutablePointer<Float>
  ) {
    let packed = PanelMatrix(type: type, rows: w.columns, columns: w.rows, data: UnsafeRawPointer(target))
    let stride = packed.groups * PanelMatrix.groupColumns
    for row in 0..<w.rows { dequantize(w, row: row, into: scratch + row * w.columns) }
    let turned = scratch + w.rows * w.columns
    let floatCount = PanelMatrix.panelRows * stride
    for panel in 0..<packed.panelCount {
      let first = panel * PanelMatrix.panelRows
      turned.update(repeating: 0, count: floatCount)
      transpose(
        scratch + first, xRow: w.columns, rows: w.rows, columns: min(PanelMatrix.panelRows, w.columns - first),
        into: turned, outRow: stride)
      var rows = platform_floats(data: turned, stride: stride, rows: PanelMatrix.panelRows, columns: stride)
      table.pack_panel(type.platform, &rows, target + panel * packed.panelByteCount, turned + floatCount)
    }
  }

  /// Packs all of `w` on the calling thread.
  /// - Parameter target: `PanelMatrix.byteCount` bytes, a multiple of 64.
  /// - Throws: `Failure(.outOfMemory)`.
  public func pack(_ w: WeightMatrix, as type: PackedType, into target: UnsafeMutableRawPointer) throws(Failure) {
    let scratch = try AlignedBuffer(
      byteCount: packScratchCount(columns: w.columns) * MemoryLayout<Float>.stride, for: "packing a matrix")
    guard let floats = scratch.bound(to: Float.self).baseAddress else { return }
    let panels = 0..<CheckedSize.ceilingQuotient(w.rows, PanelMatrix.panelRows)
    pack(w, panels: panels, as: type, into: target, scratch: floats)
    withExtendedLifetime(scratch) {}
  }

  /// Row `row` of `w` in float32. y: [w.columns].
  public func dequantize(_ w: PanelMatrix, row: Int, into y: UnsafeMutablePointer<Float>) {
    guard row >= 0, row < w.rows else { return }
    var panels = w.platform
    table.unpack_row(&panels, row, w.columns, y)
  }

  /// `w` in float32, transposed: `y[c * yRow + r] = w[r, c]`. y: [w.columns, w.rows].
  public func dequantizeTransposed(_ w: PanelMatrix, into y: UnsafeMutablePointer<Float>, yRow: Int) {
    var panels = w.platform
    table.unpack_transposed(&panels, w.rows, w.columns, y, yRow)
  }

  /// `y[i, r - rows.lowerBound] = sum over c of w[r, c] * x[i, c]`; a row's result does not depend on the others.
  ///
  /// - Parameters:
  ///   - rows: rows of `w`; those it does not have are left out.
  ///   - y: [count, rows.count], `yStride` floats between rows.
  public func multiply(
    _ w: PanelMatrix, rows: Range<Int>, x: QuantizedRows, count: Int, into y: UnsafeMutablePointer<Float>, yStride: Int
  ) {
    let rows = rows.clamped(to: 0..<w.rows)
    guard count > 0, !rows.isEmpty else { return }
    var product = platform_panel_product(
      w: w.platform, first: rows.lowerBound, last: rows.upperBound, x: x.platform, count: count, y: y,
      y_stride: yStride)
    table.multiply_panels(&product)
  }
}
