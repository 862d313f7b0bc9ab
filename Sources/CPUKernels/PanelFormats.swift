internal import CPlatform

/// How the elements of a panel are stored (`matrix.h`); values come out as unsigned bytes, 128 above what they mean.
protocol PanelFormat {
  /// Bytes of a group of a panel.
  static var groupByteCount: Int { get }
  /// How one row of x reads panels with AVX-512: so many at a time (four or eight), each of them asked for so many bytes
  /// ahead, in lines that are `streamStep` bytes apart. `docs/kernels.md` has what was measured.
  static var streamCount: Int { get }
  static var streamDistance: Int { get }
  static var streamStep: Int { get }
  /// Steps `2 * pair` and `2 * pair + 1` of a group; `pair` is 0...3.
  static func steps(_ group: UnsafeRawPointer, _ pair: Int) -> (StepWeights, StepWeights)
}

enum Int8Panels: PanelFormat {
  @inline(__always) static var groupByteCount: Int { Int(PLATFORM_GROUP_BYTES_INT8) }
  @inline(__always) static var streamCount: Int { 4 }
  @inline(__always) static var streamDistance: Int { 1536 }
  @inline(__always) static var streamStep: Int { 128 }

  @inline(__always) static func steps(_ group: UnsafeRawPointer, _ pair: Int) -> (StepWeights, StepWeights) {
    let p = group + 128 &* pair
    #if ISA_AVX512
      return (
        StepWeights(p.loadUnaligned(as: __m512i.self)), StepWeights((p + 64).loadUnaligned(as: __m512i.self))
      )
    #elseif ISA_AVX2
      return (
        StepWeights(p.loadUnaligned(as: __m256i.self), (p + 32).loadUnaligned(as: __m256i.self)),
        StepWeights((p + 64).loadUnaligned(as: __m256i.self), (p + 96).loadUnaligned(as: __m256i.self))
      )
    #else
      return (step(p), step(p + 64))
    #endif
  }

  #if ISA_BASELINE || ISA_NEON
    @inline(__always) private static func step(_ p: UnsafeRawPointer) -> StepWeights {
      StepWeights(
        p.loadUnaligned(as: SIMD16<UInt8>.self), (p + 16).loadUnaligned(as: SIMD16<UInt8>.self),
        (p + 32).loadUnaligned(as: SIMD16<UInt8>.self), (p + 48).loadUnaligned(as: SIMD16<UInt8>.self))
    }
  #endif
}

/// Four bits are an index into sixteen levels that lie where the numbers do: the levels that leave the least squared
/// error on groups of 32 normally distributed weights, each with the best scale of either sign (found by Lloyd's
/// algorithm, `Benchmarks/levels.py`). They leave a root mean square of 7.4 %, Q4_0's even steps 8.6 %.
enum Int4Panels: PanelFormat {
  @inline(__always) static var groupByteCount: Int { Int(PLATFORM_GROUP_BYTES_INT4) }
  @inline(__always) static var streamCount: Int { 8 }
  @inline(__always) static var streamDistance: Int { 1536 }
  @inline(__always) static var streamStep: Int { 64 }

  /// The levels, 128 above their values -127, -101, -81, -64, -48, -34, -21, -9 and 3, 14, 26, 39, 52, 68, 88, 119.
  @inline(__always) static var lowerLevels: Int64 { 0x776B_5E50_402F_1B01 }
  @inline(__always) static var upperLevels: Int64 { Int64(bitPattern: 0xF7D8_C4B4_A79A_8E83) }

  /// The value of a code.
  @inline(__always) static func level(_ code: Int) -> Int {
    let word = UInt64(bitPattern: code < 8 ? lowerLevels : upperLevels)
    return Int((word &>> UInt64(8 &* (code & 7))) & 0xFF) &- 128
  }

  @inline(__always) static func steps(_ group: UnsafeRawPointer, _ pair: Int) -> (StepWeights, StepWeights) {
    let p = group + 64 &* pair
    #if ISA_AVX512
      let (l, u) = (lowerLevels, upperLevels)
      let levels = __m512i(l, u, l, u, l, u, l, u)
      let four = _mm512_set1_epi8(15)
      let codes = p.loadUnaligned(as: __m512i.self)
      return (
        StepWeights(_mm512_shuffle_epi8(levels, codes & four)),
        StepWeights(_mm512_shuffle_epi8(levels, _mm512_srli_epi16(codes, 4) & four))
      )
    #elseif ISA_AVX2
      let (l, u) = (lowerLevels, upperLevels)
      let levels = __m256i(l, u, l, u)
      let four = _mm256_set1_epi8(15)
      let a = p.loadUnaligned(as: __m256i.self)
      let b = (p + 32).loadUnaligned(as: __m256i.self)
      return (
        StepWeights(_mm256_shuffle_epi8(levels, a & four), _mm256_shuffle_epi8(levels, b & four)),
        StepWeights(
          _mm256_shuffle_epi8(levels, _mm256_srli_epi16(a, 4) & four),
          _mm256_shuffle_epi8(levels, _mm256_srli_epi16(b, 4) & four))
      )
    #else
      let (a, b) = (lookUp(p), lookUp(p + 16))
      let (c, d) = (lookUp(p + 32), lookUp(p + 48))
      return (StepWeights(a.0, b.0, c.0, d.0), StepWeights(a.1, b.1, c.1, d.1))
    #endif
  }

  #if ISA_BASELINE || ISA_NEON
    /// The levels of the lower and of the upper codes of 16 bytes.
    @inline(__always) private static func lookUp(_ p: UnsafeRawPointer) -> (SIMD16<UInt8>, SIMD16<UInt8>) {
      #if arch(x86_64)
        let codes = p.loadUnaligned(as: __m128i.self)
        let four = _mm_set1_epi8(15)
        let low = climb(_mm_and_si128(codes, four))
        let high = climb(_mm_and_si128(_mm_srli_epi16(codes, 4), four))
        return (unsafeBitCast(low, to: SIMD16<UInt8>.self), unsafeBitCast(high, to: SIMD16<UInt8>.self))
      #else
        let codes = p.loadUnaligned(as: SIMD16<UInt8>.self)
        let levels = unsafeBitCast(SIMD2<Int64>(lowerLevels, upperLevels), to: SIMD16<UInt8>.self)
        return (
          platform_look_up(levels, codes & SIMD16(repeating: 15)),
          platform_look_up(levels, codes &>> SIMD16(repeating: 4))
        )
      #endif
    }

    #if arch(x86_64)
      /// Without a shuffle of bytes: the lowest level, and every step up that lies below the code.
      @inline(__always) private static func climb(_ codes: __m128i) -> __m128i {
        var levels = _mm_set1_epi8(CChar(truncatingIfNeeded: level(0) &+ 128))
        eachCodeAboveLowest { code in
          let isAtLeast = _mm_cmpgt_epi8(codes, _mm_set1_epi8(CChar(truncatingIfNeeded: code &- 1)))
          let rise = _mm_set1_epi8(CChar(truncatingIfNeeded: level(code) &- level(code &- 1)))
          levels = _mm_add_epi8(levels, _mm_and_si128(isAtLeast, rise))
        }
        return levels
      }
    #endif
  #endif
}

/// Runs `step` for the codes 1 to 15 of int4, written out, so that whatever it takes of a code's level is a constant.
@inline(__always) func eachCodeAboveLowest(_ step: (Int) -> Void) {
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
}

/// The parts of a panel of `groups` groups (`matrix.h`).
@inline(__always) func panelScales(_ panel: UnsafeRawPointer) -> UnsafeRawPointer { panel + 64 }

/// The scales of a group's rows, without the rows' factors. Squares keep them apart over four orders of magnitude, and
/// meet those that are at least half of a row's greatest within 1.1 %.
@inline(__always) func panelScales(_ panel: UnsafeRawPointer, _ g: Int) -> SixteenFloats {
  let s = sixteenBytes(panelScales(panel) + g &* 16)
  return s * magnitudes(s)
}

@inline(__always) func panelElements(_ panel: UnsafeRawPointer, _ groups: Int) -> UnsafeRawPointer {
  panel + platform_panel_head_byte_count(groups)
}
