public import CPlatform

/// Floats of scratch memory that `packPanel` needs: the panel by columns, and its scales.
@inline(never) public func packPanelScratch(_ groups: Int) -> Int { groups &* 33 &* 16 }

/// Packs sixteen rows of weights into a panel (`platform_panels`). Each row has a lane of its own throughout.
///
/// A group's scale is chosen for the least squared error: of int8 the one that makes its greatest magnitude 127, of
/// int4 the best of several. A group with a NaN or an infinity gets a scale of NaN, so that it shows in the product.
///
/// rows: [16, 32 * groups] with `stride` floats between them, zero where the matrix has no more rows or columns;
/// scratch: `packPanelScratch(groups)` floats; panel: `panelByteCount(type, groups)` bytes.
@inline(never) public func packPanel(
  _ type: Int32, _ groups: Int, _ rows: UnsafePointer<Float>, _ stride: Int, _ panel: UnsafeMutableRawPointer,
  _ scratch: UnsafeMutablePointer<Float>
) {
  let packing = Packing(groups: groups, panel: panel, columns: scratch, scales: scratch + groups &* 32 &* 16)
  packing.turn(rows, stride)
  if type == Int32(PLATFORM_PANELS_INT4) {
    for g in 0..<groups { packing.put(fourBitScale(packing.group(g)), g) }
    packing.storeFactors()
    for g in 0..<groups { packing.storeFour(g, packing.storeScales(g)) }
  } else {
    for g in 0..<groups { packing.put(eightBitScale(packing.group(g)), g) }
    packing.storeFactors()
    for g in 0..<groups { packing.storeEight(g, packing.storeScales(g)) }
  }
}

private struct Packing {
  let groups: Int
  let panel: UnsafeMutableRawPointer
  /// [32 * groups, 16 rows].
  let columns: MutableFloats
  /// [groups, 16 rows], before they are rounded.
  let scales: MutableFloats

  @inline(__always) func group(_ g: Int) -> Floats { Floats(columns + g &* 32 &* 16) }

  @inline(__always) func turn(_ rows: Floats, _ stride: Int) {
    transpose(rows, stride, 16, groups &* 32, columns, 16)
  }

  @inline(__always) func put(_ scale: SixteenFloats, _ g: Int) {
    UnsafeMutableRawPointer(scales + g &* 16).storeBytes(of: scale, as: SixteenFloats.self)
  }

  /// The powers of two that make each row's greatest scale 2^14 to 2^15, within float16 with room to spare.
  @inline(__always) func storeFactors() {
    for r in 0..<16 {
      var top: Float = 0
      for g in 0..<groups {
        let magnitude = scales[g &* 16 &+ r].magnitude
        if magnitude < .infinity && magnitude > top { top = magnitude }
      }
      // From here on down the inverse would be infinite: such a row is nothing but zeroes.
      let exponent = top >= 0x1p-110 ? Int32(truncatingIfNeeded: top.bitPattern &>> 23) &- 127 &- 14 : 0
      panel.storeBytes(of: UInt32(bitPattern: (exponent &+ 127) &<< 23), toByteOffset: r &* 4, as: UInt32.self)
    }
  }

  /// Rounds a group's scales to float16 and returns the inverse of what they stand for now; 0 where there is none.
  @inline(__always) func storeScales(_ g: Int) -> SixteenFloats {
    let factors = panel.loadUnaligned(as: SixteenFloats.self)
    let halves = halfBits(loadSixteen(scales + g &* 16) / factors)
    let at = panel + (64 &+ g &* 32)
    for r in 0..<16 { at.storeBytes(of: UInt16(truncatingIfNeeded: halves[r]), toByteOffset: r &* 2, as: UInt16.self) }
    let stored = sixteenHalves(at) * factors
    return (sixteen(1) / stored).replacing(with: sixteen(0), where: stored .== sixteen(0) .| stored .!= stored)
  }

  /// Rounded and moved up by 128. The scale was rounded, too: 127 may have become 127.06, but not 127.5.
  @inline(__always) func storeEight(_ g: Int, _ inverse: SixteenFloats) {
    let x = group(g)
    let out = panel + (panelHeadByteCount(groups) &+ g &* Int8Panels.groupByteCount)
    for step in 0..<8 {
      var bytes = SixteenInts(repeating: 0)
      for j in 0..<4 {
        let value = roundedSixteen(loadSixteen(x + (step &* 4 &+ j) &* 16) * inverse) &+ SixteenInts(repeating: 128)
        bytes |= (value & SixteenInts(repeating: 255)) &<< SixteenInts(repeating: Int32(truncatingIfNeeded: 8 &* j))
      }
      out.storeBytes(of: bytes, toByteOffset: step &* 64, as: SixteenInts.self)
    }
  }

  @inline(__always) func storeFour(_ g: Int, _ inverse: SixteenFloats) {
    let x = group(g)
    let out = panel + (panelHeadByteCount(groups) &+ g &* Int4Panels.groupByteCount)
    for pair in 0..<4 {
      var bytes = SixteenInts(repeating: 0)
      for j in 0..<4 {
        let low = nearestCodes(loadSixteen(x + (pair &* 8 &+ j) &* 16) * inverse)
        let high = nearestCodes(loadSixteen(x + (pair &* 8 &+ 4 &+ j) &* 16) * inverse)
        let shift = SixteenInts(repeating: Int32(truncatingIfNeeded: 8 &* j))
        bytes |= (low | high &<< SixteenInts(repeating: 4)) &<< shift
      }
      out.storeBytes(of: bytes, toByteOffset: pair &* 64, as: SixteenInts.self)
    }
  }
}

// MARK: - Scales

/// The greatest magnitude of each row of a group [32, 16]; NaN or infinity if there is one.
@inline(__always) private func greatestMagnitudes(_ x: Floats) -> SixteenFloats {
  // Magnitudes order as their bits do, and a NaN is above infinity.
  let mask = SixteenInts(repeating: 0x7FFF_FFFF)
  var top = SixteenInts(repeating: 0)
  for c in 0..<32 {
    let magnitude = unsafeBitCast(loadSixteen(x + c &* 16), to: SixteenInts.self) & mask
    top = top.replacing(with: magnitude, where: magnitude .> top)
  }
  return unsafeBitCast(top, to: SixteenFloats.self)
}

@inline(__always) private func eightBitScale(_ x: Floats) -> SixteenFloats {
  var scale = greatestMagnitudes(x) * sixteen(1.0 / 127)
  for r in 0..<16 where !(scale[r] < .infinity) { scale[r] = .nan }
  return scale
}

/// The scale of the least squared error among those that four first guesses lead to: the levels reach further down than
/// up, so both signs are tried, and the greatest weight need not be met exactly. For fixed levels v the best scale is
/// `sum x v / sum v v`, which lowers the error by `(sum x v)^2 / sum v v`.
@inline(__always) private func fourBitScale(_ x: Floats) -> SixteenFloats {
  let tops = greatestMagnitudes(x)
  let isEmpty = tops .< sixteen(1e-30)
  let isFinite = tops .< sixteen(.infinity)
  // Zero for a group that has a NaN or an infinity, too, or nothing.
  let norms = sixteen(0).replacing(with: sixteen(127) / tops, where: isFinite .& .!isEmpty)
  var (a, b, c, d) = (Guess(1 / 0.95), Guess(1 / 1.05), Guess(-1 / 0.95), Guess(-1 / 1.05))
  for column in 0..<32 {
    // Within -127...127, so that no square is out of range.
    let normed = loadSixteen(x + column &* 16) * norms
    a.add(normed)
    b.add(normed)
    c.add(normed)
    d.add(normed)
  }
  let best = better(better(a.outcome, b.outcome), better(c.outcome, d.outcome)).scale / norms
  return sixteen(.nan).replacing(with: best.replacing(with: sixteen(0), where: isEmpty), where: isFinite)
}

@inline(__always) private func better(
  _ a: (gain: SixteenFloats, scale: SixteenFloats), _ b: (gain: SixteenFloats, scale: SixteenFloats)
) -> (gain: SixteenFloats, scale: SixteenFloats) {
  let isBetter = b.gain .> a.gain
  return (a.gain.replacing(with: b.gain, where: isBetter), a.scale.replacing(with: b.scale, where: isBetter))
}

/// What a first guess of the scale leads to.
private struct Guess {
  private let inverse: Float
  private var products = sixteen(0)
  private var squares = sixteen(0)

  @inline(__always) init(_ inverse: Float) { self.inverse = inverse }

  @inline(__always) mutating func add(_ x: SixteenFloats) {
    let level = nearestLevels(x * sixteen(inverse))
    products = fused(x, level, products)
    squares = fused(level, level, squares)
  }

  @inline(__always) var outcome: (gain: SixteenFloats, scale: SixteenFloats) {
    (products * products / squares, products / squares)
  }
}

// MARK: - Levels

/// The codes of the levels nearest to `v`.
@inline(__always) private func nearestCodes(_ v: SixteenFloats) -> SixteenInts {
  #if ISA_AVX512
    unsafeBitCast(search(v), to: SixteenInts.self)
  #else
    roundedSixteen(climb(v) { Float($0) })
  #endif
}

/// The levels nearest to `v`.
@inline(__always) private func nearestLevels(_ v: SixteenFloats) -> SixteenFloats {
  #if ISA_AVX512
    _mm512_permutexvar_ps(search(v), sixteenOf { Float(Int4Panels.level($0)) })
  #else
    climb(v) { Float(Int4Panels.level($0)) }
  #endif
}

#if ISA_AVX512
  /// The greatest code whose border lies below `v`, bit by bit.
  @inline(__always) private func search(_ v: SixteenFloats) -> __m512i {
    let borders = sixteenOf { $0 == 0 ? 0 : border($0) }
    var codes = _mm512_set1_epi32(0)
    @inline(__always) func decide(_ bit: Int32) {
      let bits = _mm512_set1_epi32(bit)
      codes = platform_set_where_greater(codes, v, _mm512_permutexvar_ps(codes | bits, borders), bits)
    }
    decide(8)
    decide(4)
    decide(2)
    decide(1)
    return codes
  }

  /// A table of constants.
  @inline(__always) private func sixteenOf(_ value: (Int) -> Float) -> SixteenFloats {
    SixteenFloats(
      value(0), value(1), value(2), value(3), value(4), value(5), value(6), value(7), value(8), value(9), value(10),
      value(11), value(12), value(13), value(14), value(15))
  }
#endif

/// `result` of the code nearest to each lane.
@inline(__always) private func climb(_ v: SixteenFloats, _ result: (Int) -> Float) -> SixteenFloats {
  var r = sixteen(result(0))
  eachCodeAboveLowest { code in r = whereGreater(v, border(code), result(code), r) }
  return r
}

/// Half-way between a code's level and the one below.
@inline(__always) private func border(_ code: Int) -> Float {
  Float(Int4Panels.level(code) &+ Int4Panels.level(code &- 1)) * 0.5
}

/// The nearest float16, ties to even, in the lower halves of the lanes: moving the exponent down first lets subnormal ones
/// round by themselves.
@inline(__always) private func halfBits(_ values: SixteenFloats) -> SixteenInts {
  let bits = unsafeBitCast(values, to: SixteenInts.self)
  let magnitudes = unsafeBitCast(bits & SixteenInts(repeating: 0x7FFF_FFFF), to: SixteenFloats.self)
  let greatest = sixteen(65504)
  let moved = unsafeBitCast(
    greatest.replacing(with: magnitudes, where: magnitudes .< greatest) * sixteen(0x1p-112), to: SixteenInts.self)
  let odd = (moved &>> SixteenInts(repeating: 13)) & SixteenInts(repeating: 1)
  let rounded = (moved &+ SixteenInts(repeating: 0xFFF) &+ odd) &>> SixteenInts(repeating: 13)
  let signs = (bits &>> SixteenInts(repeating: 16)) & SixteenInts(repeating: 0x8000)
  return (rounded | signs).replacing(with: SixteenInts(repeating: 0x7E00), where: values .!= values)
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
