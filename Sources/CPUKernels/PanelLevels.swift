// Which of int4's sixteen levels a weight becomes, and which scale suits a group of weights. Weights are rounded to
// parts of a level's unit first, so that every instruction set finds the same levels, sums and scales.

/// Parts of a level's unit, while the scale is guessed and for the codes: in both cases less than 2^15 for any weight.
@inline(__always) private var guessParts: Float { 16 }
@inline(__always) private var codeParts: Float { 256 }

/// Units of a bin, of which tables have 64: no bin has two borders between levels in it. While the scale is guessed all
/// weights in a bin count as its middle; a few guesses more make up for what that loses.
@inline(__always) private var binWidth: Float { 4 }

/// What makes numbers of bins of parts: the binary logarithms of parts times width.
@inline(__always) private var guessBinShift: UInt32 { 6 }
@inline(__always) private var codeBinShift: UInt32 { 10 }

/// The tables that packing looks up, made anew for each panel: little work beside a panel of many columns.
struct LevelTables {
  /// Floats of memory that they take.
  @inline(__always) static var floatCount: Int { 7 &* BinTable.byteCount / 4 }

  private let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: MutableFloats) {
    self.memory = UnsafeMutableRawPointer(memory)
    // Greatest weights at the outermost level, somewhat inside and outside of it, with either sign: the levels reach
    // further down than up.
    fillLevels(0, 1 / 0.92)
    fillLevels(1, 1)
    fillLevels(2, 1 / 1.08)
    fillLevels(3, -1 / 0.92)
    fillLevels(4, -1)
    fillLevels(5, -1 / 1.08)
    codes.fill { bins in
      let start = bins * sixteen(binWidth)
      // The border below a bin's highest code, in halves of a unit from the bin's start; -1 where it lies before that.
      let last = start + sixteen(binWidth - 1 / codeParts)
      let place = (climb(last) { $0 == 0 ? -1000 : border($0) } - start) * sixteen(2)
      return climb(last) { Float($0) } + sixteen(16) * place.replacing(with: sixteen(-1), where: place .< sixteen(0))
    }
  }

  /// The level, in units, that the weights of a bin have by a guess, which multiplies them by `inverse`.
  @inline(__always) func levels(_ guess: Int) -> BinTable { BinTable(memory + guess &* BinTable.byteCount) }

  /// The highest code in a bin, and sixteen times the place of the border below it.
  @inline(__always) var codes: BinTable { BinTable(memory + 6 &* BinTable.byteCount) }

  @inline(__always) private func fillLevels(_ guess: Int, _ inverse: Float) {
    levels(guess).fill { bins in
      climb((bins + sixteen(0.5)) * sixteen(binWidth * inverse)) { Float(Int4Panels.level($0)) }
    }
  }
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

// MARK: - Scales

/// The scales of the least squared error among those that six first guesses lead to: the greatest weight need not be
/// met exactly. For fixed levels v the best scale is `sum x v / sum v v`, which lowers the error by
/// `(sum x v)^2 / sum v v`.
///
/// x: the first of a group's [32 columns, 16 rows]; norms: [lanes], what makes the greatest magnitude of each row 127.
/// The result is in such units.
@inline(__always) func bestScales(_ x: Floats, _ norms: FloatVector, _ tables: LevelTables) -> FloatVector {
  let parts = norms * splat(guessParts)
  var (a, b, c) = (Guess(tables.levels(0)), Guess(tables.levels(1)), Guess(tables.levels(2)))
  var (d, e, f) = (Guess(tables.levels(3)), Guess(tables.levels(4)), Guess(tables.levels(5)))
  var column = 0
  while column < 32 {
    let weights = roundedWords(load(x + column &* 16) * parts, load(x + (column &+ 1) &* 16) * parts)
    let bins = Bins(shiftedWords(weights, guessBinShift))
    a.add(weights, bins)
    b.add(weights, bins)
    c.add(weights, bins)
    d.add(weights, bins)
    e.add(weights, bins)
    f.add(weights, bins)
    column &+= 2
  }
  let best = better(better(a.outcome, b.outcome), better(better(c.outcome, d.outcome), better(e.outcome, f.outcome)))
  return best.scale * splat(1 / guessParts)
}

/// What a first guess of the scale leads to.
private struct Guess {
  private let levels: BinTable
  private var products = intSplat(0)
  private var squares = intSplat(0)

  @inline(__always) init(_ levels: BinTable) { self.levels = levels }

  @inline(__always) mutating func add(_ weights: IntVector, _ bins: Bins) {
    let level = levels.look(bins)
    products = addProducts(weights, level, products)
    squares = addProducts(level, level, squares)
  }

  @inline(__always) var outcome: Outcome {
    let (products, squares) = (converted(products), converted(squares))
    return (products * products / squares, products / squares)
  }
}

private typealias Outcome = (gain: FloatVector, scale: FloatVector)

@inline(__always) private func better(_ a: Outcome, _ b: Outcome) -> Outcome {
  let isBetter = b.gain .> a.gain
  return (a.gain.replacing(with: b.gain, where: isBetter), a.scale.replacing(with: b.scale, where: isBetter))
}

// MARK: - Codes

/// The codes of the levels nearest to eight columns [8, 16 rows] over their scale, as a pair of a panel's steps stores
/// them: columns 0 to 3 in the lower halves of a lane's bytes, 4 to 7 in the upper ones. inverse: [lanes].
@inline(__always) func nearestCodes(_ x: Floats, _ inverse: FloatVector, _ tables: LevelTables) -> IntVector {
  let parts = inverse * splat(codeParts)
  @inline(__always) func column(_ number: Int) -> FloatVector {
    // Beyond the outermost level; a NaN becomes the lowest.
    let v = larger(load(x + number &* 16) * parts, splat(-127 * codeParts))
    return v.replacing(with: splat(127 * codeParts), where: v .> splat(127 * codeParts))
  }
  /// Of columns `number` and `number + 2`.
  @inline(__always) func codes(_ number: Int) -> IntVector {
    let v = roundedWords(column(number), column(number &+ 2))
    let found = tables.codes.look(Bins(shiftedWords(v, codeBinShift)))
    // Both in parts, from the bin's start; a half unit is 128 parts.
    let place = v & intSplat(0x03FF_03FF)
    let border = found &<< intSplat(3) & intSplat(0xFF80_FF80)
    // The lowest code has a border below everything.
    return lessOneUnlessGreater(found & intSplat(0x000F_000F), place, border)
  }
  let low = codes(0) | codes(1) &<< intSplat(8)
  let high = codes(4) | codes(5) &<< intSplat(8)
  return low | high &<< intSplat(4)
}
