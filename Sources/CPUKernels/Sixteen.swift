internal import CPlatform

// Vectors of sixteen lanes, one for each row of a panel, whatever the width of the registers: the compiler makes one,
// two or four registers of them, and the operations it has no good code for are here.

typealias SixteenFloats = SIMD16<Float>
typealias SixteenInts = SIMD16<Int32>

@inline(__always) func sixteen(_ value: Float) -> SixteenFloats { SixteenFloats(repeating: value) }

#if !ISA_AVX512
  /// `c + a * b`, rounded as `fused` of the instruction set's own vectors is.
  @inline(__always) func fused(_ a: SixteenFloats, _ b: SixteenFloats, _ c: SixteenFloats) -> SixteenFloats {
    #if ISA_BASELINE && arch(x86_64)
      c + a * b
    #else
      c.addingProduct(a, b)
    #endif
  }
#endif

@inline(__always) func magnitudes(_ v: SixteenFloats) -> SixteenFloats {
  unsafeBitCast(magnitudeBits(v), to: SixteenFloats.self)
}

/// Magnitudes as whole numbers, which order as they do; a NaN is above infinity.
@inline(__always) func magnitudeBits(_ v: SixteenFloats) -> SixteenInts {
  unsafeBitCast(v, to: SixteenInts.self) & SixteenInts(repeating: 0x7FFF_FFFF)
}

/// Sixteen signed bytes as floats.
@inline(__always) func sixteenBytes(_ p: UnsafeRawPointer) -> SixteenFloats {
  #if ISA_AVX512
    converted(widenBytes(p))
  #elseif ISA_AVX2
    SixteenFloats(lowHalf: converted(widenBytes(p)), highHalf: converted(widenBytes(p + 8)))
  #else
    SixteenFloats(
      lowHalf: SIMD8(lowHalf: converted(widenBytes(p)), highHalf: converted(widenBytes(p + 4))),
      highHalf: SIMD8(lowHalf: converted(widenBytes(p + 8)), highHalf: converted(widenBytes(p + 12))))
  #endif
}

@inline(__always) func sixteenFloats(_ v: SixteenInts) -> SixteenFloats {
  #if ISA_AVX512
    converted(v)
  #elseif ISA_AVX2
    SixteenFloats(lowHalf: converted(v.lowHalf), highHalf: converted(v.highHalf))
  #else
    SixteenFloats(
      lowHalf: SIMD8(lowHalf: converted(v.lowHalf.lowHalf), highHalf: converted(v.lowHalf.highHalf)),
      highHalf: SIMD8(lowHalf: converted(v.highHalf.lowHalf), highHalf: converted(v.highHalf.highHalf)))
  #endif
}

/// Lanes of `value` where the lane of `key` is greater than `border`, of `rest` elsewhere.
@inline(__always) func whereGreater(
  _ key: SixteenFloats, _ border: Float, _ value: Float, _ rest: SixteenFloats
) -> SixteenFloats {
  let (b, v) = (splat(border), splat(value))
  #if ISA_AVX512
    return platform_where_greater(key, b, v, rest)
  #elseif ISA_AVX2
    return SixteenFloats(
      lowHalf: platform_where_greater(key.lowHalf, b, v, rest.lowHalf),
      highHalf: platform_where_greater(key.highHalf, b, v, rest.highHalf))
  #else
    return SixteenFloats(
      lowHalf: SIMD8(
        lowHalf: platform_where_greater(key.lowHalf.lowHalf, b, v, rest.lowHalf.lowHalf),
        highHalf: platform_where_greater(key.lowHalf.highHalf, b, v, rest.lowHalf.highHalf)),
      highHalf: SIMD8(
        lowHalf: platform_where_greater(key.highHalf.lowHalf, b, v, rest.highHalf.lowHalf),
        highHalf: platform_where_greater(key.highHalf.highHalf, b, v, rest.highHalf.highHalf)))
  #endif
}

/// The elements of a step of a panel, sixteen rows of four columns, as `add` wants them.
struct StepWeights {
  #if ISA_AVX512
    private let bytes: __m512i

    @inline(__always) init(_ bytes: __m512i) { self.bytes = bytes }

    /// `sums[row] += the four products of this step's row with the bytes of x`, weights still unsigned.
    @inline(__always) func add(_ x: Int32, to sums: inout SixteenInts) {
      sums = unsafeBitCast(
        _mm512_dpbusd_epi32(unsafeBitCast(sums, to: __m512i.self), bytes, _mm512_set1_epi32(x)), to: SixteenInts.self)
    }
  #elseif ISA_AVX2
    // maddubs multiplies unsigned by signed bytes: the sign of a weight moves over to x.
    private let low: __m256i
    private let high: __m256i
    private let lowMagnitude: __m256i
    private let highMagnitude: __m256i

    @inline(__always) init(_ low: __m256i, _ high: __m256i) {
      let sign = _mm256_set1_epi8(-128)
      self.low = low ^ sign
      self.high = high ^ sign
      lowMagnitude = _mm256_abs_epi8(self.low)
      highMagnitude = _mm256_abs_epi8(self.high)
    }

    @inline(__always) func add(_ x: Int32, to sums: inout SixteenInts) {
      let xs = _mm256_set1_epi32(x)
      let ones = _mm256_set1_epi16(1)
      let a = _mm256_madd_epi16(_mm256_maddubs_epi16(lowMagnitude, _mm256_sign_epi8(xs, low)), ones)
      let b = _mm256_madd_epi16(_mm256_maddubs_epi16(highMagnitude, _mm256_sign_epi8(xs, high)), ones)
      sums = SixteenInts(
        lowHalf: sums.lowHalf &+ unsafeBitCast(a, to: SIMD8<Int32>.self),
        highHalf: sums.highHalf &+ unsafeBitCast(b, to: SIMD8<Int32>.self))
    }
  #else
    // Four rows each. The halves of a vector of 64 bytes would be copied byte by byte.
    private let a: SIMD16<UInt8>
    private let b: SIMD16<UInt8>
    private let c: SIMD16<UInt8>
    private let d: SIMD16<UInt8>

    @inline(__always) init(_ a: SIMD16<UInt8>, _ b: SIMD16<UInt8>, _ c: SIMD16<UInt8>, _ d: SIMD16<UInt8>) {
      self.a = a
      self.b = b
      self.c = c
      self.d = d
    }

    @inline(__always) func add(_ x: Int32, to sums: inout SixteenInts) {
      sums = SixteenInts(
        lowHalf: SIMD8(
          lowHalf: addFour(a, x, sums.lowHalf.lowHalf), highHalf: addFour(b, x, sums.lowHalf.highHalf)),
        highHalf: SIMD8(
          lowHalf: addFour(c, x, sums.highHalf.lowHalf), highHalf: addFour(d, x, sums.highHalf.highHalf)))
    }

    @inline(__always) private func addFour(_ weights: SIMD16<UInt8>, _ x: Int32, _ sums: SIMD4<Int32>) -> SIMD4<Int32> {
      #if arch(x86_64)
        // Words of both, four rows as two halves; madd leaves two sums a row, which the even and odd lanes hold.
        let sign = _mm_set1_epi8(-128)
        let w = _mm_xor_si128(unsafeBitCast(weights, to: __m128i.self), sign)
        let xs = _mm_set1_epi32(x)
        let xWords = _mm_srai_epi16(_mm_unpacklo_epi8(xs, xs), 8)
        let a = _mm_madd_epi16(_mm_srai_epi16(_mm_unpacklo_epi8(w, w), 8), xWords)
        let b = _mm_madd_epi16(_mm_srai_epi16(_mm_unpackhi_epi8(w, w), 8), xWords)
        let both = SIMD8(
          lowHalf: unsafeBitCast(a, to: SIMD4<Int32>.self), highHalf: unsafeBitCast(b, to: SIMD4<Int32>.self))
        return sums &+ both.evenHalf &+ both.oddHalf
      #else
        return platform_dot_bytes(sums, weights ^ SIMD16(repeating: 0x80), x)
      #endif
    }
  #endif
}

/// What a sum of products begins with: where weights stay unsigned, the correction for their 128.
@inline(__always) func firstSums(_ offset: Int32) -> SixteenInts {
  #if ISA_AVX512
    SixteenInts(repeating: offset)
  #else
    SixteenInts(repeating: 0)
  #endif
}
