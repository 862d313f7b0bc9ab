internal import CPlatform

/// Latent rows of a block, which is a page of the cache: decoded once for all heads, they stay in the second cache.
@inline(__always) var rowBlock: Int { Int(PLATFORM_ROWS_IN_PAGE) }

/// Floats between decoded rows: rows a power of two apart would share a few sets of the cache.
@inline(__always) private func strideOf(_ width: Int) -> Int { padded(width) &+ 16 }

/// Absorbed latent attention of one token over rows `first..<first + count`, in spans of `spanLength` rows (at least 1) of
/// which the last may be shorter. Online softmax (Milakov and Gimelshein 2018) over blocks of a span's rows;
/// `combineSpans` joins the results of several spans and divides by the sums.
///
/// query: [heads, rank + rope]; pages, offset: rows as `rows.h` describes them, from position 0 on; positions: nil, or
/// the positions of the rows of which `first` and `count` then are places in this list; partials: what each span is worth,
/// `stride` floats from one to the next, [heads, rank] weighted sums, then [heads] greatest scores, then [heads] sums of
/// weights; scratch: `Kernels.latentScratchCount` floats. Vectors lie along the heads, so that neither scores nor weights
/// are ever summed across lanes.
@inline(never) public func attendLatent(
  _ query: UnsafePointer<Float>, _ heads: Int, _ pages: UnsafePointer<UnsafeRawPointer>, _ offset: Int,
  _ rowType: Int32, _ positions: UnsafePointer<Int32>?, _ first: Int, _ count: Int, _ spanLength: Int, _ rank: Int,
  _ rope: Int, _ scale: Float, _ partials: UnsafeMutablePointer<Float>, _ stride: Int,
  _ scratch: UnsafeMutablePointer<Float>
) {
  let rows = LatentRows(
    pages: pages, offset: offset, type: rowType, positions: positions, end: first &+ count, rank: rank,
    width: rank &+ rope)
  // The first block, which nothing has asked for, comes while queries are turned.
  let (block, byteCount) = rows.ahead(from: first)
  prefetchLines(block, byteCount)
  #if ISA_AVX512
    if PairedSpan.takes(rows) {
      var span = PairedSpan(heads, rows, partials, scratch)
      span.takeQueries(query, scale)
      attend(&span, first, spanLength, stride)
      return
    }
  #endif
  var span = FloatSpan(heads, rows, partials, scratch)
  span.takeQueries(query, scale)
  attend(&span, first, spanLength, stride)
}

/// The rows that a thread attends to for now.
struct LatentRows {
  let pages: UnsafePointer<UnsafeRawPointer>
  let offset: Int
  let type: Int32
  let positions: UnsafePointer<Int32>?
  /// Behind the last of them.
  let end: Int
  let rank: Int
  let width: Int

  @inline(__always) var rope: Int { width &- rank }
  @inline(__always) var byteCount: Int { rowByteCount(type, rank, rope) }

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
    transpose(few, width, count, width, columns + h, headLanes)
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
    if let positions = rows.positions {
      for i in 0..<known {
        loadRows(rows.address(Int(positions[first &+ i])), rows.type, rank, rows.rope, 1, block + i &* apart, apart)
      }
    } else if rows.type == Int32(PLATFORM_ROWS_FLOAT32) {
      // They lie in memory as they are needed.
      decoded = rows.address(first).assumingMemoryBound(to: Float.self)
      apart = width
    } else {
      loadRows(rows.address(first), rows.type, rank, rows.rope, known, block, apart)
    }
    let (next, byteCount) = rows.ahead(from: first &+ known)
    let half = byteCount / 2
    multiplyOuter(
      decoded, apart, 1, known, queries, headLanes, headLanes, width, softmax.scores, headLanes, false, ahead: next,
      half)
    var h = 0
    while h < headLanes {
      weigh(h, known)
      h &+= lanes
    }
    if !isFirst { rescale() }
    multiplyOuter(
      softmax.scores, 1, headLanes, softmax.heads, decoded, apart, rank, known, out, rank, !isFirst,
      ahead: next + half, half)
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
