internal import CPlatform

// Whole numbers of 16 bits, two to a lane of 32, and tables of 64 small ones: looked up by a shuffle of words, by
// shuffles of bytes, or one by one.

/// Vectors of such words, as the instructions have them.
#if ISA_AVX512
  private typealias Words = __m512i
#elseif ISA_AVX2
  private typealias Words = __m256i
#elseif arch(x86_64)
  private typealias Words = __m128i
#else
  private typealias Words = SIMD8<Int16>
#endif

@inline(__always) private func words(_ v: IntVector) -> Words { unsafeBitCast(v, to: Words.self) }
@inline(__always) private func ints(_ v: Words) -> IntVector { unsafeBitCast(v, to: IntVector.self) }

/// Two vectors of less than 2^15 rounded to whole numbers, the first in the lower half of each lane.
@inline(__always) func roundedWords(_ a: FloatVector, _ b: FloatVector) -> IntVector {
  // The lower bits of the sum are the number.
  let magic = splat(0x1.8p23)
  return (bits(b + magic) &<< intSplat(16)) | (bits(a + magic) & intSplat(0xFFFF))
}

/// `sums[i] + a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1]` of words a and b.
@inline(__always) func addProducts(_ a: IntVector, _ b: IntVector, _ sums: IntVector) -> IntVector {
  #if ISA_AVX512
    ints(_mm512_dpwssd_epi32(words(sums), words(a), words(b)))
  #elseif ISA_AVX2
    sums &+ ints(_mm256_madd_epi16(words(a), words(b)))
  #elseif arch(x86_64)
    sums &+ ints(_mm_madd_epi16(words(a), words(b)))
  #else
    platform_add_products(sums, words(a), words(b))
  #endif
}

/// Words over 2^`count`, rounded down.
@inline(__always) func shiftedWords(_ v: IntVector, _ count: UInt32) -> IntVector {
  #if ISA_AVX512
    ints(_mm512_srai_epi16(words(v), count))
  #elseif ISA_AVX2
    ints(_mm256_srai_epi16(words(v), Int32(bitPattern: count)))
  #elseif arch(x86_64)
    ints(_mm_srai_epi16(words(v), Int32(bitPattern: count)))
  #else
    ints(words(v) &>> SIMD8(repeating: Int16(truncatingIfNeeded: count)))
  #endif
}

/// The words `codes`, less one where `a` is not greater than `b`; none is zero there.
@inline(__always) func lessOneUnlessGreater(_ codes: IntVector, _ a: IntVector, _ b: IntVector) -> IntVector {
  #if ISA_AVX512
    return ints(platform_less_one_unless_greater(words(codes), words(a), words(b)))
  #else
    #if ISA_AVX2
      let isGreater = ints(_mm256_cmpgt_epi16(words(a), words(b)))
    #elseif arch(x86_64)
      let isGreater = ints(_mm_cmpgt_epi16(words(a), words(b)))
    #else
      let isGreater = unsafeBitCast(platform_greater_words(words(a), words(b)), to: IntVector.self)
    #endif
    return codes &- (intSplat(0x0001_0001) & ~isGreater)
  #endif
}

/// The numbers of bins, -32...31, as tables want them.
struct Bins {
  #if ISA_AVX2
    // For each quarter of a table the lower bytes as its shuffle wants them; what is not in it has the highest bit.
    fileprivate let first: __m256i
    fileprivate let second: __m256i
    fileprivate let third: __m256i
    fileprivate let fourth: __m256i

    @inline(__always) init(_ numbers: IntVector) {
      let numbers = numbers & intSplat(0x003F_003F) | intSplat(0x8000_8000)
      @inline(__always) func quarter(_ pattern: UInt32) -> __m256i {
        _mm256_adds_epu8(words(numbers ^ intSplat(pattern)), _mm256_set1_epi8(0x70))
      }
      first = quarter(0)
      second = quarter(0x0010_0010)
      third = quarter(0x0020_0020)
      fourth = quarter(0x0030_0030)
    }
  #else
    fileprivate let numbers: IntVector

    @inline(__always) init(_ numbers: IntVector) {
      #if ISA_AVX512
        self.numbers = numbers
      #elseif arch(x86_64)
        self.numbers = numbers & intSplat(0x003F_003F)
      #else
        // What is no place in a table is looked up as 0.
        self.numbers = numbers & intSplat(0x003F_003F) | intSplat(0x8000_8000)
      #endif
    }
  #endif
}

/// A number of -128...127 for each of 64 bins.
struct BinTable {
  /// Bytes of memory that a table takes.
  @inline(__always) static var byteCount: Int { 128 }

  private let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// Makes the table; `values` has the numbers of sixteen bins.
  @inline(__always) func fill(_ values: (_ bins: SixteenFloats) -> SixteenFloats) {
    for block in 0..<4 {
      // The lower six bits of a bin's number are its place.
      let first = sixteen(Float(block < 2 ? block &* 16 : block &* 16 &- 64))
      let numbers = roundedSixteen(values(first + SixteenFloats(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)))
      for i in 0..<16 { put(numbers[i], block &* 16 &+ i) }
    }
  }

  @inline(__always) private func put(_ number: Int32, _ place: Int) {
    #if ISA_AVX512 || (ISA_BASELINE && arch(x86_64))
      memory.storeBytes(of: Int16(truncatingIfNeeded: number), toByteOffset: place &* 2, as: Int16.self)
    #elseif ISA_AVX2
      // A shuffle has two halves, which look up the same bytes.
      let byte = UInt8(truncatingIfNeeded: number &+ 128)
      let at = place / 16 &* 32 &+ place % 16
      memory.storeBytes(of: byte, toByteOffset: at, as: UInt8.self)
      memory.storeBytes(of: byte, toByteOffset: at &+ 16, as: UInt8.self)
    #else
      memory.storeBytes(of: UInt8(truncatingIfNeeded: number &+ 128), toByteOffset: place, as: UInt8.self)
    #endif
  }

  /// What the table has for each bin, as words.
  @inline(__always) func look(_ bins: Bins) -> IntVector {
    #if ISA_AVX512
      let low = memory.loadUnaligned(as: __m512i.self)
      let high = memory.loadUnaligned(fromByteOffset: 64, as: __m512i.self)
      return ints(_mm512_permutex2var_epi16(low, words(bins.numbers), high))
    #elseif ISA_AVX2
      @inline(__always) func quarter(_ offset: Int, _ places: __m256i) -> IntVector {
        ints(_mm256_shuffle_epi8(memory.loadUnaligned(fromByteOffset: offset, as: __m256i.self), places))
      }
      let lower = quarter(0, bins.first) | quarter(32, bins.second)
      let upper = quarter(64, bins.third) | quarter(96, bins.fourth)
      return ints(_mm256_sub_epi16(words(lower | upper), _mm256_set1_epi16(128)))
    #elseif arch(x86_64)
      @inline(__always) func pair(_ places: Int32) -> Int32 {
        let low = memory.load(fromByteOffset: Int(places & 63) &* 2, as: UInt16.self)
        let high = memory.load(fromByteOffset: Int(places &>> 16) &* 2, as: UInt16.self)
        return Int32(bitPattern: UInt32(low) | UInt32(high) &<< 16)
      }
      let n = bins.numbers
      return IntVector(pair(n.x), pair(n.y), pair(n.z), pair(n.w))
    #else
      return ints(
        unsafeBitCast(platform_look_up_64(memory, unsafeBitCast(bins.numbers, to: SIMD16<UInt8>.self)), to: Words.self)
          &- Words(repeating: 128))
    #endif
  }
}
