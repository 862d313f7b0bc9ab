internal import CPlatform

/// Rounds a row of activations to bytes, a scale for each group of 32 columns: the greatest magnitude becomes 127.
///
/// A group with a NaN or an infinity gets a scale of NaN, so that it shows in the product.
///
/// x: [columns]; values: [32 * groups], scales and offsets: [groups], where groups is columns / 32, rounded up
/// (`platform_activations`).
@inline(never) func quantizeActivations(
  _ x: Floats, _ columns: Int, _ values: UnsafeMutablePointer<Int8>, _ scales: MutableFloats,
  _ offsets: UnsafeMutablePointer<Int32>
) {
  let whole = columns / 32
  for g in 0..<whole {
    let p = x + g &* 32
    quantizeGroup(loadSixteen(p), loadSixteen(p + 16), values + g &* 32, scales + g, offsets + g)
  }
  let rest = columns &- whole &* 32
  guard rest > 0 else { return }
  let p = x + whole &* 32
  quantizeGroup(
    loadSixteen(p, rest), loadSixteen(p + 16, rest &- 16), values + whole &* 32, scales + whole, offsets + whole)
}

@inline(__always) private func quantizeGroup(
  _ a: SixteenFloats, _ b: SixteenFloats, _ values: UnsafeMutablePointer<Int8>, _ scale: MutableFloats,
  _ offset: UnsafeMutablePointer<Int32>
) {
  let top = greatestMagnitude(a, b)
  scale.pointee = top / 127
  // A NaN or infinity: whatever the bytes are, the scale says it. Below 1e-36 the inverse would not be finite.
  let isUsable = top >= 1e-36 && top < .infinity
  if !isUsable { scale.pointee = top < 1e-36 ? 0 : .nan }
  let inverse = sixteen(isUsable ? 127 / top : 0)
  let (qa, qb) = (roundedSixteen(a * inverse), roundedSixteen(b * inverse))
  storeBytes(isUsable ? qa : SixteenInts(repeating: 0), values)
  storeBytes(isUsable ? qb : SixteenInts(repeating: 0), values + 16)
  offset.pointee = isUsable ? -128 &* sumSixteen(qa &+ qb) : 0
}

@inline(__always) func loadSixteen(_ p: Floats) -> SixteenFloats {
  UnsafeRawPointer(p).loadUnaligned(as: SixteenFloats.self)
}

/// The first `count` numbers, then zeroes; `count` may be negative.
@inline(__always) func loadSixteen(_ p: Floats, _ count: Int) -> SixteenFloats {
  var v = sixteen(0)
  var i = 0
  while i < count && i < 16 {
    v[i] = p[i]
    i &+= 1
  }
  return v
}

/// The greatest magnitude of 32 numbers; NaN if one of them is.
@inline(__always) func greatestMagnitude(_ a: SixteenFloats, _ b: SixteenFloats) -> Float {
  let (x, y) = (magnitudeBits(a), magnitudeBits(b))
  let sixteen = x.replacing(with: y, where: y .> x)
  let eight = sixteen.lowHalf.replacing(with: sixteen.highHalf, where: sixteen.highHalf .> sixteen.lowHalf)
  let four = eight.lowHalf.replacing(with: eight.highHalf, where: eight.highHalf .> eight.lowHalf)
  let two = four.lowHalf.replacing(with: four.highHalf, where: four.highHalf .> four.lowHalf)
  return Float(bitPattern: UInt32(bitPattern: two.x > two.y ? two.x : two.y))
}

/// The nearest whole numbers, ties to even, of numbers below 2^22: adding 1.5 * 2^23 leaves them in the low bits.
@inline(__always) func roundedSixteen(_ v: SixteenFloats) -> SixteenInts {
  let magic = sixteen(0x1.8p23)
  return unsafeBitCast(v + magic, to: SixteenInts.self) &- unsafeBitCast(magic, to: SixteenInts.self)
}

@inline(__always) private func sumSixteen(_ v: SixteenInts) -> Int32 {
  let eight = v.lowHalf &+ v.highHalf
  let four = eight.lowHalf &+ eight.highHalf
  let two = four.lowHalf &+ four.highHalf
  return two.x &+ two.y
}

/// Sixteen numbers of -128...127 as bytes.
@inline(__always) func storeBytes(_ v: SixteenInts, _ p: UnsafeMutablePointer<Int8>) {
  #if ISA_AVX512
    let bytes = _mm512_cvtepi32_epi8(unsafeBitCast(v, to: __m512i.self))
  #elseif arch(x86_64)
    let eight = _mm_packs_epi32(fourInts(v.lowHalf.lowHalf), fourInts(v.lowHalf.highHalf))
    let more = _mm_packs_epi32(fourInts(v.highHalf.lowHalf), fourInts(v.highHalf.highHalf))
    let bytes = _mm_packs_epi16(eight, more)
  #else
    let bytes = SIMD16<Int8>(truncatingIfNeeded: v)
  #endif
  UnsafeMutableRawPointer(p).storeBytes(of: bytes, as: type(of: bytes))
}

#if arch(x86_64) && !ISA_AVX512
  @inline(__always) private func fourInts(_ v: SIMD4<Int32>) -> __m128i { unsafeBitCast(v, to: __m128i.self) }
#endif
