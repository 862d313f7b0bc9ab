internal import CPlatform

/// How stored elements become floats. All conversions are exact.
protocol Format {
  static var byteCount: Int { get }
  /// A vector of elements from index `i` on. A NaN of a format that must be watched comes out as a finite number.
  static func load(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector
  /// The same, NaN included.
  static func loadExact(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector
  static func loadOne(_ p: UnsafeRawPointer, _ i: Int) -> Float
  /// Vectors of floats that come from one vector of stored bytes.
  static var parts: Int { get }
  /// Whether parts are 2^-120 times the value.
  static var isShifted: Bool { get }
  /// Part `k` of the stored bytes at `p`, in the order that decodes fastest; NaN as in `load`.
  static func part(_ p: UnsafeRawPointer, _ k: Int) -> FloatVector
  /// Puts as many floats as `parts` vectors hold into the order of the parts: [parts, lanes].
  static func order(_ from: Floats, _ to: MutableFloats)
  /// Notes in `seen` what the vector of stored bytes `i` bytes from `p` on holds, for `foundNaN`.
  static func watch(_ p: UnsafeRawPointer, _ i: Int, _ seen: inout IntVector)
  static func watch(_ words: IntVector, _ seen: inout IntVector)
  static func foundNaN(_ seen: IntVector) -> Bool
  /// Element `k` of each 32-bit word, as `part` scaled and with its NaN.
  static func element(_ words: IntVector, _ k: Int) -> FloatVector
}

extension Format {
  @inline(__always) static func loadExact(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector { load(p, i) }
  @inline(__always) static var isShifted: Bool { false }
  @inline(__always) static func watch(_ words: IntVector, _ seen: inout IntVector) {}
  @inline(__always) static func watch(_ p: UnsafeRawPointer, _ i: Int, _ seen: inout IntVector) {
    watch((p + i).loadUnaligned(as: IntVector.self), &seen)
  }
  @inline(__always) static func foundNaN(_ seen: IntVector) -> Bool { false }
}

/// Work on weights of any format, compiled once for each.
protocol FormatJob {
  func run<F: Format>(_: F.Type)
}

/// Runs `job` for weights of this type, a `platform_matrix.type`.
@inline(__always) func run(_ job: some FormatJob, _ type: Int32) {
  switch type {
  case Int32(PLATFORM_TYPE_FLOAT32): job.run(Float32Format.self)
  case Int32(PLATFORM_TYPE_FLOAT16): job.run(Float16Format.self)
  case Int32(PLATFORM_TYPE_BFLOAT16): job.run(BFloat16Format.self)
  default: job.run(Float8Format.self)
  }
}

enum Float32Format: Format {
  @inline(__always) static var byteCount: Int { 4 }
  @inline(__always) static var parts: Int { 1 }
  @inline(__always) static func part(_ p: UnsafeRawPointer, _ k: Int) -> FloatVector { load(p, 0) }
  @inline(__always) static func element(_ words: IntVector, _ k: Int) -> FloatVector { floats(words) }
  @inline(__always) static func order(_ from: Floats, _ to: MutableFloats) {
    store(vector(from), to)
  }

  @inline(__always) static func load(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector {
    p.loadUnaligned(fromByteOffset: i &* 4, as: FloatVector.self)
  }

  @inline(__always) static func loadOne(_ p: UnsafeRawPointer, _ i: Int) -> Float {
    p.loadUnaligned(fromByteOffset: i &* 4, as: Float.self)
  }
}

enum BFloat16Format: Format {
  @inline(__always) static var byteCount: Int { 2 }
  @inline(__always) static var parts: Int { 2 }

  /// Even elements, then odd ones.
  @inline(__always) static func part(_ p: UnsafeRawPointer, _ k: Int) -> FloatVector {
    element(p.loadUnaligned(as: IntVector.self), k)
  }

  /// Each half of a word is the top half of a float.
  @inline(__always) static func element(_ words: IntVector, _ k: Int) -> FloatVector {
    floats(k == 0 ? words &<< IntVector(repeating: 16) : words & intSplat(0xFFFF_0000))
  }

  @inline(__always) static func order(_ from: Floats, _ to: MutableFloats) {
    let (a, b) = (vector(from), vector(from + lanes))
    store(evenLanes(a, b), to)
    store(oddLanes(a, b), to + lanes)
  }

  @inline(__always) static func load(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector {
    floats(widenWords(p + i &* 2) &<< IntVector(repeating: 16))
  }

  @inline(__always) static func loadOne(_ p: UnsafeRawPointer, _ i: Int) -> Float {
    Float(bitPattern: UInt32(p.loadUnaligned(fromByteOffset: i &* 2, as: UInt16.self)) &<< 16)
  }
}

enum Float16Format: Format {
  @inline(__always) static var byteCount: Int { 2 }
  @inline(__always) static var parts: Int { 2 }
  @inline(__always) static func part(_ p: UnsafeRawPointer, _ k: Int) -> FloatVector { load(p, k &* lanes) }
  @inline(__always) static func order(_ from: Floats, _ to: MutableFloats) {
    store(vector(from), to)
    store(vector(from + lanes), to + lanes)
  }

  @inline(__always) static func element(_ words: IntVector, _ k: Int) -> FloatVector {
    #if ISA_AVX512
      let half = k == 0 ? words : words &>> IntVector(repeating: 16)
      return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(unsafeBitCast(half, to: __m512i.self)))
    #elseif ISA_AVX2
      // The low and high halves of eight words, each side by side.
      let low = unsafeBitCast(words & IntVector(repeating: 0xFFFF), to: __m256i.self)
      let high = _mm256_srli_epi32(unsafeBitCast(words, to: __m256i.self), 16)
      let both = _mm256_packus_epi32(low, high)
      return _mm256_cvtph_ps(k == 0 ? both.evenHalf : both.oddHalf)
    #else
      widenHalves(k == 0 ? words : words &>> IntVector(repeating: 16))
    #endif
  }

  @inline(__always) static func load(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector {
    #if ISA_AVX512
      _mm512_cvtph_ps((p + i &* 2).loadUnaligned(as: __m256i.self))
    #elseif ISA_AVX2
      _mm256_cvtph_ps((p + i &* 2).loadUnaligned(as: __m128i.self))
    #else
      widenHalves(widenWords(p + i &* 2))
    #endif
  }

  /// The exponent moves from bias 15 to bias 127 by a multiplication, which is exact for subnormals as well; only
  /// infinity and NaN need their exponent set. Only the low half of a word counts.
  @inline(__always) static func widenHalves(_ words: IntVector) -> FloatVector {
    let magnitude = words & IntVector(repeating: 0x7FFF)
    let scaled = bits(floats(magnitude &<< IntVector(repeating: 13)) * splat(0x1p112))
    let isSpecial =
      ((magnitude &+ IntVector(repeating: 0x400)) &<< IntVector(repeating: 16)) &>> IntVector(repeating: 31)
    let sign = (words &<< IntVector(repeating: 16)) & intSplat(0x8000_0000)
    return floats(scaled | (isSpecial & intSplat(0x7F80_0000)) | sign)
  }

  @inline(__always) static func loadOne(_ p: UnsafeRawPointer, _ i: Int) -> Float {
    let word = UInt32(p.loadUnaligned(fromByteOffset: i &* 2, as: UInt16.self))
    let sign = (word & 0x8000) &<< 16
    let magnitude = (word & 0x7FFF) &<< 13
    let value = Float(bitPattern: magnitude) * 0x1p112
    let special: UInt32 = word & 0x7C00 == 0x7C00 ? 0x7F80_0000 : 0
    return Float(bitPattern: value.bitPattern | special | sign)
  }
}

/// The seven magnitude bits, moved to bit 20, read as a float32 of 2^-120 times the value, subnormals too: one exact
/// multiplication restores it, and keeps the whole range of activations and scales. 0x7F and 0xFF, the NaN, would
/// read as 480; `watch` finds them by their bytes at a quarter of the cost of looking at each vector.
enum Float8Format: Format {
  @inline(__always) static var byteCount: Int { 1 }
  @inline(__always) static var parts: Int { 4 }
  @inline(__always) static var isShifted: Bool { true }
  @inline(__always) private static var rebias: Float { 0x1p120 }
  @inline(__always) private static var signAndMagnitude: IntVector { intSplat(0x87F0_0000) }

  @inline(__always) static func load(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector {
    floats((widenBytes(p + i) &<< IntVector(repeating: 20)) & signAndMagnitude) * splat(rebias)
  }

  /// Every fourth element.
  @inline(__always) static func part(_ p: UnsafeRawPointer, _ k: Int) -> FloatVector {
    element(p.loadUnaligned(as: IntVector.self), k)
  }

  /// Byte `k` of the words, moved to the top and then down with its sign.
  @inline(__always) static func element(_ words: IntVector, _ k: Int) -> FloatVector {
    let top = k == 3 ? words : words &<< IntVector(repeating: 24 &- 8 &* Int32(truncatingIfNeeded: k))
    return floats((top &>> IntVector(repeating: 4)) & signAndMagnitude)
  }

  @inline(__always) static func order(_ from: Floats, _ to: MutableFloats) {
    let (a, b) = (vector(from), vector(from + lanes))
    let (c, d) = (vector(from + 2 &* lanes), vector(from + 3 &* lanes))
    let (even0, even1) = (evenLanes(a, b), evenLanes(c, d))
    let (odd0, odd1) = (oddLanes(a, b), oddLanes(c, d))
    store(evenLanes(even0, even1), to)
    store(evenLanes(odd0, odd1), to + lanes)
    store(oddLanes(even0, even1), to + 2 &* lanes)
    store(oddLanes(odd0, odd1), to + 3 &* lanes)
  }

  /// Undoes `order`, in place.
  @inline(__always) static func disorder(_ p: MutableFloats) {
    let (part0, part1) = (vector(p), vector(p + lanes))
    let (part2, part3) = (vector(p + 2 &* lanes), vector(p + 3 &* lanes))
    let even0 = alternating(part0.lowHalf, part2.lowHalf)
    let even1 = alternating(part0.highHalf, part2.highHalf)
    let odd0 = alternating(part1.lowHalf, part3.lowHalf)
    let odd1 = alternating(part1.highHalf, part3.highHalf)
    store(alternating(even0.lowHalf, odd0.lowHalf), p)
    store(alternating(even0.highHalf, odd0.highHalf), p + lanes)
    store(alternating(even1.lowHalf, odd1.lowHalf), p + 2 &* lanes)
    store(alternating(even1.highHalf, odd1.highHalf), p + 3 &* lanes)
  }

  /// Adding one at bit 20 carries into bit 27 for the NaN alone.
  @inline(__always) static func loadExact(_ p: UnsafeRawPointer, _ i: Int) -> FloatVector {
    let moved = (widenBytes(p + i) &<< IntVector(repeating: 20)) & signAndMagnitude
    let carried = (moved & intSplat(0x07F0_0000)) &+ intSplat(0x0010_0000)
    let isNaN = (carried &<< IntVector(repeating: 4)) &>> IntVector(repeating: 31)
    return floats(moved | isNaN) * splat(rebias)
  }

  @inline(__always) static func loadOne(_ p: UnsafeRawPointer, _ i: Int) -> Float {
    let byte = UInt32(p.load(fromByteOffset: i, as: UInt8.self))
    if byte & 0x7F == 0x7F { return .nan }
    return Float(bitPattern: (byte & 0x80) &<< 24 | (byte & 0x7F) &<< 20) * rebias
  }

  /// Keeps the largest byte with its sign bit set: 0xFF for a NaN.
  @inline(__always) static func watch(_ words: IntVector, _ seen: inout IntVector) {
    seen = largerBytes(seen, words | intSplat(0x8080_8080))
  }

  /// A byte of 0xFF is a zero once inverted, and only a zero borrows into its top bit.
  @inline(__always) static func foundNaN(_ seen: IntVector) -> Bool {
    let inverted = seen ^ intSplat(0xFFFF_FFFF)
    let borrows = (inverted &- intSplat(0x0101_0101)) & seen & intSplat(0x8080_8080)
    return anyBit(borrows)
  }
}

/// `load`, for where a format's own is nearer.
@inline(__always) private func vector(_ p: Floats) -> FloatVector { load(p) }

/// Lanes 0, 2, 4... of both.
@inline(__always) func evenLanes(_ a: FloatVector, _ b: FloatVector) -> FloatVector {
  FloatVector(lowHalf: a.evenHalf, highHalf: b.evenHalf)
}

/// Lanes 1, 3, 5... of both.
@inline(__always) func oddLanes(_ a: FloatVector, _ b: FloatVector) -> FloatVector {
  FloatVector(lowHalf: a.oddHalf, highHalf: b.oddHalf)
}

/// Lanes of `even` and of `odd` in turn.
@inline(__always) func alternating(_ even: HalfFloatVector, _ odd: HalfFloatVector) -> FloatVector {
  var v = zero
  v.evenHalf = even
  v.oddHalf = odd
  return v
}

/// Unsigned 16-bit words, one vector of them, as 32-bit integers.
@inline(__always) func widenWords(_ p: UnsafeRawPointer) -> IntVector {
  #if ISA_AVX512
    unsafeBitCast(_mm512_cvtepu16_epi32(p.loadUnaligned(as: __m256i.self)), to: IntVector.self)
  #elseif ISA_AVX2
    unsafeBitCast(_mm256_cvtepu16_epi32(p.loadUnaligned(as: __m128i.self)), to: IntVector.self)
  #elseif arch(x86_64)
    unsafeBitCast(_mm_unpacklo_epi16(_mm_loadu_si64(p), _mm_setzero_si128()), to: IntVector.self)
  #else
    IntVector(truncatingIfNeeded: p.loadUnaligned(as: SIMD4<UInt16>.self))
  #endif
}

/// Signed bytes, one vector of them, as 32-bit integers.
@inline(__always) func widenBytes(_ p: UnsafeRawPointer) -> IntVector {
  #if ISA_AVX512
    unsafeBitCast(_mm512_cvtepi8_epi32(p.loadUnaligned(as: __m128i.self)), to: IntVector.self)
  #elseif ISA_AVX2
    unsafeBitCast(_mm256_cvtepi8_epi32(_mm_loadu_si64(p)), to: IntVector.self)
  #elseif arch(x86_64)
    // Each byte in all four places of its lane, then shifted down from the top one.
    let four = _mm_loadu_si32(p)
    let pairs = _mm_unpacklo_epi8(four, four)
    return unsafeBitCast(_mm_unpacklo_epi16(pairs, pairs), to: IntVector.self) &>> IntVector(repeating: 24)
  #else
    IntVector(truncatingIfNeeded: p.loadUnaligned(as: SIMD4<Int8>.self))
  #endif
}

/// The larger of each pair of unsigned bytes.
@inline(__always) func largerBytes(_ a: IntVector, _ b: IntVector) -> IntVector {
  #if ISA_AVX512
    unsafeBitCast(
      _mm512_max_epu8(unsafeBitCast(a, to: __m512i.self), unsafeBitCast(b, to: __m512i.self)), to: IntVector.self)
  #elseif ISA_AVX2
    unsafeBitCast(
      _mm256_max_epu8(unsafeBitCast(a, to: __m256i.self), unsafeBitCast(b, to: __m256i.self)), to: IntVector.self)
  #elseif arch(x86_64)
    unsafeBitCast(
      _mm_max_epu8(unsafeBitCast(a, to: __m128i.self), unsafeBitCast(b, to: __m128i.self)), to: IntVector.self)
  #else
    unsafeBitCast(
      pointwiseMax(unsafeBitCast(a, to: SIMD16<UInt8>.self), unsafeBitCast(b, to: SIMD16<UInt8>.self)),
      to: IntVector.self)
  #endif
}

// No struct for what follows: one that other files see has value witnesses, weak code named alike in every module.

/// Where the scales of a matrix row begin in the grid, nil without scales: the division is done once a row.
@inline(__always) func rowScales(_ w: platform_matrix, _ row: Int) -> UnsafeRawPointer? {
  guard let scales = w.scales else { return nil }
  let size = w.scale_type == Int32(PLATFORM_SCALE_FLOAT32) ? 4 : 1
  return scales + (w.first_row &+ row) / w.row_block &* w.scale_columns &* size
}

/// The scale of a row's block of columns `block`; 1 without scales.
@inline(__always) func scale(_ w: platform_matrix, _ rowScales: UnsafeRawPointer?, _ block: Int) -> Float {
  guard let rowScales else { return 1 }
  if w.scale_type == Int32(PLATFORM_SCALE_FLOAT32) {
    return rowScales.loadUnaligned(fromByteOffset: block &* 4, as: Float.self)
  }
  let exponent = UInt32(rowScales.load(fromByteOffset: block, as: UInt8.self))
  if exponent == 0 { return 0x1p-127 }
  return exponent == 255 ? .nan : Float(bitPattern: exponent &<< 23)
}
