internal import CPlatform

/// Latent rows of a block, which is a page of the cache: decoded once for all heads, they stay in the second cache.
@inline(__always) var rowBlock: Int { Int(PLATFORM_POSITIONS_PER_PAGE) }

/// Floats between decoded rows: rows a power of two apart would share a few sets of the cache.
@inline(__always) private func strideOf(_ width: Int) -> Int { padded(width) &+ 16 }

/// Absorbed latent attention of one token over rows `first..<first + count`, in spans. Online softmax (Milakov and
/// Gimelshein 2018) over blocks of a span's rows; `combineSpans` joins the results of several spans and divides by the
/// sums. Vectors lie along the heads, so that neither scores nor weights are ever summed across lanes.
@inline(never) func attendLatent(_ latent: UnsafePointer<platform_latent>) {
  let l = latent.pointee
  let rows = LatentRows(
    pages: l.pages, offset: l.offset, format: l.format, positions: l.positions, end: l.first &+ l.count)
  // The first block, which nothing has asked for, comes while queries are turned.
  let (block, byteCount) = rows.ahead(from: l.first)
  prefetchLines(block, byteCount)
  #if ISA_AVX512
    if PairedSpan.takes(rows) {
      var span = PairedSpan(l.heads, rows, l.partials, l.scratch)
      span.takeQueries(l.query, l.scale)
      attend(&span, l.first, l.span_length, l.stride)
      return
    }
  #endif
  var span = FloatSpan(l.heads, rows, l.partials, l.scratch)
  span.takeQueries(l.query, l.scale)
  attend(&span, l.first, l.span_length, l.stride)
}

/// The rows that a thread attends to for now.
struct LatentRows {
  let pages: UnsafePointer<UnsafeRawPointer>
  let offset: Int
  let format: platform_row_format
  let positions: UnsafePointer<Int32>?
  /// Behind the last of them.
  let end: Int

  @inline(__always) var type: Int32 { format.type }
  @inline(__always) var rank: Int { format.rank }
  @inline(__always) var rope: Int { format.rope }
  @inline(__always) var width: Int { rank &+ rope }
  @inline(__always) var byteCount: Int { platform_row_byte_count(format) }

  /// Where the row of a position lies; the rest of its page follows.
  @inline(__always) func address(_ position: Int) -> UnsafeRawPointer {
    pages[position / rowBlock] + (offset &+ position % rowBlock &* byteCount)
  }
}

/// A span of rows while it is attended to.
protocol LatentSpan {
  var rows: LatentRows { get }
  var softmax: OnlineSoftmax { get }
  /// Where its result goes: [heads, rank] sums, then highest scores and totals.
  var out: MutableFloats { get set }
  /// Queries [heads, width], which are multiplied by `scale`, of this span and those behind it.
  func takeQueries(_ query: Floats, _ scale: Float)
  /// Rows `first..<first + known`: all of one page, or at these places of the list of positions.
  func attend(_ first: Int, _ known: Int, isFirst: Bool)
}

/// All rows from `first` on, a span after the other.
@inline(__always) private func attend<S: LatentSpan>(_ span: inout S, _ first: Int, _ spanLength: Int, _ stride: Int) {
  let end = span.rows.end
  var start = first
  repeat {
    let last = end &- start < spanLength ? end : start &+ spanLength
    span.softmax.start()
    var t = start
    repeat {
      let left = rowBlock &- t % rowBlock
      let known = last &- t < left ? last &- t : left
      span.attend(t, known, isFirst: t == start)
      t &+= known
    } while t < last
    span.softmax.finish(span.out + span.softmax.heads &* span.rows.rank)
    span.out += stride
    start = last
  } while start < end
}

/// Queries of `width` floats each, or of pairs moved as if they were floats, as columns: [width, headLanes].
///
/// `take(first, count)` puts those of four heads at most into `few` [4, width]. Lanes without a head are zero.
@inline(__always) func turnQueries(
  _ softmax: OnlineSoftmax, _ width: Int, through few: MutableFloats, into columns: MutableFloats,
  _ take: (_ first: Int, _ count: Int) -> Void
) {
  let (heads, headLanes) = (softmax.heads, softmax.headLanes)
  var h = 0
  while h < heads {
    let count = heads &- h < 4 ? heads &- h : 4
    take(h, count)
    var rows = platform_floats(data: few, stride: width, rows: count, columns: width)
    transpose(&rows, columns + h, headLanes)
    h &+= count
  }
  for h in heads..<headLanes {
    for c in 0..<width { columns[c &* headLanes &+ h] = 0 }
  }
}

/// In float32, whatever the rows are.
private struct FloatSpan: LatentSpan {
  let rows: LatentRows
  var out: MutableFloats
  let block: MutableFloats  // [rowBlock, stride]
  let queries: MutableFloats  // [width, headLanes], scaled
  let softmax: OnlineSoftmax

  @inline(__always) init(_ heads: Int, _ rows: LatentRows, _ out: MutableFloats, _ scratch: MutableFloats) {
    self.rows = rows
    self.out = out
    block = scratch
    queries = block + rowBlock &* strideOf(rows.width)
    softmax = OnlineSoftmax(heads: heads, memory: queries + rows.width &* padded(heads), blockRows: rowBlock)
  }

  @inline(__always) func takeQueries(_ query: Floats, _ scale: Float) {
    let width = rows.width
    turnQueries(softmax, width, through: block, into: queries) { first, count in
      block.update(from: query + first &* width, count: count &* width)
      scaleFloats(block, count &* width, scale)
    }
  }

  @inline(__always) func attend(_ first: Int, _ known: Int, isFirst: Bool) {
    let (rank, width, headLanes) = (rows.rank, rows.width, softmax.headLanes)
    var decoded = Floats(block)
    var apart = strideOf(width)
    var format = rows.format
    if let positions = rows.positions {
      for i in 0..<known {
        loadRows(rows.address(Int(positions[first &+ i])), 1, &format, block + i &* apart, apart)
      }
    } else if rows.type == Int32(PLATFORM_ROWS_FLOAT32) {
      // They lie in memory as they are needed.
      decoded = rows.address(first).assumingMemoryBound(to: Float.self)
      apart = width
    } else {
      loadRows(rows.address(first), known, &format, block, apart)
    }
    let (next, byteCount) = rows.ahead(from: first &+ known)
    let half = byteCount / 2
    var scores = platform_outer_product(
      a: decoded, a_row: apart, a_step: 1, rows: known, b: queries, b_row: headLanes, columns: headLanes, depth: width,
      c: softmax.scores, c_row: headLanes, accumulate: false)
    multiplyOuter(&scores, ahead: next, half)
    var h = 0
    while h < headLanes {
      weigh(h, known)
      h &+= lanes
    }
    if !isFirst { rescale() }
    var sums = platform_outer_product(
      a: softmax.scores, a_row: 1, a_step: headLanes, rows: softmax.heads, b: decoded, b_row: apart, columns: rank,
      depth: known, c: out, c_row: rank, accumulate: !isFirst)
    multiplyOuter(&sums, ahead: next + half, half)
  }

  /// Turns the scores of a vector of heads into weights relative to the highest score so far.
  @inline(__always) func weigh(_ h: Int, _ known: Int) {
    let base = softmax.raise(h, known)
    var total = load(softmax.totals + h)
    for t in 0..<known {
      let place = softmax.place(t, h)
      let weights = exponential(load(place) - base)
      store(weights, place)
      total += weights
    }
    store(total, softmax.totals + h)
  }

  /// What was summed before is worth less where a higher score came.
  @inline(__always) func rescale() {
    for h in 0..<softmax.heads where softmax.factors[h] != 1 {
      scaleFloats(out + h &* rows.rank, rows.rank, softmax.factors[h])
    }
  }
}

extension LatentRows {
  /// What to ask memory for while the rows before `next` are at work, so that the next block's have come when they are
  /// needed, and how many bytes that is: none at the end, or where rows of a list lie anywhere.
  @inline(__always) func ahead(from next: Int) -> (UnsafeRawPointer, Int) {
    if next >= end || positions != nil { return (pages[0], 0) }
    let left = rowBlock &- next % rowBlock
    return (address(next), (end &- next < left ? end &- next : left) &* byteCount)
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

/// Joins one head's spans: out = the softmax-weighted sum of the rows of all spans, added in their order.
@inline(never) func combineSpans(_ spans: UnsafePointer<platform_spans>) {
  let p = spans.pointee
  let tops = p.partials + (p.heads &* p.rank &+ p.head)
  var top = -Float.infinity
  for s in 0..<p.count where tops[s &* p.stride] > top { top = tops[s &* p.stride] }
  let base = top == -.infinity ? 0 : top
  var total: Float = 0
  for s in 0..<p.count {
    let weight = exponential(splat(tops[s &* p.stride] - base))[0]
    total = fused(weight, tops[s &* p.stride &+ p.heads], total)
    let span = p.partials + (s &* p.stride &+ p.head &* p.rank)
    var c = 0
    while c &+ lanes <= p.rank {
      let v = load(span + c)
      store(s == 0 ? v * splat(weight) : fused(splat(weight), v, load(p.out + c)), p.out + c)
      c &+= lanes
    }
    while c < p.rank {
      p.out[c] = s == 0 ? span[c] * weight : fused(weight, span[c], p.out[c])
      c &+= 1
    }
  }
  scaleFloats(p.out, p.rank, 1 / total)
}
