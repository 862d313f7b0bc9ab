internal import CPlatform

/// Stores rows [count, rank + rope] as a cache holds them, rounded to nearest.
@inline(never) func storeRows(
  _ rows: Floats, _ count: Int, _ format: UnsafePointer<platform_row_format>, _ out: UnsafeMutableRawPointer
) {
  let (type, rank, rope) = (format.pointee.type, format.pointee.rank, format.pointee.rope)
  let width = rank &+ rope
  switch type {
  case Int32(PLATFORM_ROWS_FLOAT32): out.copyMemory(from: rows, byteCount: 4 &* count &* width)
  case Int32(PLATFORM_ROWS_BFLOAT16): storeBFloat16(rows, count &* width, out)
  default:
    for i in 0..<count {
      let row = out + i &* platform_row_byte_count(format.pointee)
      let scale = storeInt8(rows + i &* width, rank, row)
      (row + rank).storeBytes(of: scale, as: Float.self)
      storeBFloat16(rows + (i &* width &+ rank), rope, row + (rank &+ 4))
    }
  }
}

/// The upper halves of `x * factor` in float32, rounded to nearest, ties to even; a NaN stays one.
@inline(__always) func storeBFloat16(
  _ x: Floats, _ count: Int, by factor: Float = 1, _ out: UnsafeMutableRawPointer
) {
  let factors = splat(factor)
  var i = 0
  while i &+ lanes <= count {
    let v = load(x + i) * factors
    let b = bits(v)
    let odd = (b &>> IntVector(repeating: 16)) & IntVector(repeating: 1)
    let rounded = b &+ IntVector(repeating: 0x7FFF) &+ odd
    let quiet = b | IntVector(repeating: 0x40_0000)
    storeUpperHalves(rounded.replacing(with: quiet, where: v .!= v), out + 2 &* i)
    i &+= lanes
  }
  while i < count {
    let value = x[i] * factor
    let b = value.bitPattern
    let rounded = b &+ 0x7FFF &+ ((b &>> 16) & 1)
    let word = value == value ? rounded : b | 0x40_0000
    (out + 2 &* i).storeBytes(of: UInt16(truncatingIfNeeded: word &>> 16), as: UInt16.self)
    i &+= 1
  }
}

@inline(__always) private func storeUpperHalves(_ v: IntVector, _ out: UnsafeMutableRawPointer) {
  let shifted = v &>> IntVector(repeating: 16)
  #if ISA_AVX512
    out.storeBytes(of: _mm512_cvtepi32_epi16(unsafeBitCast(shifted, to: __m512i.self)), as: __m256i.self)
  #else
    for i in 0..<lanes {
      (out + 2 &* i).storeBytes(of: UInt16(truncatingIfNeeded: shifted[i]), as: UInt16.self)
    }
  #endif
}

/// The least magnitude that int8 rows tell from zero: the reciprocal of its step is still a float32.
private let leastMagnitude: Float = 0x1p-110

/// `round(x * 127 / max |x|)` as signed bytes; returns what they must be multiplied by: max |x| / 127, or 0 for a row
/// whose values are all below `leastMagnitude`, or NaN for one with a value that is not finite.
@inline(__always) private func storeInt8(_ x: Floats, _ count: Int, _ out: UnsafeMutableRawPointer) -> Float {
  let top = largestMagnitudeOrNaN(x, count)
  let isUsable = top >= leastMagnitude && top < .infinity
  let factor = isUsable ? 127 / top : 0
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits; they are 0 where the factor is.
  let magic: Float = 0x1.8p23
  var i = 0
  while i &+ lanes <= count {
    let whole = isUsable ? bits(load(x + i) * splat(factor) + splat(magic)) &- bits(splat(magic)) : bits(zero)
    storeLowBytes(whole, out + i)
    i &+= lanes
  }
  while i < count {
    let whole = isUsable ? (x[i] * factor + magic).bitPattern &- magic.bitPattern : 0
    (out + i).storeBytes(of: UInt8(truncatingIfNeeded: whole), as: UInt8.self)
    i &+= 1
  }
  if isUsable { return top / 127 }
  return top < .infinity ? 0 : .nan
}

@inline(__always) private func storeLowBytes(_ v: IntVector, _ out: UnsafeMutableRawPointer) {
  #if ISA_AVX512
    out.storeBytes(of: _mm512_cvtepi32_epi8(unsafeBitCast(v, to: __m512i.self)), as: __m128i.self)
  #else
    for i in 0..<lanes { (out + i).storeBytes(of: UInt8(truncatingIfNeeded: v[i]), as: UInt8.self) }
  #endif
}

/// The largest magnitude; NaN, which compares above infinity as an integer, if there is one.
@inline(__always) private func largestMagnitudeOrNaN(_ x: Floats, _ count: Int) -> Float {
  var tops = bits(zero)
  var top: Int32 = 0
  var i = 0
  while i &+ lanes <= count {
    let magnitude = bits(load(x + i)) & intSplat(0x7FFF_FFFF)
    tops = tops.replacing(with: magnitude, where: magnitude .> tops)
    i &+= lanes
  }
  for lane in 0..<lanes where tops[lane] > top { top = tops[lane] }
  while i < count {
    let magnitude = Int32(truncatingIfNeeded: x[i].bitPattern & 0x7FFF_FFFF)
    if magnitude > top { top = magnitude }
    i &+= 1
  }
  return Float(bitPattern: UInt32(bitPattern: top))
}

/// The first `count` rows at `rows` in float32: [count, rank + rope] with `stride` floats between rows.
@inline(never) func loadRows(
  _ rows: UnsafeRawPointer, _ count: Int, _ format: UnsafePointer<platform_row_format>, _ out: MutableFloats,
  _ stride: Int
) {
  let (type, rank, rope) = (format.pointee.type, format.pointee.rank, format.pointee.rope)
  let size = platform_row_byte_count(format.pointee)
  for i in 0..<count {
    let row = rows + i &* size
    let y = out + i &* stride
    switch type {
    case Int32(PLATFORM_ROWS_FLOAT32): loadRow(Float32Format.self, row, rank &+ rope, y)
    case Int32(PLATFORM_ROWS_BFLOAT16): loadRow(BFloat16Format.self, row, rank &+ rope, y)
    default:
      loadInt8(row, rank, (row + rank).loadUnaligned(as: Float.self), y)
      loadRow(BFloat16Format.self, row + (rank &+ 4), rope, y + rank)
    }
  }
}

@inline(__always) private func loadRow<F: Format>(
  _: F.Type, _ row: UnsafeRawPointer, _ count: Int, _ y: MutableFloats
) {
  var i = 0
  while i &+ lanes <= count {
    store(F.load(row, i), y + i)
    i &+= lanes
  }
  while i < count {
    y[i] = F.loadOne(row, i)
    i &+= 1
  }
}

@inline(__always) private func loadInt8(_ row: UnsafeRawPointer, _ count: Int, _ scale: Float, _ y: MutableFloats) {
  let scales = splat(scale)
  var i = 0
  while i &+ lanes <= count {
    store(converted(widenBytes(row + i)) * scales, y + i)
    i &+= lanes
  }
  while i < count {
    y[i] = Float((row + i).load(as: Int8.self)) * scale
    i &+= 1
  }
}

/// `out[c, r] = x[r, c]`; out: [x.columns, x.rows] with `outRow` floats between rows.
@inline(never) func transpose(_ x: UnsafePointer<platform_floats>, _ out: MutableFloats, _ outRow: Int) {
  let (rows, columns, xRow) = (x.pointee.rows, x.pointee.columns, x.pointee.stride)
  let x = x.pointee.data
  var r = 0
  while r &+ 4 <= rows {
    var c = 0
    while c &+ 4 <= columns {
      transposeFour(x + (r &* xRow &+ c), xRow, out + (c &* outRow &+ r), outRow)
      c &+= 4
    }
    while c < columns {
      for j in 0..<4 { out[c &* outRow &+ r &+ j] = x[(r &+ j) &* xRow &+ c] }
      c &+= 1
    }
    r &+= 4
  }
  while r < rows {
    for c in 0..<columns { out[c &* outRow &+ r] = x[r &* xRow &+ c] }
    r &+= 1
  }
}

@inline(__always) private func transposeFour(_ x: Floats, _ xRow: Int, _ out: MutableFloats, _ outRow: Int) {
  let (a, b) = (four(x), four(x + xRow))
  let (c, d) = (four(x + 2 &* xRow), four(x + 3 &* xRow))
  let low0 = SIMD4(a.x, b.x, a.y, b.y)
  let low1 = SIMD4(c.x, d.x, c.y, d.y)
  let high0 = SIMD4(a.z, b.z, a.w, b.w)
  let high1 = SIMD4(c.z, d.z, c.w, d.w)
  put(SIMD4(lowHalf: low0.lowHalf, highHalf: low1.lowHalf), out)
  put(SIMD4(lowHalf: low0.highHalf, highHalf: low1.highHalf), out + outRow)
  put(SIMD4(lowHalf: high0.lowHalf, highHalf: high1.lowHalf), out + 2 &* outRow)
  put(SIMD4(lowHalf: high0.highHalf, highHalf: high1.highHalf), out + 3 &* outRow)
}

@inline(__always) private func four(_ p: Floats) -> SIMD4<Float> {
  UnsafeRawPointer(p).loadUnaligned(as: SIMD4<Float>.self)
}

@inline(__always) private func put(_ v: SIMD4<Float>, _ p: MutableFloats) {
  UnsafeMutableRawPointer(p).storeBytes(of: v, as: SIMD4<Float>.self)
}
