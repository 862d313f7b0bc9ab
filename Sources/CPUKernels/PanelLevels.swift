internal import CPlatform

// Which of int4's sixteen levels a weight becomes, and which scale suits a group of weights. Weights are whole numbers
// here, parts of a level's unit, so that every instruction set finds the same levels, sums and scales: in lanes of 16
// bits, where a vector has two columns of sixteen rows, or in floats, which hold them exactly.

/// Parts of a level's unit that weights are rounded to: while guessing the scale, so that the sums of 32 products stay
/// below 2^24; and for their final levels.
private var guessParts: Float { 16 }
private var codeParts: Float { 256 }

/// While guessing, all weights in a bin of this many units count as its middle: no bin holds two borders, and what is
/// lost is made up for by a few guesses more.
private var binWidth: Float { 4 }

/// The level nearest to each lane, in units, where the scale is guessed to be 1 / `inverse` of what it was.
@inline(__always) private func levels(_ middles: SixteenFloats, _ inverse: Float) -> SixteenFloats {
  climb(middles * sixteen(inverse)) { Float(Int4Panels.level($0)) }
}

/// `result` of the code nearest to each lane, in units.
@inline(__always) private func climb(_ v: SixteenFloats, _ result: (Int) -> Float) -> SixteenFloats {
  var r = sixteen(result(0))
  eachCodeAboveLowest { code in r = whereGreater(v, border(code), result(code), r) }
  return r
}

/// Half-way between a code's level and the one below, in units.
@inline(__always) private func border(_ code: Int) -> Float {
  Float(Int4Panels.level(code) &+ Int4Panels.level(code &- 1)) * 0.5
}

/// The scale of the least squared error among those that six first guesses lead to: the levels reach further down than
/// up, so both signs are tried, and the greatest weight need not be met exactly. For fixed levels v the best scale is
/// `sum x v / sum v v`, which lowers the error by `(sum x v)^2 / sum v v`.
///
/// x: a group [32 columns, 16 rows]; norms: what makes the greatest magnitude of each row 127. The result is in those
/// units.
@inline(__always) func bestScale(_ x: Floats, _ norms: SixteenFloats, _ tables: LevelTables) -> SixteenFloats {
  let parts = norms * sixteen(guessParts)
  var (a, b) = (Guess(0, tables), Guess(1, tables))
  var (c, d) = (Guess(2, tables), Guess(3, tables))
  var (e, f) = (Guess(4, tables), Guess(5, tables))
  var column = 0
  while column < 32 {
    let weights = GuessedWeights(x + column &* 16, parts)
    a.add(weights)
    b.add(weights)
    c.add(weights)
    d.add(weights)
    e.add(weights)
    f.add(weights)
    column &+= GuessedWeights.columns
  }
  let best = better(better(a.outcome, b.outcome), better(better(c.outcome, d.outcome), better(e.outcome, f.outcome)))
  return best.scale / sixteen(guessParts)
}

/// What a guess multiplies the weights with.
@inline(__always) private func guessedInverse(_ guess: Int) -> Float {
  let reach: Float = guess < 2 ? 0.92 : guess < 4 ? 1 : 1.08
  return guess & 1 == 0 ? 1 / reach : -1 / reach
}

private typealias Outcome = (gain: SixteenFloats, scale: SixteenFloats)

@inline(__always) private func outcomeOf(_ products: SixteenFloats, _ squares: SixteenFloats) -> Outcome {
  (products * products / squares, products / squares)
}

@inline(__always) private func better(_ a: Outcome, _ b: Outcome) -> Outcome {
  let isBetter = b.gain .> a.gain
  return (a.gain.replacing(with: b.gain, where: isBetter), a.scale.replacing(with: b.scale, where: isBetter))
}

#if ISA_AVX512
  /// For each bin of units, -128 to 127: its level by each guess; the highest code in it, and the border below that one.
  struct LevelTables {
    private let memory: UnsafeMutableRawPointer

    /// Floats of memory that they take.
    @inline(__always) static var floatCount: Int { 8 &* 32 }

    @inline(__always) init(_ memory: MutableFloats) {
      self.memory = UnsafeMutableRawPointer(memory)
      for block in 0..<4 {
        // Bins are numbered by the lower six bits of their place.
        let first = block < 2 ? block &* 16 : block &* 16 &- 64
        let bins = sixteen(Float(first)) + SixteenFloats(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
        let middles = (bins + sixteen(0.5)) * sixteen(binWidth)
        put(levels(middles, guessedInverse(0)), 0, block)
        put(levels(middles, guessedInverse(1)), 1, block)
        put(levels(middles, guessedInverse(2)), 2, block)
        put(levels(middles, guessedInverse(3)), 3, block)
        put(levels(middles, guessedInverse(4)), 4, block)
        put(levels(middles, guessedInverse(5)), 5, block)
        let last = (bins + sixteen(1)) * sixteen(binWidth) - sixteen(1 / codeParts)
        put(climb(last) { Float($0) }, 6, block)
        put(climb(last) { $0 == 0 ? -32768 : border($0) * codeParts }, 7, block)
      }
    }

    @inline(__always) private func put(_ values: SixteenFloats, _ table: Int, _ block: Int) {
      let words = _mm512_cvtepi32_epi16(unsafeBitCast(roundedSixteen(values), to: __m512i.self))
      memory.storeBytes(of: words, toByteOffset: table &* 128 &+ block &* 32, as: __m256i.self)
    }

    @inline(__always) func half(_ table: Int, _ index: Int) -> __m512i {
      memory.loadUnaligned(fromByteOffset: table &* 128 &+ index &* 64, as: __m512i.self)
    }
  }

  /// Two vectors rounded to whole numbers of 16 bits, the first in the lower half of each lane.
  @inline(__always) private func pairs(_ a: SixteenFloats, _ b: SixteenFloats) -> __m512i {
    // The lower bits of the sum are the number.
    let magic = sixteen(0x1.8p23)
    let (low, high) = (unsafeBitCast(a + magic, to: SixteenInts.self), unsafeBitCast(b + magic, to: SixteenInts.self))
    let both = (high &<< SixteenInts(repeating: 16)) | (low & SixteenInts(repeating: 0xFFFF))
    return unsafeBitCast(both, to: __m512i.self)
  }

  /// Two columns of a group in parts of a unit, and the numbers of their bins.
  private struct GuessedWeights {
    let parts: __m512i
    let bins: __m512i

    @inline(__always) static var columns: Int { 2 }

    @inline(__always) init(_ x: Floats, _ norms: SixteenFloats) {
      parts = pairs(loadSixteen(x) * norms, loadSixteen(x + 16) * norms)
      bins = _mm512_srai_epi16(parts, 6)
    }
  }

  private struct Guess {
    private let low: __m512i
    private let high: __m512i
    private var products = _mm512_set1_epi32(0)
    private var squares = _mm512_set1_epi32(0)

    @inline(__always) init(_ number: Int, _ tables: LevelTables) {
      low = tables.half(number, 0)
      high = tables.half(number, 1)
    }

    @inline(__always) mutating func add(_ weights: GuessedWeights) {
      let levels = _mm512_permutex2var_epi16(low, weights.bins, high)
      products = _mm512_dpwssd_epi32(products, weights.parts, levels)
      squares = _mm512_dpwssd_epi32(squares, levels, levels)
    }

    @inline(__always) var outcome: Outcome {
      outcomeOf(_mm512_cvtepi32_ps(products), _mm512_cvtepi32_ps(squares))
    }
  }

  /// The codes nearest to the weights of eight columns [8, 16 rows] over their scale, as a step pair of a panel stores
  /// them: columns 0 to 3 in the lower halves of a lane's bytes, 4 to 7 in the upper ones.
  @inline(__always) func nearestCodes(_ x: Floats, _ inverse: SixteenFloats, _ tables: LevelTables) -> SixteenInts {
    let factors = inverse * sixteen(codeParts)
    @inline(__always) func codes(_ first: Int) -> SixteenInts {
      @inline(__always) func parts(_ column: Int) -> SixteenFloats {
        // A NaN becomes the lowest.
        let v = _mm512_max_ps(loadSixteen(x + column &* 16) * factors, sixteen(-32512))
        return _mm512_min_ps(v, sixteen(32512))
      }
      let v = pairs(parts(first), parts(first &+ 2))
      let bins = _mm512_srai_epi16(v, 10)
      let upper = _mm512_permutex2var_epi16(tables.half(6, 0), bins, tables.half(6, 1))
      let border = _mm512_permutex2var_epi16(tables.half(7, 0), bins, tables.half(7, 1))
      return unsafeBitCast(platform_one_less_unless_greater(upper, v, border), to: SixteenInts.self)
    }
    let low = codes(0) | codes(1) &<< SixteenInts(repeating: 8)
    let high = codes(4) | codes(5) &<< SixteenInts(repeating: 8)
    return low | high &<< SixteenInts(repeating: 4)
  }
#else
  /// Not needed: levels are found by comparisons.
  struct LevelTables {
    @inline(__always) static var floatCount: Int { 0 }
    @inline(__always) init(_ memory: MutableFloats) {}
  }

  /// A whole number near `v`, as a float; what is far from zero, or NaN, stays what it is.
  @inline(__always) private func whole(_ v: SixteenFloats) -> SixteenFloats { (v + sixteen(0x1.8p23)) - sixteen(0x1.8p23) }

  /// A column of a group in parts of a unit, and the middle of its bin in units.
  private struct GuessedWeights {
    let parts: SixteenFloats
    let middles: SixteenFloats

    @inline(__always) static var columns: Int { 1 }

    @inline(__always) init(_ x: Floats, _ norms: SixteenFloats) {
      parts = whole(loadSixteen(x) * norms)
      // Half a part more keeps the bin's first part from being half-way between two bins.
      let bins = whole((parts + sixteen(0.5)) * sixteen(1 / (guessParts * binWidth)) - sixteen(0.5))
      middles = (bins + sixteen(0.5)) * sixteen(binWidth)
    }
  }

  private struct Guess {
    private let inverse: Float
    private var products = sixteen(0)
    private var squares = sixteen(0)

    @inline(__always) init(_ number: Int, _: LevelTables) { inverse = guessedInverse(number) }

    @inline(__always) mutating func add(_ weights: GuessedWeights) {
      let level = levels(weights.middles, inverse)
      products = fused(weights.parts, level, products)
      squares = fused(level, level, squares)
    }

    @inline(__always) var outcome: Outcome { outcomeOf(products, squares) }
  }

  @inline(__always) func nearestCodes(_ x: Floats, _ inverse: SixteenFloats, _: LevelTables) -> SixteenInts {
    let factors = inverse * sixteen(codeParts)
    var bytes = SixteenInts(repeating: 0)
    for j in 0..<4 {
      @inline(__always) func codes(_ column: Int) -> SixteenInts {
        let v = whole(loadSixteen(x + column &* 16) * factors)
        return roundedSixteen(climb(v * sixteen(1 / codeParts)) { Float($0) })
      }
      let both = codes(j) | codes(j &+ 4) &<< SixteenInts(repeating: 4)
      bytes |= both &<< SixteenInts(repeating: Int32(truncatingIfNeeded: 8 &* j))
    }
    return bytes
  }
#endif
