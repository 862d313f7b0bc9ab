internal import CPlatform

// Few rows of x: four rows of weights at a time, each lane of a sum adding up its columns in order. A result therefore
// has the same bits whatever the number of x, the rows of the task and the rows beside it.

/// Rows of x in one pass over four rows of weights: their sums must stay in registers.
#if ISA_AVX512 || ISA_NEON
  @inline(__always) private var passWidth: Int { 4 }
#else
  @inline(__always) private var passWidth: Int { 2 }
#endif

/// Floats of scratch memory that `multiplyVectors` needs.
@inline(never) func multiplyVectorsScratch(_ columns: Int, _ count: Int) -> Int {
  let widestGroup = 4 &* lanes
  return (columns / widestGroup &+ 1) &* widestGroup &* (count &+ 1) &+ 4 &* lanes &+ count &+ 1
}

/// The product for few x: each row of weights is read from memory once.
///
/// scratch: `multiplyVectorsScratch(w.columns, count)` floats, aligned to a vector.
@inline(never) func multiplyVectors(_ product: UnsafePointer<platform_product>) {
  let p = product.pointee
  let job = VectorJob(
    w: p.w, first: p.first, last: p.last, following: p.following, x: p.x, xStride: p.x_stride, count: p.count, y: p.y,
    yStride: p.y_stride, scratch: p.scratch)
  run(job, p.w.type)
}

private struct VectorJob: FormatJob {
  let w: platform_matrix
  let first: Int
  let last: Int
  let following: Int
  let x: Floats
  let xStride: Int
  let count: Int
  let y: MutableFloats
  let yStride: Int
  let scratch: MutableFloats

  /// Rows that share their scales run together: x carries the scales of their columns.
  @inline(never) func run<F: Format>(_: F.Type) {
    guard let data = w.data else { return }
    prefetchBeginning(data + first &* w.columns &* F.byteCount, (last &- first) &* w.columns &* F.byteCount)
    var r = first
    while r < last {
      var end = last
      if w.scales != nil {
        let block = (w.first_row &+ r) / w.row_block &+ 1
        end = block &* w.row_block &- w.first_row < last ? block &* w.row_block &- w.first_row : last
      }
      if r == first || w.scales != nil { pack(F.self, r) }
      runRows(F.self, data, r, end)
      r = end
    }
  }

  // MARK: - The parts of the scratch memory

  /// Columns that come from one vector of stored bytes of each row.
  @inline(__always) func group<F: Format>(_: F.Type) -> Int { F.parts &* lanes }
  @inline(__always) func wholeGroups<F: Format>(_: F.Type) -> Int { w.columns / group(F.self) }
  @inline(__always) func groups<F: Format>(_: F.Type) -> Int { (w.columns &+ group(F.self) &- 1) / group(F.self) }

  /// The last columns of four rows: as many bytes as a vector for each, zero past the row's end.
  @inline(__always) var tails: UnsafeMutableRawPointer { UnsafeMutableRawPointer(scratch) }

  /// The panel of the pass that begins with row `i` of x: [groups, x of the pass, F.parts, lanes].
  @inline(__always) func panel<F: Format>(_: F.Type, _ i: Int) -> MutableFloats {
    scratch + (4 &* lanes &+ i &* groups(F.self) &* group(F.self))
  }

  /// One x before it is put into order.
  @inline(__always) func line<F: Format>(_: F.Type) -> MutableFloats { panel(F.self, count) }

  /// What to multiply the results with after `Float8Format.rebias`: a factor for each x, then one for the scales.
  @inline(__always) func factors<F: Format>(_: F.Type) -> MutableFloats { panel(F.self, count &+ 1) }

  @inline(__always) func passCount(_ i: Int) -> Int { count &- i < passWidth ? count &- i : passWidth }

  // MARK: - Packing

  /// All x in the order of their columns in F's parts, multiplied by the scales of row `r`.
  @inline(__always) func pack<F: Format>(_: F.Type, _ r: Int) {
    let size = group(F.self)
    let padded = groups(F.self) &* size
    let line = line(F.self)
    let scales = rowScales(w, r)
    let scaleExponent = F.isShifted ? centring(largestScale(scales)) : 0
    factors(F.self)[count] = powerOfTwo(centre &- scaleExponent)
    var i = 0
    while i < count {
      let members = passCount(i)
      for j in 0..<members {
        let xs = x + (i &+ j) &* xStride
        let exponent = F.isShifted ? centring(largestMagnitude(xs, w.columns)) : 0
        factors(F.self)[i &+ j] = powerOfTwo(centre &- exponent)
        scaled(xs, scales, exponent, scaleExponent, line, padded)
        var g = 0
        var to = panel(F.self, i) + j &* size
        while g < padded {
          F.order(line + g, to)
          g &+= size
          to += members &* size
        }
      }
      i &+= members
    }
  }

  /// `to = from * 2^exponent * scale * 2^scaleExponent`, then zeroes up to `width`.
  @inline(__always) func scaled(
    _ from: Floats, _ scales: UnsafeRawPointer?, _ exponent: Int, _ scaleExponent: Int, _ to: MutableFloats,
    _ width: Int
  ) {
    let block = scales == nil ? w.columns : w.column_block
    var begin = 0
    var index = 0
    while begin < w.columns {
      let end = block < w.columns &- begin ? begin &+ block : w.columns
      let factor = scale(w, scales, index) * powerOfTwo(scaleExponent)
      let (f, g) = (splat(powerOfTwo(exponent)), splat(factor))
      var c = begin
      while c &+ lanes <= end {
        store(load(from + c) * f * g, to + c)
        c &+= lanes
      }
      while c < end {
        to[c] = from[c] * f[0] * factor
        c &+= 1
      }
      begin = end
      index &+= 1
    }
    clear(to + w.columns, width &- w.columns)
  }

  @inline(__always) func largestScale(_ scales: UnsafeRawPointer?) -> Float {
    guard scales != nil else { return 1 }
    var top: Float = 0
    var block = 0
    while block &* w.column_block < w.columns {
      let size = scale(w, scales, block).magnitude
      if size > top { top = size }
      block &+= 1
    }
    return top
  }

  // MARK: - Products

  @inline(__always) func runRows<F: Format>(_: F.Type, _ data: UnsafeRawPointer, _ begin: Int, _ end: Int) {
    let stride = w.columns &* F.byteCount
    let order = ReadingOrder(data: data, stride: stride, last: last, following: following)
    let ahead = leastAhead > 4 &* stride ? leastAhead : 4 &* stride
    var r = begin
    while r < end {
      let known = end &- r < 4 ? end &- r : 4
      let rows = RowPointers(data + r &* stride, stride, known)
      let next = order.address(r &* stride &+ ahead) ?? rows.p0
      copyTails(F.self, rows)
      var i = 0
      while i < count {
        switch passCount(i) {
        case 1: pass(F.self, OneSum.self, rows, next, i, r, known)
        case 2: pass(F.self, TwoSums.self, rows, next, i, r, known)
        case 3: pass(F.self, ThreeSums.self, rows, next, i, r, known)
        default: pass(F.self, FourSums.self, rows, next, i, r, known)
        }
        i &+= passWidth
      }
      r &+= 4
    }
  }

  /// Four rows against the `S.count` rows of x from `i` on. A function of its own, because the compiler stops inlining
  /// what its loop needs once a function is large.
  @inline(never) func pass<F: Format, S: VectorSums>(
    _: F.Type, _: S.Type, _ rows: RowPointers, _ next: UnsafeRawPointer, _ i: Int, _ r: Int, _ known: Int
  ) {
    let whole = wholeGroups(F.self)
    let xs = Floats(panel(F.self, i))
    var sums = S()
    var seen = IntVector(repeating: 0)
    add(F.self, &sums, &seen, rows, xs, whole, next)
    if whole < groups(F.self) {
      let ends = RowPointers(UnsafeRawPointer(tails), 4 &* lanes, 4)
      add(F.self, &sums, &seen, ends, xs + whole &* S.count &* group(F.self), 1, ends.p0)
    }
    sums.finish { put(F.self, $1, i &+ $0, r, known) }
    if F.foundNaN(seen) { putNaN(F.self, i, S.count, r, known) }
  }

  /// `groups` vectors of stored bytes of each row; x: [groups, S.count, F.parts, lanes].
  @inline(__always) func add<F: Format, S: VectorSums>(
    _: F.Type, _ sums: inout S, _ seen: inout IntVector, _ rows: RowPointers, _ x: Floats, _ groups: Int,
    _ next: UnsafeRawPointer
  ) {
    let size = 4 &* lanes
    let step = F.parts &* lanes
    var x = x
    var next = next
    var i = 0
    while i < groups &* size {
      prefetchFar(next)
      F.watch(rows.p0, i, &seen)
      F.watch(rows.p1, i, &seen)
      F.watch(rows.p2, i, &seen)
      F.watch(rows.p3, i, &seen)
      sums.add(FourVectors(F.self, rows, i, 0), x, step)
      if F.parts > 1 { sums.add(FourVectors(F.self, rows, i, 1), x + lanes, step) }
      if F.parts > 2 {
        sums.add(FourVectors(F.self, rows, i, 2), x + 2 &* lanes, step)
        sums.add(FourVectors(F.self, rows, i, 3), x + 3 &* lanes, step)
      }
      i &+= size
      x += S.count &* step
      next += 4 &* size
    }
  }

  @inline(__always) func put<F: Format>(_: F.Type, _ sums: SIMD4<Float>, _ i: Int, _ r: Int, _ known: Int) {
    let out = y + (i &* yStride &+ r &- first)
    var four = sums
    if F.isShifted {
      let factors = factors(F.self)
      four = four * SIMD4(repeating: 0x1p60) * SIMD4(repeating: factors[count]) * SIMD4(repeating: factors[i])
    }
    if known == 4 {
      UnsafeMutableRawPointer(out).storeBytes(of: four, as: SIMD4<Float>.self)
    } else {
      for j in 0..<known { out[j] = four[j] }
    }
  }

  /// Looks which of the rows hold the NaN that was seen.
  @inline(__always) func putNaN<F: Format>(_: F.Type, _ i: Int, _ members: Int, _ r: Int, _ known: Int) {
    guard let data = w.data else { return }
    for j in 0..<known {
      let row = data + (r &+ j) &* w.columns &* F.byteCount
      var c = 0
      while c < w.columns, !F.loadOne(row, c).isNaN { c &+= 1 }
      guard c < w.columns else { continue }
      for k in 0..<members { y[(i &+ k) &* yStride &+ r &+ j &- first] = .nan }
    }
  }

  @inline(__always) func copyTails<F: Format>(_: F.Type, _ rows: RowPointers) {
    let whole = wholeGroups(F.self)
    let size = 4 &* lanes
    let rest = w.columns &* F.byteCount &- whole &* size
    guard rest > 0 else { return }
    for j in 0..<4 {
      let to = tails + j &* size
      to.storeBytes(of: IntVector(repeating: 0), as: IntVector.self)
      to.copyMemory(from: rows[j] + whole &* size, byteCount: rest)
    }
  }
}

// MARK: - What stays in registers

/// Where four rows of stored bytes begin; past the last known row, that row again.
private struct RowPointers {
  let p0: UnsafeRawPointer
  let p1: UnsafeRawPointer
  let p2: UnsafeRawPointer
  let p3: UnsafeRawPointer

  @inline(__always) init(_ p: UnsafeRawPointer, _ stride: Int, _ known: Int) {
    p0 = p
    p1 = known > 1 ? p + stride : p
    p2 = known > 2 ? p + 2 &* stride : p
    p3 = known > 3 ? p + 3 &* stride : p
  }

  @inline(__always) subscript(_ j: Int) -> UnsafeRawPointer { j == 0 ? p0 : j == 1 ? p1 : j == 2 ? p2 : p3 }
}

/// Part `k` of the vectors of stored bytes `i` bytes into four rows.
private struct FourVectors {
  let a0: FloatVector
  let a1: FloatVector
  let a2: FloatVector
  let a3: FloatVector

  @inline(__always) init<F: Format>(_: F.Type, _ rows: RowPointers, _ i: Int, _ k: Int) {
    a0 = F.part(rows.p0 + i, k)
    a1 = F.part(rows.p1 + i, k)
    a2 = F.part(rows.p2 + i, k)
    a3 = F.part(rows.p3 + i, k)
  }
}

/// The sums of four rows with `count` rows of x. Named and nested, because an array would go through memory.
private protocol VectorSums {
  static var count: Int { get }
  init()
  /// Row `j` of x has its vector at `x + j * step`.
  mutating func add(_ rows: FourVectors, _ x: Floats, _ step: Int)
  /// Hands over each x's index and its sums.
  func finish(_ body: (Int, SIMD4<Float>) -> Void)
}

private struct OneSum: VectorSums {
  @inline(__always) static var count: Int { 1 }
  var s0 = zero
  var s1 = zero
  var s2 = zero
  var s3 = zero

  @inline(__always) mutating func add(_ rows: FourVectors, _ x: Floats, _ step: Int) {
    let v = load(x)
    s0 = fused(rows.a0, v, s0)
    s1 = fused(rows.a1, v, s1)
    s2 = fused(rows.a2, v, s2)
    s3 = fused(rows.a3, v, s3)
  }

  @inline(__always) func finish(_ body: (Int, SIMD4<Float>) -> Void) { body(0, laneSums(s0, s1, s2, s3)) }
}

private struct TwoSums: VectorSums {
  @inline(__always) static var count: Int { 2 }
  var a = OneSum()
  var b = OneSum()

  @inline(__always) mutating func add(_ rows: FourVectors, _ x: Floats, _ step: Int) {
    a.add(rows, x, step)
    b.add(rows, x + step, step)
  }

  @inline(__always) func finish(_ body: (Int, SIMD4<Float>) -> Void) {
    a.finish(body)
    b.finish { body(1, $1) }
  }
}

private struct ThreeSums: VectorSums {
  @inline(__always) static var count: Int { 3 }
  var a = TwoSums()
  var b = OneSum()

  @inline(__always) mutating func add(_ rows: FourVectors, _ x: Floats, _ step: Int) {
    a.add(rows, x, step)
    b.add(rows, x + 2 &* step, step)
  }

  @inline(__always) func finish(_ body: (Int, SIMD4<Float>) -> Void) {
    a.finish(body)
    b.finish { body(2, $1) }
  }
}

private struct FourSums: VectorSums {
  @inline(__always) static var count: Int { 4 }
  var a = TwoSums()
  var b = TwoSums()

  @inline(__always) mutating func add(_ rows: FourVectors, _ x: Floats, _ step: Int) {
    a.add(rows, x, step)
    b.add(rows, x + 2 &* step, step)
  }

  @inline(__always) func finish(_ body: (Int, SIMD4<Float>) -> Void) {
    a.finish(body)
    b.finish { body($0 &+ 2, $1) }
  }
}

/// As many lines as an iteration takes: a vector of each of four rows.
@inline(__always) private func prefetchFar(_ p: UnsafeRawPointer) {
  platform_prefetch_second(p)
  #if ISA_AVX512
    platform_prefetch_second(p + 64)
    platform_prefetch_second(p + 128)
    platform_prefetch_second(p + 192)
  #elseif ISA_AVX2
    platform_prefetch_second(p + 64)
  #endif
}

// MARK: - The range of float8

/// Float8 parts come 2^-120 times too small, some below the normal numbers. Powers of two bring x and scales to about
/// 2^centre, so that no product of theirs is lost, whatever their size.
let centre = 30

/// The exponent that brings `size` to 2^centre: 0 for zero, infinity and NaN.
@inline(__always) func centring(_ size: Float) -> Int {
  guard size > 0, size < .infinity else { return 0 }
  let exponent = Int(size.bitPattern &>> 23) &- 127
  return centre &- exponent < 126 ? centre &- exponent : 126
}

/// 2^n for n in -126...127.
@inline(__always) func powerOfTwo(_ n: Int) -> Float {
  Float(bitPattern: UInt32(truncatingIfNeeded: n &+ 127) &<< 23)
}

/// The largest magnitude; a NaN is passed over.
@inline(__always) func largestMagnitude(_ x: Floats, _ count: Int) -> Float {
  let magnitude = intSplat(0x7FFF_FFFF)
  var tops = zero
  var i = 0
  while i &+ lanes <= count {
    tops = larger(floats(bits(load(x + i)) & magnitude), tops)
    i &+= lanes
  }
  var top = largest(tops)
  while i < count {
    if x[i].magnitude > top { top = x[i].magnitude }
    i &+= 1
  }
  return top
}
