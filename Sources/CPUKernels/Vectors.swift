internal import CPlatform

// The vector types of one instruction set and the few operations that Swift's own do not cover well. Every helper is
// always inlined: one that is not would pass its vectors through memory.

#if ISA_AVX512
  typealias FloatVector = SIMD16<Float>
  typealias HalfFloatVector = SIMD8<Float>
  typealias IntVector = SIMD16<Int32>
#elseif ISA_AVX2
  typealias FloatVector = SIMD8<Float>
  typealias HalfFloatVector = SIMD4<Float>
  typealias IntVector = SIMD8<Int32>
#else
  typealias FloatVector = SIMD4<Float>
  typealias HalfFloatVector = SIMD2<Float>
  typealias IntVector = SIMD4<Int32>
#endif

typealias Floats = UnsafePointer<Float>
typealias MutableFloats = UnsafeMutablePointer<Float>

/// Floats in a vector.
@inline(__always) var lanes: Int { FloatVector.scalarCount }
@inline(__always) var zero: FloatVector { FloatVector(repeating: 0) }

@inline(__always) func load(_ p: Floats) -> FloatVector { UnsafeRawPointer(p).loadUnaligned(as: FloatVector.self) }

@inline(__always) func store(_ v: FloatVector, _ p: MutableFloats) {
  UnsafeMutableRawPointer(p).storeBytes(of: v, as: FloatVector.self)
}

/// The first `count` floats, then zeroes.
@inline(__always) func loadPartial(_ p: Floats, _ count: Int) -> FloatVector {
  var v = zero
  var i = 0
  while i < count {
    v[i] = p[i]
    i &+= 1
  }
  return v
}

@inline(__always) func storePartial(_ v: FloatVector, _ p: MutableFloats, _ count: Int) {
  var i = 0
  while i < count {
    p[i] = v[i]
    i &+= 1
  }
}

/// `c + a * b`, with one rounding where the instruction set can: without FMA, `addingProduct` is a call per lane.
@inline(__always) func fused(_ a: FloatVector, _ b: FloatVector, _ c: FloatVector) -> FloatVector {
  #if ISA_BASELINE && arch(x86_64)
    c + a * b
  #else
    c.addingProduct(a, b)
  #endif
}

@inline(__always) func fused(_ a: Float, _ b: Float, _ c: Float) -> Float {
  #if ISA_BASELINE && arch(x86_64)
    c + a * b
  #else
    c.addingProduct(a, b)
  #endif
}

@inline(__always) func splat(_ value: Float) -> FloatVector { FloatVector(repeating: value) }
@inline(__always) func bits(_ v: FloatVector) -> IntVector { unsafeBitCast(v, to: IntVector.self) }
@inline(__always) func floats(_ v: IntVector) -> FloatVector { unsafeBitCast(v, to: FloatVector.self) }
@inline(__always) func intSplat(_ pattern: UInt32) -> IntVector { IntVector(repeating: Int32(bitPattern: pattern)) }

/// The same numbers as floats.
@inline(__always) func converted(_ v: IntVector) -> FloatVector {
  #if ISA_AVX512
    _mm512_cvtepi32_ps(unsafeBitCast(v, to: __m512i.self))
  #elseif ISA_AVX2
    _mm256_cvtepi32_ps(unsafeBitCast(v, to: __m256i.self))
  #elseif arch(x86_64)
    _mm_cvtepi32_ps(unsafeBitCast(v, to: __m128i.self))
  #else
    FloatVector(v)
  #endif
}

/// Larger of each pair; the second where one is NaN.
@inline(__always) func larger(_ a: FloatVector, _ b: FloatVector) -> FloatVector {
  #if ISA_AVX512
    _mm512_max_ps(a, b)
  #elseif ISA_AVX2
    _mm256_max_ps(a, b)
  #else
    b.replacing(with: a, where: a .> b)
  #endif
}

/// The sum of the lanes of four vectors.
@inline(__always) func laneSums(_ a: FloatVector, _ b: FloatVector, _ c: FloatVector, _ d: FloatVector) -> SIMD4<Float>
{
  let (a, b, c, d) = (quarter(a), quarter(b), quarter(c), quarter(d))
  let ab = SIMD4(lowHalf: a.lowHalf, highHalf: b.lowHalf) + SIMD4(lowHalf: a.highHalf, highHalf: b.highHalf)
  let cd = SIMD4(lowHalf: c.lowHalf, highHalf: d.lowHalf) + SIMD4(lowHalf: c.highHalf, highHalf: d.highHalf)
  return SIMD4(lowHalf: ab.evenHalf, highHalf: cd.evenHalf) + SIMD4(lowHalf: ab.oddHalf, highHalf: cd.oddHalf)
}

#if ISA_AVX512
  @inline(__always) func quarter(_ v: FloatVector) -> SIMD4<Float> {
    let half = v.lowHalf + v.highHalf
    return half.lowHalf + half.highHalf
  }
#elseif ISA_AVX2
  @inline(__always) func quarter(_ v: FloatVector) -> SIMD4<Float> { v.lowHalf + v.highHalf }
#else
  @inline(__always) func quarter(_ v: FloatVector) -> SIMD4<Float> { v }
#endif

/// The sum of all lanes by halving: `.sum()` would be a chain of scalar additions.
@inline(__always) func sum(_ v: FloatVector) -> Float {
  let four = quarter(v)
  let two = four.lowHalf + four.highHalf
  return two.x + two.y
}

@inline(__always) func largest(_ v: FloatVector) -> Float {
  var top = v[0]
  var i = 1
  while i < lanes {
    if v[i] > top { top = v[i] }
    i &+= 1
  }
  return top
}

@inline(__always) func anyBit(_ v: IntVector) -> Bool {
  #if ISA_AVX512
    let eight = v.lowHalf | v.highHalf
    let four = eight.lowHalf | eight.highHalf
  #elseif ISA_AVX2
    let four = v.lowHalf | v.highHalf
  #else
    let four = v
  #endif
  let two = four.lowHalf | four.highHalf
  return two.x | two.y != 0
}
