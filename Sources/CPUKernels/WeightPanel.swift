internal import CPlatform

// Weights decoded into columns for the outer tiles: a vector holds one column of as many rows as it has lanes. The
// stored bytes are transposed as 32-bit words, in pieces of 16 bytes a row, and widened afterwards. They are copied
// together first: rows a power of two apart share a few sets of the first cache and would be fetched again and again.

/// Bytes between the copied rows, for blocks of `depth` columns: an odd number of cache lines.
@inline(__always) private func copyStride(_ rowBytes: Int) -> Int { (rowBytes / 128) &* 128 &+ 192 }

/// Floats of working memory that `decodePanel` needs for blocks of `depth` columns.
@inline(__always) func panelScratch(_ depth: Int) -> Int { lanes &* copyStride(4 &* depth) / 4 &+ depth }

/// Rows `r..<r + known` of w, columns `begin..<end`, as to: [end - begin, 2 * lanes], scales multiplied in; rows past the
/// last known one are zero, or left alone where no row of their vector is known. work: `panelScratch(end - begin)` floats.
@inline(__always) func decodePanel(
  _ w: platform_matrix, _ r: Int, _ known: Int, _ begin: Int, _ end: Int, _ to: MutableFloats, _ work: MutableFloats
) {
  run(PanelJob(w: w, firstRow: r, known: known, begin: begin, end: end, to: to, work: work), w.type)
}

private struct PanelJob: FormatJob {
  let w: platform_matrix
  let firstRow: Int
  let known: Int
  let begin: Int
  let end: Int
  let to: MutableFloats
  let work: MutableFloats

  /// Behind the copied rows.
  @inline(__always) var line: MutableFloats { work + lanes &* copyStride(4 &* (end &- begin)) / 4 }

  /// Floats between columns.
  @inline(__always) var stride: Int { 2 &* lanes }

  @inline(never) func run<F: Format>(_: F.Type) {
    runVector(F.self, firstRow, known < lanes ? known : lanes, to)
    if known > lanes { runVector(F.self, firstRow &+ lanes, known &- lanes, to + lanes) }
  }

  /// The rows of one vector, a block of columns that share their scales at a time.
  @inline(__always) func runVector<F: Format>(_: F.Type, _ r: Int, _ known: Int, _ to: MutableFloats) {
    guard known == lanes else { return plain(F.self, r, known, begin, end, to) }
    let copies = copyRows(F.self, r)
    var from = begin
    while from < end {
      var next = end
      var factors = splat(1)
      if w.scales != nil {
        let block = from / w.column_block
        let blockEnd = (block &+ 1) &* w.column_block
        next = blockEnd < end ? blockEnd : end
        factors = rowFactors(r, block)
      }
      if F.isShifted { factors = factors * splat(0x1p120) }
      let whole = isFinite(factors) ? pieces(F.self, copies, from, next, factors, to) : from
      if whole < next { plain(F.self, r, known, whole, next, to) }
      from = next
    }
  }

  /// The stored bytes of a vector's rows, `copyStride` apart.
  @inline(__always) func copyRows<F: Format>(_: F.Type, _ r: Int) -> UnsafeRawPointer {
    let copies = UnsafeMutableRawPointer(work)
    guard let data = w.data else { return UnsafeRawPointer(copies) }
    let size = 4 &* lanes
    let count = (end &- begin) &* F.byteCount
    for lane in 0..<lanes {
      let from = data + ((r &+ lane) &* w.columns &+ begin) &* F.byteCount
      let to = copies + lane &* copyStride(count)
      var i = 0
      while i &+ size <= count {
        to.storeBytes(of: (from + i).loadUnaligned(as: IntVector.self), toByteOffset: i, as: IntVector.self)
        i &+= size
      }
      if i < count { (to + i).copyMemory(from: from + i, byteCount: count &- i) }
    }
    return UnsafeRawPointer(copies)
  }

  /// The scale of each row for a block of columns.
  @inline(__always) func rowFactors(_ r: Int, _ block: Int) -> FloatVector {
    let isOne = (w.first_row &+ r) / w.row_block == (w.first_row &+ r &+ lanes &- 1) / w.row_block
    var factors = splat(scale(w, rowScales(w, r), block))
    if !isOne { for lane in 1..<lanes { factors[lane] = scale(w, rowScales(w, r &+ lane), block) } }
    return factors
  }

  /// Whole pieces of columns from `from` on; returns where it stopped: at `from` when it met a NaN that `element` does
  /// not know.
  @inline(__always) func pieces<F: Format>(
    _: F.Type, _ copies: UnsafeRawPointer, _ from: Int, _ next: Int, _ factors: FloatVector, _ to: MutableFloats
  ) -> Int {
    let rowBytes = copyStride((end &- begin) &* F.byteCount)
    let piece = 16 / F.byteCount
    var seen = IntVector(repeating: 0)
    var c = from
    while c &+ piece <= next {
      let p = copies + (c &- begin) &* F.byteCount
      let words = transposed(
        gather(p, rowBytes), gather(p + rowBytes, rowBytes), gather(p + 2 &* rowBytes, rowBytes),
        gather(p + 3 &* rowBytes, rowBytes))
      let out = to + (c &- begin) &* stride
      let step = stride &* (piece / 4)
      put(F.self, words.0, factors, out, &seen)
      put(F.self, words.1, factors, out + step, &seen)
      put(F.self, words.2, factors, out + 2 &* step, &seen)
      put(F.self, words.3, factors, out + 3 &* step, &seen)
      c &+= piece
    }
    return F.foundNaN(seen) ? from : c
  }

  /// The elements of a vector of words, each one column.
  @inline(__always) func put<F: Format>(
    _: F.Type, _ words: IntVector, _ factors: FloatVector, _ out: MutableFloats, _ seen: inout IntVector
  ) {
    F.watch(words, &seen)
    store(F.element(words, 0) * factors, out)
    if F.byteCount < 4 { store(F.element(words, 1) * factors, out + stride) }
    if F.byteCount < 2 {
      store(F.element(words, 2) * factors, out + 2 &* stride)
      store(F.element(words, 3) * factors, out + 3 &* stride)
    }
  }

  /// Any columns of any rows, through `line`.
  @inline(__always) func plain<F: Format>(
    _: F.Type, _ r: Int, _ known: Int, _ from: Int, _ next: Int, _ to: MutableFloats
  ) {
    for lane in 0..<lanes {
      if lane < known { decode(F.self, w, r &+ lane, from, next, line) } else { clear(line, next &- from) }
      let out = to + ((from &- begin) &* stride &+ lane)
      for c in 0..<next &- from { out[c &* stride] = line[c] }
    }
  }
}

/// Sixteen bytes of every fourth row from `p` on.
@inline(__always) private func gather(_ p: UnsafeRawPointer, _ rowBytes: Int) -> IntVector {
  #if ISA_AVX512
    IntVector(
      lowHalf: SIMD8(lowHalf: fourWords(p), highHalf: fourWords(p + 4 &* rowBytes)),
      highHalf: SIMD8(lowHalf: fourWords(p + 8 &* rowBytes), highHalf: fourWords(p + 12 &* rowBytes)))
  #elseif ISA_AVX2
    IntVector(lowHalf: fourWords(p), highHalf: fourWords(p + 4 &* rowBytes))
  #else
    fourWords(p)
  #endif
}

@inline(__always) private func fourWords(_ p: UnsafeRawPointer) -> SIMD4<Int32> {
  p.loadUnaligned(as: SIMD4<Int32>.self)
}

/// Transposes four words by four vectors within each 16 bytes.
@inline(__always) private func transposed(
  _ a: IntVector, _ b: IntVector, _ c: IntVector, _ d: IntVector
) -> (IntVector, IntVector, IntVector, IntVector) {
  #if ISA_AVX512
    typealias Raw = __m512i
    let low32 = _mm512_unpacklo_epi32
    let high32 = _mm512_unpackhi_epi32
    let low64 = _mm512_unpacklo_epi64
    let high64 = _mm512_unpackhi_epi64
  #elseif ISA_AVX2
    typealias Raw = __m256i
    let low32 = _mm256_unpacklo_epi32
    let high32 = _mm256_unpackhi_epi32
    let low64 = _mm256_unpacklo_epi64
    let high64 = _mm256_unpackhi_epi64
  #endif
  #if ISA_AVX512 || ISA_AVX2
    let (ra, rb) = (unsafeBitCast(a, to: Raw.self), unsafeBitCast(b, to: Raw.self))
    let (rc, rd) = (unsafeBitCast(c, to: Raw.self), unsafeBitCast(d, to: Raw.self))
    let (ab, cd) = (low32(ra, rb), low32(rc, rd))
    let (ef, gh) = (high32(ra, rb), high32(rc, rd))
    return (
      unsafeBitCast(low64(ab, cd), to: IntVector.self), unsafeBitCast(high64(ab, cd), to: IntVector.self),
      unsafeBitCast(low64(ef, gh), to: IntVector.self), unsafeBitCast(high64(ef, gh), to: IntVector.self)
    )
  #else
    let (ab, cd) = (SIMD4(lowHalf: a.lowHalf, highHalf: b.lowHalf), SIMD4(lowHalf: c.lowHalf, highHalf: d.lowHalf))
    let (ef, gh) = (SIMD4(lowHalf: a.highHalf, highHalf: b.highHalf), SIMD4(lowHalf: c.highHalf, highHalf: d.highHalf))
    return (
      SIMD4(lowHalf: ab.evenHalf, highHalf: cd.evenHalf), SIMD4(lowHalf: ab.oddHalf, highHalf: cd.oddHalf),
      SIMD4(lowHalf: ef.evenHalf, highHalf: gh.evenHalf), SIMD4(lowHalf: ef.oddHalf, highHalf: gh.oddHalf)
    )
  #endif
}

@inline(__always) private func isFinite(_ v: FloatVector) -> Bool {
  !anyBit(unsafeBitCast((v - v) .!= zero, to: IntVector.self))
}
