internal import CPlatform

// Packed weights back in float32.

/// Row `row` of a packed matrix in float32; y: [columns].
@inline(never) func unpackRow(_ w: UnsafePointer<platform_panels>, _ row: Int, _ columns: Int, _ y: MutableFloats) {
  let w = w.pointee
  guard let data = w.data else { return }
  let panel = data + row / 16 &* w.panel_stride
  let r = row % 16
  let factor = panel.load(fromByteOffset: r &* 4, as: Float.self)
  let isFour = w.type == Int32(PLATFORM_PANELS_INT4)
  let elements = panelElements(panel, w.groups) + r &* 4
  for c in 0..<columns {
    let (g, inside) = (c / 32, c % 32)
    let root = Float((panelScales(panel) + (g &* 16 &+ r)).load(as: Int8.self))
    let scale = root * root.magnitude * factor
    let value: Int
    if isFour {
      let at = g &* Int4Panels.groupByteCount &+ inside / 8 &* 64 &+ inside % 4
      let byte = Int(elements.load(fromByteOffset: at, as: UInt8.self))
      value = Int4Panels.level(inside % 8 < 4 ? byte & 15 : byte &>> 4)
    } else {
      let at = g &* Int8Panels.groupByteCount &+ inside / 4 &* 64 &+ inside % 4
      value = Int(elements.load(fromByteOffset: at, as: UInt8.self)) &- 128
    }
    y[c] = Float(value) * scale
  }
}

/// A packed matrix transposed: `y[c * yRow + r] = w[r, c]`; y: [columns, rows].
@inline(never) func unpackTransposed(
  _ w: UnsafePointer<platform_panels>, _ rows: Int, _ columns: Int, _ y: MutableFloats, _ yRow: Int
) {
  let w = w.pointee
  guard let data = w.data else { return }
  let isFour = w.type == Int32(PLATFORM_PANELS_INT4)
  let groupByteCount = isFour ? Int4Panels.groupByteCount : Int8Panels.groupByteCount
  var row = 0
  while row < rows {
    let panel = data + row / 16 &* w.panel_stride
    let factors = panel.loadUnaligned(as: SixteenFloats.self)
    for c in 0..<columns {
      let (g, inside) = (c / 32, c % 32)
      let group = panelElements(panel, w.groups) + g &* groupByteCount
      let values = isFour ? fourBitColumn(group, inside) : eightBitColumn(group, inside)
      let numbers = sixteenFloats(values) * (panelScales(panel, g) * factors)
      let out = y + (c &* yRow &+ row)
      if row &+ 16 <= rows {
        UnsafeMutableRawPointer(out).storeBytes(of: numbers, as: SixteenFloats.self)
      } else {
        for r in 0..<rows &- row { out[r] = numbers[r] }
      }
    }
    row &+= 16
  }
}

/// Column `c` of a group of int8, all its rows.
@inline(__always) private func eightBitColumn(_ group: UnsafeRawPointer, _ c: Int) -> SixteenInts {
  shifted((group + c / 4 &* 64).loadUnaligned(as: SixteenInts.self), 8 &* (c % 4), 255) &- SixteenInts(repeating: 128)
}

/// Column `c` of a group of int4, all its rows.
@inline(__always) private func fourBitColumn(_ group: UnsafeRawPointer, _ c: Int) -> SixteenInts {
  let bytes = (group + c / 8 &* 64).loadUnaligned(as: SixteenInts.self)
  var values = shifted(bytes, 8 &* (c % 4) &+ c % 8 / 4 &* 4, 15)
  for r in 0..<16 { values[r] = Int32(truncatingIfNeeded: Int4Panels.level(Int(values[r]))) }
  return values
}

@inline(__always) private func shifted(_ v: SixteenInts, _ count: Int, _ mask: Int32) -> SixteenInts {
  (v &>> SixteenInts(repeating: Int32(truncatingIfNeeded: count))) & SixteenInts(repeating: mask)
}
