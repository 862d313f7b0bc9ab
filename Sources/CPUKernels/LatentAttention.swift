internal import CPlatform

/// Latent rows of a block: decoded once for all heads, they stay in the second cache.
private let rowBlock = 32

/// Floats of scratch memory that `attendLatent` needs.
@inline(never) public func attendLatentScratch(_ heads: Int, _ rank: Int, _ rope: Int) -> Int {
  let width = padded(rank &+ rope)
  return width &* (rowBlock &+ heads) &+ heads &* (rowBlock &+ 2)
}

/// Absorbed latent attention of one token, with online softmax (Milakov and Gimelshein 2018) over blocks of rows.
///
/// query: [heads, rank + rope]; rows: [count, rank + rope], `rowStride` elements apart, float32 or bfloat16; out:
/// [heads, rank]; scratch: `attendLatentScratch(heads, rank, rope)` floats.
@inline(never) public func attendLatent(
  _ query: UnsafePointer<Float>, _ heads: Int, _ rows: UnsafeRawPointer, _ rowType: Int32, _ rowStride: Int,
  _ count: Int, _ rank: Int, _ rope: Int, _ scale: Float, _ out: UnsafeMutablePointer<Float>,
  _ scratch: UnsafeMutablePointer<Float>
) {
  let state = Attention(heads: heads, rank: rank, width: rank &+ rope, out: out, scratch: scratch)
  state.start(query, scale)
  var cache = platform_matrix()
  cache.data = rows
  cache.columns = rowStride
  var t = 0
  while t < count {
    let known = count &- t < rowBlock ? count &- t : rowBlock
    if rowType == Int32(PLATFORM_TYPE_FLOAT32) {
      state.decodeRows(Float32Format.self, cache, t, known)
    } else {
      state.decodeRows(BFloat16Format.self, cache, t, known)
    }
    state.attend(known)
    t &+= rowBlock
  }
  if count > 0 { state.finish() }
}

private struct Attention {
  let heads: Int
  let rank: Int
  let width: Int
  let out: MutableFloats
  let scratch: MutableFloats

  // The parts of the scratch memory.
  @inline(__always) var stride: Int { padded(width) }
  @inline(__always) var block: MutableFloats { scratch }  // [rowBlock, stride]
  @inline(__always) var queries: MutableFloats { block + rowBlock &* stride }  // [heads, stride], scaled
  @inline(__always) var scores: MutableFloats { queries + heads &* stride }  // [heads, rowBlock]
  @inline(__always) var tops: MutableFloats { scores + heads &* rowBlock }  // [heads]
  @inline(__always) var totals: MutableFloats { tops + heads }  // [heads]

  @inline(__always) func start(_ query: Floats, _ scale: Float) {
    for h in 0..<heads {
      let q = queries + h &* stride
      for c in 0..<width { q[c] = query[h &* width &+ c] * scale }
      clear(q + width, stride &- width)
      clear(out + h &* rank, rank)
      tops[h] = -.infinity
      totals[h] = 0
    }
  }

  /// Rows `t..<t + known` of the cache in float32; the rest of the last group of four is zero.
  @inline(__always) func decodeRows<F: Format>(_: F.Type, _ cache: platform_matrix, _ t: Int, _ known: Int) {
    for j in 0..<known {
      decode(F.self, cache, t &+ j, 0, width, block + j &* stride)
      clear(block + (j &* stride &+ width), stride &- width)
    }
    var j = known
    while j & 3 != 0 {
      clear(block + j &* stride, stride)
      j &+= 1
    }
  }

  @inline(__always) func attend(_ known: Int) {
    var j = 0
    while j < known {
      tiles(block + j &* stride, stride, queries, stride, heads, stride) { h, four in
        UnsafeMutableRawPointer(scores + (h &* rowBlock &+ j)).storeBytes(of: four, as: SIMD4<Float>.self)
      }
      j &+= 4
    }
    for h in 0..<heads { weigh(h, known) }
    var h = 0
    while h &+ 4 <= heads {
      accumulateFour(h, known)
      h &+= 4
    }
    while h < heads {
      accumulateOne(h, known)
      h &+= 1
    }
  }

  /// Turns a head's scores into weights relative to the highest score so far, and rescales what it has summed.
  @inline(__always) func weigh(_ h: Int, _ known: Int) {
    let s = scores + h &* rowBlock
    let blockTop = maximum(s, known)
    let top = blockTop > tops[h] ? blockTop : tops[h]
    // Nothing but -infinity so far: weights of zero, no NaN.
    let base = top == -.infinity ? 0 : top
    if top != tops[h] {
      let factor = exponential(splat(tops[h] - base))
      totals[h] *= factor[0]
      scaleRow(out + h &* rank, factor)
      tops[h] = top
    }
    totals[h] += exponentials(s, known, minus: base)
  }

  @inline(__always) func scaleRow(_ p: MutableFloats, _ factor: FloatVector) {
    var c = 0
    while c &+ lanes <= rank {
      store(load(p + c) * factor, p + c)
      c &+= lanes
    }
    while c < rank {
      p[c] *= factor[0]
      c &+= 1
    }
  }

  /// `out[h + j] += sum over t of weight[h + j, t] * row[t]` for j in 0..<4: a tile of four heads by two vectors.
  @inline(__always) func accumulateFour(_ h: Int, _ known: Int) {
    let p = scores + h &* rowBlock
    let o = out + h &* rank
    var c = 0
    while c &+ 2 &* lanes <= rank {
      var (h0, h1) = (HeadSums(o + c), HeadSums(o + (rank &+ c)))
      var (h2, h3) = (HeadSums(o + (2 &* rank &+ c)), HeadSums(o + (3 &* rank &+ c)))
      for t in 0..<known {
        let row = block + (t &* stride &+ c)
        let (v0, v1) = (load(row), load(row + lanes))
        h0.add(p[t], v0, v1)
        h1.add(p[rowBlock &+ t], v0, v1)
        h2.add(p[2 &* rowBlock &+ t], v0, v1)
        h3.add(p[3 &* rowBlock &+ t], v0, v1)
      }
      h0.put(o + c)
      h1.put(o + (rank &+ c))
      h2.put(o + (2 &* rank &+ c))
      h3.put(o + (3 &* rank &+ c))
      c &+= 2 &* lanes
    }
    for j in 0..<4 { accumulateRest(h &+ j, known, from: c) }
  }

  @inline(__always) func accumulateOne(_ h: Int, _ known: Int) { accumulateRest(h, known, from: 0) }

  /// Columns `from..<rank` of one head.
  @inline(__always) func accumulateRest(_ h: Int, _ known: Int, from: Int) {
    let p = scores + h &* rowBlock
    let o = out + h &* rank
    var c = from
    while c &+ lanes <= rank {
      var s = load(o + c)
      for t in 0..<known { s = fused(splat(p[t]), load(block + (t &* stride &+ c)), s) }
      store(s, o + c)
      c &+= lanes
    }
    while c < rank {
      for t in 0..<known { o[c] = fused(p[t], block[t &* stride &+ c], o[c]) }
      c &+= 1
    }
  }

  @inline(__always) func finish() {
    for h in 0..<heads { scaleRow(out + h &* rank, splat(1 / totals[h])) }
  }
}

/// Two vectors of a head's output while rows are added to it.
private struct HeadSums {
  private var s0: FloatVector
  private var s1: FloatVector

  @inline(__always) init(_ p: MutableFloats) {
    s0 = load(p)
    s1 = load(p + lanes)
  }

  @inline(__always) mutating func add(_ weight: Float, _ v0: FloatVector, _ v1: FloatVector) {
    s0 = fused(splat(weight), v0, s0)
    s1 = fused(splat(weight), v1, s1)
  }

  @inline(__always) func put(_ p: MutableFloats) {
    store(s0, p)
    store(s1, p + lanes)
  }
}
