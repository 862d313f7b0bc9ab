internal import CPlatform

/// Latent rows of a block, which is a page of the cache: decoded once for all heads, they stay in the second cache.
@inline(__always) private var rowBlock: Int { Int(PLATFORM_ROWS_IN_PAGE) }

/// Floats between decoded rows: rows a power of two apart would share a few sets of the cache.
@inline(__always) private func strideOf(_ width: Int) -> Int { padded(width) &+ 16 }

/// Absorbed latent attention of one token over rows `first..<first + count`, with online softmax (Milakov and
/// Gimelshein 2018) over blocks of rows; `combineSpans` joins the results of several spans and divides by the sums.
///
/// query: [heads, rank + rope]; pages, offset: rows as `rows.h` describes them, from position 0 on; positions: nil, or
/// the positions of the rows of which `first` and `count` then are places in this list; partial: what the span is worth,
/// [heads, rank] weighted sums, then [heads] greatest scores, then [heads] sums of weights; scratch:
/// `Kernels.latentScratchCount` floats. Vectors lie along the heads, so that neither scores nor weights are
/// ever summed across lanes.
@inline(never) public func attendLatent(
  _ query: UnsafePointer<Float>, _ heads: Int, _ pages: UnsafePointer<UnsafeRawPointer>, _ offset: Int,
  _ rowType: Int32, _ positions: UnsafePointer<Int32>?, _ first: Int, _ count: Int, _ rank: Int, _ rope: Int,
  _ scale: Float, _ partial: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
) {
  let span = LatentSpan(
    heads: heads, rank: rank, width: rank &+ rope, pages: pages, offset: offset, type: rowType, positions: positions,
    out: partial, scratch: scratch)
  span.start(query, scale)
  let end = first &+ count
  var t = first
  repeat {
    let left = rowBlock &- t % rowBlock
    let known = end &- t < left ? end &- t : left
    span.attend(t, known, isFirst: t == first, isLast: t &+ known == end)
    t &+= known
  } while t < end
  span.finish()
}

private struct LatentSpan {
  let heads: Int
  let rank: Int
  let width: Int
  let pages: UnsafePointer<UnsafeRawPointer>
  let offset: Int
  let type: Int32
  let positions: UnsafePointer<Int32>?
  /// [heads, rank], then tops and totals.
  let out: MutableFloats
  let scratch: MutableFloats

  // The parts of the scratch memory; "lanes of heads" are padded with heads whose queries are zero.
  @inline(__always) var headLanes: Int { padded(heads) }
  @inline(__always) var stride: Int { strideOf(width) }
  @inline(__always) var block: MutableFloats { scratch }  // [rowBlock, stride]
  @inline(__always) var queries: MutableFloats { block + rowBlock &* stride }  // [width, headLanes], scaled
  @inline(__always) var scores: MutableFloats { queries + width &* headLanes }  // [rowBlock, headLanes]
  @inline(__always) var tops: MutableFloats { scores + rowBlock &* headLanes }  // [headLanes]
  @inline(__always) var totals: MutableFloats { tops + headLanes }  // [headLanes]
  @inline(__always) var factors: MutableFloats { totals + headLanes }  // [headLanes]

  @inline(__always) func start(_ query: Floats, _ scale: Float) {
    for c in 0..<width {
      let q = queries + c &* headLanes
      for h in 0..<heads { q[h] = query[h &* width &+ c] * scale }
      for h in heads..<headLanes { q[h] = 0 }
    }
    for h in 0..<headLanes {
      tops[h] = -.infinity
      totals[h] = 0
    }
  }

  /// Rows `first..<first + known`: all of one page, or at these places of the list.
  @inline(__always) func attend(_ first: Int, _ known: Int, isFirst: Bool, isLast: Bool) {
    let size = rowByteCount(type, rank, width &- rank)
    let rows = pages[first / rowBlock] + (offset &+ first % rowBlock &* size)
    var decoded = Floats(block)
    var apart = stride
    if let positions {
      gather(positions + first, known, size)
    } else if type == Int32(PLATFORM_ROWS_FLOAT32) {
      // They lie in memory as they are needed.
      decoded = rows.assumingMemoryBound(to: Float.self)
      apart = width
    } else {
      loadRows(rows, type, rank, width &- rank, known, block, stride)
    }
    // By the time the next page's rows are needed, they have come from memory. At the last page it is in vain, and rows
    // of a list lie anywhere.
    let half = (rowBlock &* size) / 2
    let next = isLast || positions != nil ? rows : pages[first / rowBlock &+ 1] + offset
    multiplyOuter(
      decoded, apart, 1, known, queries, headLanes, headLanes, width, scores, headLanes, false, ahead: next, half)
    var h = 0
    while h < headLanes {
      weigh(h, known)
      h &+= lanes
    }
    if !isFirst { rescale() }
    multiplyOuter(
      scores, 1, headLanes, heads, decoded, apart, rank, known, out, rank, !isFirst, ahead: next + half, half)
  }

  @inline(__always) func gather(_ positions: UnsafePointer<Int32>, _ count: Int, _ size: Int) {
    for i in 0..<count {
      let position = Int(positions[i])
      let row = pages[position / rowBlock] + (offset &+ position % rowBlock &* size)
      loadRows(row, type, rank, width &- rank, 1, block + i &* stride, stride)
    }
  }

  /// Turns the scores of a vector of heads into weights relative to the highest score so far.
  @inline(__always) func weigh(_ h: Int, _ known: Int) {
    let s = scores + h
    let before = load(tops + h)
    var top = before
    for t in 0..<known { top = larger(load(s + t &* headLanes), top) }
    // Nothing but -infinity so far: weights of zero, no NaN.
    let base = top.replacing(with: zero, where: top .== splat(-.infinity))
    let factor = exponential(before - base)
    var total = load(totals + h) * factor
    for t in 0..<known {
      let weight = exponential(load(s + t &* headLanes) - base)
      store(weight, s + t &* headLanes)
      total += weight
    }
    store(top, tops + h)
    store(total, totals + h)
    store(factor, factors + h)
  }

  /// What was summed before is worth less where a higher score came.
  @inline(__always) func rescale() {
    for h in 0..<heads where factors[h] != 1 { scaleFloats(out + h &* rank, rank, factors[h]) }
  }

  @inline(__always) func finish() {
    for h in 0..<heads {
      out[heads &* rank &+ h] = tops[h]
      out[heads &* (rank &+ 1) &+ h] = totals[h]
    }
  }
}

@inline(__always) func scaleFloats(_ p: MutableFloats, _ count: Int, _ factor: Float) {
  var c = 0
  while c &+ lanes <= count {
    store(load(p + c) * splat(factor), p + c)
    c &+= lanes
  }
  while c < count {
    p[c] *= factor
    c &+= 1
  }
}

/// Joins one head's spans: out [rank] = the softmax-weighted sum of the rows of all `spans` (at least 1) spans.
///
/// partials: results of `attendLatent` for `heads` heads, `stride` floats from one to the next, added in that order.
@inline(never) public func combineSpans(
  _ partials: UnsafePointer<Float>, _ stride: Int, _ spans: Int, _ heads: Int, _ head: Int, _ rank: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  let tops = partials + (heads &* rank &+ head)
  var top = -Float.infinity
  for s in 0..<spans where tops[s &* stride] > top { top = tops[s &* stride] }
  let base = top == -.infinity ? 0 : top
  var total: Float = 0
  for s in 0..<spans {
    let weight = exponential(splat(tops[s &* stride] - base))[0]
    total = fused(weight, tops[s &* stride &+ heads], total)
    let span = partials + (s &* stride &+ head &* rank)
    var c = 0
    while c &+ lanes <= rank {
      let v = load(span + c)
      store(s == 0 ? v * splat(weight) : fused(splat(weight), v, load(out + c)), out + c)
      c &+= lanes
    }
    while c < rank {
      out[c] = s == 0 ? span[c] * weight : fused(weight, span[c], out[c])
      c &+= 1
    }
  }
  scaleFloats(out, rank, 1 / total)
}
