public import CPlatform

/// Packs sixteen rows of weights into a panel (`platform_panels`).
///
/// A group's scale is chosen for the least squared error: of int8 the one that makes its greatest magnitude 127, of
/// int4 the best of several. A group with a NaN or an infinity gets a scale of NaN, so that it shows in the product.
///
/// rows: [16, 32 * groups] with `stride` floats between them, zero where the matrix has no more rows or columns;
/// scratch: [groups] floats; panel: `panelByteCount(type, groups)` bytes.
@inline(never) public func packPanel(
  _ type: Int32, _ groups: Int, _ rows: UnsafePointer<Float>, _ stride: Int, _ panel: UnsafeMutableRawPointer,
  _ scratch: UnsafeMutablePointer<Float>
) {
  var r = 0
  while r < 16 {
    let packing = RowPacking(groups: groups, row: rows + r &* stride, number: r, panel: panel, scales: scratch)
    if type == Int32(PLATFORM_PANELS_INT4) { packing.packFour() } else { packing.packEight() }
    r &+= 1
  }
}

private struct RowPacking {
  let groups: Int
  let row: Floats
  /// 0...15.
  let number: Int
  let panel: UnsafeMutableRawPointer
  /// [groups]: the scales before they are rounded.
  let scales: MutableFloats

  @inline(__always) func group(_ g: Int) -> (SixteenFloats, SixteenFloats) {
    (loadSixteen(row + g &* 32), loadSixteen(row + (g &* 32 &+ 16)))
  }

  @inline(__always) func packEight() {
    for g in 0..<groups {
      let (a, b) = group(g)
      let top = greatestMagnitude(a, b)
      scales[g] = top < .infinity ? top / 127 : .nan
    }
    let factor = storeFactor()
    for g in 0..<groups {
      let scale = storeScale(g, factor)
      let (a, b) = group(g)
      let inverse = sixteen(scale > 0 && scale < .infinity ? 1 / scale : 0)
      let values = SIMD32(lowHalf: bytes(a * inverse), highHalf: bytes(b * inverse))
      let steps = unsafeBitCast(values, to: SIMD8<Int32>.self)
      let out = panel + (panelHeadByteCount(groups) &+ g &* Int8Panels.groupByteCount &+ number &* 4)
      for step in 0..<8 { out.storeBytes(of: steps[step], toByteOffset: step &* 64, as: Int32.self) }
    }
  }

  /// Rounded and moved up by 128. The scale was rounded, too: 127 may have become 127.06, but not 127.5.
  @inline(__always) func bytes(_ v: SixteenFloats) -> SIMD16<UInt8> {
    narrow(roundedSixteen(v) &+ SixteenInts(repeating: 128))
  }

  @inline(__always) func packFour() {
    for g in 0..<groups {
      let (a, b) = group(g)
      scales[g] = bestFourBitScale(a, b)
    }
    let factor = storeFactor()
    for g in 0..<groups {
      let scale = storeScale(g, factor)
      let (a, b) = group(g)
      let inverse = sixteen(scale != 0 && scale.isFinite ? 1 / scale : 0)
      let codes = SIMD32(lowHalf: narrow(nearestCodes(a * inverse)), highHalf: narrow(nearestCodes(b * inverse)))
      let steps = unsafeBitCast(codes, to: SIMD8<UInt32>.self)
      let out = panel + (panelHeadByteCount(groups) &+ g &* Int4Panels.groupByteCount &+ number &* 4)
      for pair in 0..<4 {
        let both = steps[2 &* pair] | steps[2 &* pair &+ 1] &<< 4
        out.storeBytes(of: both, toByteOffset: pair &* 64, as: UInt32.self)
      }
    }
  }

  /// The power of two that makes the row's greatest scale 2^14 to 2^15, within float16 with room to spare.
  @inline(__always) func storeFactor() -> Float {
    var top: Float = 0
    for g in 0..<groups where scales[g].magnitude < .infinity && scales[g].magnitude > top { top = scales[g].magnitude }
    // From here on down the inverse would be infinite: such a row is nothing but zeroes.
    let exponent = top >= 0x1p-110 ? Int32(truncatingIfNeeded: top.bitPattern &>> 23) &- 127 &- 14 : 0
    let factor = Float(bitPattern: UInt32(bitPattern: (exponent &+ 127) &<< 23))
    panel.storeBytes(of: factor, toByteOffset: number &* 4, as: Float.self)
    return factor
  }

  /// Rounds a group's scale to float16 and returns what it stands for now.
  @inline(__always) func storeScale(_ g: Int, _ factor: Float) -> Float {
    let bits = halfBits(scales[g] / factor)
    panel.storeBytes(of: bits, toByteOffset: 64 &+ g &* 32 &+ number &* 2, as: UInt16.self)
    return withUnsafeBytes(of: bits) { $0.baseAddress.map { Float16Format.loadOne($0, 0) } ?? 0 } * factor
  }
}

// MARK: - Four bits

/// The codes of the levels nearest to `v`.
@inline(__always) private func nearestCodes(_ v: SixteenFloats) -> SixteenInts {
  roundedSixteen(climb(v) { Float($0) })
}

/// The levels nearest to `v`.
@inline(__always) private func nearestLevels(_ v: SixteenFloats) -> SixteenFloats {
  climb(v) { Float(Int4Panels.level($0)) }
}

/// `result` of the code nearest to each lane. Written out, so that every border is a constant.
@inline(__always) private func climb(_ v: SixteenFloats, _ result: (Int) -> Float) -> SixteenFloats {
  var r = sixteen(result(0))
  @inline(__always) func step(_ code: Int) { r = whereGreater(v, border(code), result(code), r) }
  step(1)
  step(2)
  step(3)
  step(4)
  step(5)
  step(6)
  step(7)
  step(8)
  step(9)
  step(10)
  step(11)
  step(12)
  step(13)
  step(14)
  step(15)
  return r
}

/// Half-way between a code's level and the one below.
@inline(__always) private func border(_ code: Int) -> Float {
  Float(Int4Panels.level(code) &+ Int4Panels.level(code &- 1)) * 0.5
}

/// The scale of the least squared error among those that six first guesses lead to: the levels reach further down than
/// up, so both signs are tried, and the greatest weight need not be met exactly. For fixed levels v the best scale is
/// `sum x v / sum v v`, which lowers the error by `(sum x v)^2 / sum v v`.
@inline(__always) private func bestFourBitScale(_ a: SixteenFloats, _ b: SixteenFloats) -> Float {
  let top = greatestMagnitude(a, b)
  guard top < .infinity else { return .nan }
  guard top >= 1e-30 else { return 0 }
  var best: Float = 0
  var gain: Float = -1
  var guess = 0
  while guess < 6 {
    let reach: Float = guess % 3 == 0 ? 0.9 : guess % 3 == 1 ? 0.975 : 1.05
    let scale = (guess < 3 ? top : -top) / 127 * reach
    let inverse = sixteen(1 / scale)
    let (v, w) = (nearestLevels(a * inverse), nearestLevels(b * inverse))
    // In units of the greatest weight, so that no square is out of range.
    let unit = sixteen(1 / top)
    let product = sumSixteen(fused(a * unit, v, b * unit * w))
    let square = sumSixteen(fused(v, v, w * w))
    if product * product > gain * square {
      gain = product * product / square
      best = product / square * top
    }
    guess &+= 1
  }
  return best
}

@inline(__always) private func sumSixteen(_ v: SixteenFloats) -> Float {
  let eight = v.lowHalf + v.highHalf
  let four = eight.lowHalf + eight.highHalf
  let two = four.lowHalf + four.highHalf
  return two.x + two.y
}

// MARK: - Numbers

@inline(__always) private func narrow(_ v: SixteenInts) -> SIMD16<UInt8> {
  #if ISA_AVX512
    unsafeBitCast(_mm512_cvtepi32_epi8(unsafeBitCast(v, to: __m512i.self)), to: SIMD16<UInt8>.self)
  #else
    SIMD16<UInt8>(truncatingIfNeeded: v)
  #endif
}

/// The nearest float16, ties to even: moving the exponent down first lets subnormal ones round by themselves.
@inline(__always) private func halfBits(_ value: Float) -> UInt16 {
  if value.isNaN { return 0x7E00 }
  let moved = (value.magnitude < 65504 ? value.magnitude : 65504) * 0x1p-112
  let bits = moved.bitPattern
  let rounded = (bits &+ 0xFFF &+ ((bits &>> 13) & 1)) &>> 13
  return UInt16(truncatingIfNeeded: rounded) | (value < 0 ? 0x8000 : 0)
}

// MARK: - Back to float32

/// Row `row` of a packed matrix in float32; y: [columns].
@inline(never) public func unpackRow(
  _ w: platform_panels, _ row: Int, _ columns: Int, _ y: UnsafeMutablePointer<Float>
) {
  guard let data = w.data else { return }
  let panel = data + row / 16 &* w.panel_stride
  let r = row % 16
  let factor = panel.load(fromByteOffset: r &* 4, as: Float.self)
  let isFour = w.type == Int32(PLATFORM_PANELS_INT4)
  let elements = panelElements(panel, w.groups) + r &* 4
  for c in 0..<columns {
    let (g, inside) = (c / 32, c % 32)
    let scale = Float16Format.loadOne(panelScales(panel), g &* 16 &+ r) * factor
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
