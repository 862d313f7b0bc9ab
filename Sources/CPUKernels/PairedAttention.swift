#if ISA_AVX512
  internal import CPlatform

  /// Latent attention in products of bfloat16 pairs (`vdpbf16ps`): two in a lane, where float32 has one.
  ///
  /// Rows of bfloat16 are taken as they lie in memory; rows of bytes are rounded to bfloat16 once for all heads, which
  /// adds little to the rounding that they have behind them. Queries and weights of the softmax are rounded as well, by
  /// 2^-9 of their size at most; totals are those of the rounded weights, and all sums are float32.
  struct PairedSpan: LatentSpan {
    let rows: LatentRows
    var out: MutableFloats
    /// [rowBlock, width] bfloat16: rows that cannot be taken from where they are.
    let copies: UnsafeMutableRawPointer
    /// [rowBlock / 2, channelLanes]: a channel of two neighbouring rows.
    let values: UnsafeMutablePointer<Int32>
    /// [width / 2, headLanes]: two neighbouring channels of a head, scaled.
    let queries: UnsafeMutablePointer<Int32>
    let softmax: OnlineSoftmax

    /// Whether rows may be rounded, and no pair of channels crosses their border.
    @inline(__always) static func takes(_ rows: LatentRows) -> Bool {
      rows.type != Int32(PLATFORM_ROWS_FLOAT32) && rows.width & 1 == 0
    }

    /// Copies and values together take less room than `FloatSpan`'s block.
    @inline(__always) init(_ heads: Int, _ rows: LatentRows, _ out: MutableFloats, _ scratch: MutableFloats) {
      self.rows = rows
      self.out = out
      copies = UnsafeMutableRawPointer(scratch)
      values = (copies + rowBlock &* 2 &* rows.width).assumingMemoryBound(to: Int32.self)
      queries = values + rowBlock / 2 &* padded(rows.rank)
      let memory = UnsafeMutableRawPointer(queries + rows.width / 2 &* padded(heads))
      softmax = OnlineSoftmax(heads: heads, memory: memory.assumingMemoryBound(to: Float.self), blockRows: rowBlock)
    }

    @inline(__always) private var channelLanes: Int { padded(rows.rank) }
    @inline(__always) private var copyByteCount: Int { 2 &* rows.width }
    /// [rowBlock / 2, headLanes]: a head's weights of two neighbouring rows, in the place of the scores.
    @inline(__always) private var weights: UnsafeMutablePointer<Int32> {
      UnsafeMutableRawPointer(softmax.scores).assumingMemoryBound(to: Int32.self)
    }

    @inline(__always) func takeQueries(_ query: Floats, _ scale: Float) {
      let width = rows.width
      let few = copies.assumingMemoryBound(to: Float.self)
      let columns = UnsafeMutableRawPointer(queries).assumingMemoryBound(to: Float.self)
      turnQueries(softmax, width / 2, through: few, into: columns) { first, count in
        for i in 0..<count {
          storeBFloat16(query + (first &+ i) &* width, width, by: scale, copies + i &* copyByteCount)
        }
      }
    }

    @inline(__always) func attend(_ first: Int, _ known: Int, isFirst: Bool) {
      let block = take(first, known)
      var lines = linesAhead(first, known)
      score(block, known, &lines)
      var h = 0
      while h < softmax.headLanes {
        weigh(h, known)
        h &+= lanes
      }
      sum((known &+ 1) / 2, isFirst, &lines)
    }

    // MARK: - Rows

    /// The rows in bfloat16, behind each other.
    @inline(__always) private func take(_ first: Int, _ known: Int) -> UnsafeRawPointer {
      let isBFloat16 = rows.type == Int32(PLATFORM_ROWS_BFLOAT16)
      if isBFloat16, rows.positions == nil { return rows.address(first) }
      for i in 0..<known {
        let row = rows.address(rows.positions.map { Int($0[first &+ i]) } ?? first &+ i)
        let copy = copies + i &* copyByteCount
        if isBFloat16 { copy.copyMemory(from: row, byteCount: copyByteCount) } else { copyBytes(row, copy) }
      }
      return UnsafeRawPointer(copies)
    }

    /// A row of bytes (`rows.h`) as bfloat16.
    @inline(__always) private func copyBytes(_ row: UnsafeRawPointer, _ copy: UnsafeMutableRawPointer) {
      let rank = rows.rank
      let scale = (row + rank).loadUnaligned(as: Float.self)
      var c = 0
      while c &+ lanes <= rank {
        let rounded = platform_bfloat16(converted(widenBytes(row + c)) * splat(scale))
        (copy + 2 &* c).storeBytes(of: rounded, as: __m256i.self)
        c &+= lanes
      }
      while c < rank {
        var value = Float((row + c).load(as: Int8.self))
        storeBFloat16(&value, 1, by: scale, copy + 2 &* c)
        c &+= 1
      }
      (copy + 2 &* rank).copyMemory(from: row + (rank &+ 4), byteCount: 2 &* rows.rope)
    }

    /// Puts 32 channels from byte `c` of two rows side by side, in the place of the pair `pair`.
    @inline(__always) private func interleave(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: Int, _ pair: Int) {
      let (x, y) = ((a + c).loadUnaligned(as: __m512i.self), (b + c).loadUnaligned(as: __m512i.self))
      let out = UnsafeMutableRawPointer(values + pair &* channelLanes) + 2 &* c
      out.storeBytes(of: _mm512_permutex2var_epi16(x, lowerHalves, y), as: __m512i.self)
      (out + 64).storeBytes(of: _mm512_permutex2var_epi16(x, upperHalves, y), as: __m512i.self)
    }

    /// The same for the channels from byte `c` on, which fill no vector, and zeros in the lanes behind them.
    @inline(__always) private func interleaveLast(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ c: Int, _ pair: Int) {
      let target = values + pair &* channelLanes
      for i in c / 2..<channelLanes {
        let isChannel = i < rows.rank
        let x = isChannel ? (a + 2 &* i).loadUnaligned(as: UInt16.self) : 0
        let y = isChannel ? (b + 2 &* i).loadUnaligned(as: UInt16.self) : 0
        target[i] = Int32(bitPattern: UInt32(y) &<< 16 | UInt32(x))
      }
    }

    /// The next block's rows, spread over all steps of this block's scores and sums.
    @inline(__always) private func linesAhead(_ first: Int, _ known: Int) -> LinesAhead {
      let (next, byteCount) = rows.ahead(from: first &+ known)
      let scoreSteps = (known &+ 7) / 8 &* (softmax.headLanes / lanes) &* (rows.width / 4)
      let sumSteps = channelLanes / (4 &* lanes) &* (softmax.heads / 4) &* ((known &+ 1) / 2)
      let steps = scoreSteps &+ sumSteps
      return LinesAhead(next: next, step: steps > 0 ? (byteCount &+ steps &- 1) / steps : 0)
    }

    // MARK: - Scores and weights

    /// Scores of `known` rows, and their values in pairs. Those behind them in the last eight are the last row's: they
    /// are of no account, and the partner of an odd last row has a weight of zero.
    @inline(__always) private func score(_ block: UnsafeRawPointer, _ known: Int, _ lines: inout LinesAhead) {
      var t = 0
      while t < known {
        var h = 0
        while h < softmax.headLanes {
          scoreEight(block, t, known &- 1, h, &lines)
          h &+= lanes
        }
        t &+= 8
      }
    }

    /// Eight rows and the vector of heads at `h`. The first vector's pass puts the rows side by side for the sums as
    /// well: products are what it waits for, and there is room for loads and stores between them.
    @inline(__always) private func scoreEight(
      _ block: UnsafeRawPointer, _ t: Int, _ last: Int, _ h: Int, _ lines: inout LinesAhead
    ) {
      let headLanes = softmax.headLanes
      @inline(__always) func row(_ i: Int) -> UnsafeRawPointer {
        block + (t &+ i < last ? t &+ i : last) &* copyByteCount
      }
      let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3))
      let (r4, r5, r6, r7) = (row(4), row(5), row(6), row(7))
      var (s0, s1, s2, s3) = (zero, zero, zero, zero)
      var (s4, s5, s6, s7) = (zero, zero, zero, zero)
      var q = UnsafeRawPointer(queries + h)
      @inline(__always) func add(_ c: Int) {
        let v = q.loadUnaligned(as: __m512i.self)
        s0 = platform_dot_pairs(s0, v, broadcast(r0 + c))
        s1 = platform_dot_pairs(s1, v, broadcast(r1 + c))
        s2 = platform_dot_pairs(s2, v, broadcast(r2 + c))
        s3 = platform_dot_pairs(s3, v, broadcast(r3 + c))
        s4 = platform_dot_pairs(s4, v, broadcast(r4 + c))
        s5 = platform_dot_pairs(s5, v, broadcast(r5 + c))
        s6 = platform_dot_pairs(s6, v, broadcast(r6 + c))
        s7 = platform_dot_pairs(s7, v, broadcast(r7 + c))
        q += 4 &* headLanes
      }
      @inline(__always) func addTwo(_ c: Int) {
        lines.askForOne()
        add(c)
        add(c &+ 4)
      }
      var c = 0
      if h == 0 {
        while c &+ 64 <= 2 &* rows.rank {
          interleave(r0, r1, c, t / 2)
          interleave(r2, r3, c, t / 2 &+ 1)
          interleave(r4, r5, c, t / 2 &+ 2)
          interleave(r6, r7, c, t / 2 &+ 3)
          let end = c &+ 64
          while c < end {
            addTwo(c)
            c &+= 8
          }
        }
        interleaveLast(r0, r1, c, t / 2)
        interleaveLast(r2, r3, c, t / 2 &+ 1)
        interleaveLast(r4, r5, c, t / 2 &+ 2)
        interleaveLast(r6, r7, c, t / 2 &+ 3)
      }
      while c &+ 8 <= copyByteCount {
        addTwo(c)
        c &+= 8
      }
      if c < copyByteCount { add(c) }
      let out = softmax.scores + (t &* headLanes &+ h)
      store(s0, out)
      store(s1, out + headLanes)
      store(s2, out + 2 &* headLanes)
      store(s3, out + 3 &* headLanes)
      store(s4, out + 4 &* headLanes)
      store(s5, out + 5 &* headLanes)
      store(s6, out + 6 &* headLanes)
      store(s7, out + 7 &* headLanes)
    }

    /// Turns the scores of a vector of heads into rounded weights relative to the highest score so far.
    @inline(__always) private func weigh(_ h: Int, _ known: Int) {
      let base = softmax.raise(h, known)
      var total = load(softmax.totals + h)
      var t = 0
      while t < known {
        let even = rounded(exponential(load(softmax.place(t, h)) - base))
        let odd = rounded(exponential(load(softmax.place(t &+ 1, h)) - base))
        let upper = t &+ 1 < known ? _mm512_slli_epi32(odd, 16) : _mm512_setzero_si512()
        total += unsafeBitCast(_mm512_slli_epi32(even, 16), to: FloatVector.self)
        total += unsafeBitCast(upper, to: FloatVector.self)
        // The scores of both rows have been read, and those of one are written.
        let place = UnsafeMutableRawPointer(weights + (t / 2 &* softmax.headLanes &+ h))
        place.storeBytes(of: _mm512_or_si512(even, upper), as: __m512i.self)
        t &+= 2
      }
      store(total, softmax.totals + h)
    }

    /// Floats as bfloat16, in the lower halves of the lanes.
    @inline(__always) private func rounded(_ v: FloatVector) -> __m512i {
      _mm512_cvtepu16_epi32(platform_bfloat16(v))
    }

    // MARK: - Weighted sums

    /// Adds `pairs` pairs of weighted rows to what was summed before, as far as that still counts.
    @inline(__always) private func sum(_ pairs: Int, _ isFirst: Bool, _ lines: inout LinesAhead) {
      var c = 0
      while c < channelLanes {
        let isWide = c &+ 4 &* lanes <= channelLanes
        var h = 0
        if isWide {
          while h &+ 4 <= softmax.heads {
            sumWide(h, c, pairs, isFirst, &lines)
            h &+= 4
          }
        }
        let vectors = isWide ? 4 : 1
        while h < softmax.heads {
          for i in 0..<vectors { sumOne(h, c &+ i &* lanes, pairs, isFirst) }
          h &+= 1
        }
        c &+= vectors &* lanes
      }
    }

    /// Four heads, four vectors of channels.
    @inline(__always) private func sumWide(
      _ h: Int, _ c: Int, _ pairs: Int, _ isFirst: Bool, _ lines: inout LinesAhead
    ) {
      var (h0, h1, h2, h3) = (PairSums(), PairSums(), PairSums(), PairSums())
      var w = UnsafeRawPointer(weights + h)
      var v = UnsafeRawPointer(values + c)
      var left = pairs
      while left > 0 {
        let row = PairRow(v)
        lines.askForOne()
        h0.add(broadcast(w), row)
        h1.add(broadcast(w + 4), row)
        h2.add(broadcast(w + 8), row)
        h3.add(broadcast(w + 12), row)
        w += 4 &* softmax.headLanes
        v += 4 &* channelLanes
        left &-= 1
      }
      put(h0, h, c, isFirst)
      put(h1, h &+ 1, c, isFirst)
      put(h2, h &+ 2, c, isFirst)
      put(h3, h &+ 3, c, isFirst)
    }

    @inline(__always) private func sumOne(_ h: Int, _ c: Int, _ pairs: Int, _ isFirst: Bool) {
      var s = zero
      for i in 0..<pairs {
        let v = UnsafeRawPointer(values + (i &* channelLanes &+ c)).loadUnaligned(as: __m512i.self)
        s = platform_dot_pairs(s, v, broadcast(UnsafeRawPointer(weights + (i &* softmax.headLanes &+ h))))
      }
      put(s, h, c, isFirst)
    }

    @inline(__always) private func put(_ sums: PairSums, _ h: Int, _ c: Int, _ isFirst: Bool) {
      put(sums.s0, h, c, isFirst)
      put(sums.s1, h, c &+ lanes, isFirst)
      put(sums.s2, h, c &+ 2 &* lanes, isFirst)
      put(sums.s3, h, c &+ 3 &* lanes, isFirst)
    }

    @inline(__always) private func put(_ sum: FloatVector, _ h: Int, _ c: Int, _ isFirst: Bool) {
      let p = out + (h &* rows.rank &+ c)
      let factor = softmax.factors[h]
      if c &+ lanes <= rows.rank {
        store(isFirst ? sum : fused(load(p), splat(factor), sum), p)
      } else {
        for i in 0..<rows.rank &- c { p[i] = isFirst ? sum[i] : fused(p[i], factor, sum[i]) }
      }
    }
  }

  /// What is to be read next.
  private struct LinesAhead {
    var next: UnsafeRawPointer
    /// Bytes from one step to the next.
    let step: Int

    @inline(__always) mutating func askForOne() {
      platform_prefetch(next)
      next += step
    }
  }

  /// Four neighbouring vectors of channels of a pair of rows.
  private struct PairRow {
    let v0: __m512i
    let v1: __m512i
    let v2: __m512i
    let v3: __m512i

    @inline(__always) init(_ p: UnsafeRawPointer) {
      v0 = p.loadUnaligned(as: __m512i.self)
      v1 = (p + 64).loadUnaligned(as: __m512i.self)
      v2 = (p + 128).loadUnaligned(as: __m512i.self)
      v3 = (p + 192).loadUnaligned(as: __m512i.self)
    }
  }

  /// Their weighted sums for one head.
  private struct PairSums {
    var s0 = zero
    var s1 = zero
    var s2 = zero
    var s3 = zero

    @inline(__always) mutating func add(_ weights: __m512i, _ row: PairRow) {
      s0 = platform_dot_pairs(s0, row.v0, weights)
      s1 = platform_dot_pairs(s1, row.v1, weights)
      s2 = platform_dot_pairs(s2, row.v2, weights)
      s3 = platform_dot_pairs(s3, row.v3, weights)
    }
  }

  /// A pair in every lane.
  @inline(__always) private func broadcast(_ p: UnsafeRawPointer) -> __m512i {
    _mm512_set1_epi32(p.loadUnaligned(as: Int32.self))
  }

  /// Places of the first sixteen of 32 numbers, each before its partner of a second 32; and those of the others.
  @inline(__always) private var lowerHalves: __m512i { halves(0) }
  @inline(__always) private var upperHalves: __m512i { halves(16) }

  @inline(__always) private func halves(_ first: Int32) -> __m512i {
    let lane = IntVector(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) &+ IntVector(repeating: first)
    return unsafeBitCast(lane | (lane &+ IntVector(repeating: 32)) &<< IntVector(repeating: 16), to: __m512i.self)
  }
#endif
