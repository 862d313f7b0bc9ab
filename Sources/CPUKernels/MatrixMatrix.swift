internal import CPlatform

// Many rows of x: the sums of two vectors of weight rows with a few tokens stay in registers while the columns pass. For
// that, weights are decoded into columns, each block of them once for many tokens, and x is packed so that the values of
// a tile's tokens lie together. Each result is one chain of sums over a block's columns, blocks added in order: the same
// bits whatever the number of tokens and rows around it.

/// Columns of a block: a tile's x stay in the first cache, the decoded weights in the second.
private let depthBlock = 256
/// Tokens that share a decoded block: as many columns of x stay in the second cache.
private let countBlock = 512

/// Rows of weights that are decoded together.
@inline(__always) private var panelRows: Int { 2 &* lanes }

/// From this many rows of x on `multiplyMatrix` is faster than `multiplyVectors`: below, decoding into columns costs more
/// than it saves, unless x fills the second cache.
@inline(never) func leastMatrixCount(_ columns: Int) -> Int {
  #if ISA_AVX512
    columns <= 4096 ? 64 : 40
  #else
    24
  #endif
}

/// Floats of scratch memory that `multiplyPacked` needs.
@inline(never) func multiplyPackedScratch() -> Int {
  depthBlock &* panelRows &+ tileTokens &* panelRows &+ panelScratch(depthBlock)
}

/// Floats of scratch memory that `multiplyMatrix` needs.
@inline(never) func multiplyMatrixScratch(_ columns: Int, _ count: Int) -> Int {
  let depth = columns < depthBlock ? columns : depthBlock
  return multiplyPackedScratch() &+ depth &* (count < countBlock ? count : countBlock)
}

/// The product for many x; scratch: `multiplyMatrixScratch(w.columns, count)` floats.
@inline(never) func multiplyMatrix(_ product: UnsafePointer<platform_product>) {
  let job = MatrixJob(product.pointee)
  let (x, xStride) = (product.pointee.x, product.pointee.x_stride)
  let packed = job.scratch + multiplyPackedScratch()
  job.forEachBlock { i, members, begin, end in
    packTokens(x + (i &* xStride &+ begin), xStride, members, end &- begin, packed)
    job.runBlock(packed, i, members, begin, end)
  }
}

/// The same with x from `packActivations`; scratch: `multiplyPackedScratch()` floats.
@inline(never) func multiplyPacked(_ product: UnsafePointer<platform_product>) {
  let job = MatrixJob(product.pointee)
  let packed = product.pointee.x
  job.forEachBlock { i, members, begin, end in
    job.runBlock(packed + (i &* job.w.columns &+ begin &* members), i, members, begin, end)
  }
}

/// x: a row for each token, in the order of `multiplyPacked`: for each block of tokens and each block of columns, tiles
/// of [columns, tokens of the tile]. packed: `x.rows * x.columns` floats.
@inline(never) func packActivations(_ x: UnsafePointer<platform_floats>, _ packed: MutableFloats) {
  let (count, columns, xStride) = (x.pointee.rows, x.pointee.columns, x.pointee.stride)
  let x = x.pointee.data
  var i = 0
  while i < count {
    let members = count &- i < countBlock ? count &- i : countBlock
    var begin = 0
    while begin < columns {
      let depth = columns &- begin < depthBlock ? columns &- begin : depthBlock
      packTokens(
        x + (i &* xStride &+ begin), xStride, members, depth, packed + (i &* columns &+ begin &* members))
      begin &+= depthBlock
    }
    i &+= countBlock
  }
}

/// x: [count, depth] as tiles of [depth, tokens of the tile].
@inline(__always) private func packTokens(
  _ x: Floats, _ xStride: Int, _ count: Int, _ depth: Int, _ packed: MutableFloats
) {
  var i = 0
  while i < count {
    let members = count &- i < tileTokens ? count &- i : tileTokens
    packTile(x + i &* xStride, xStride, members, depth, packed + i &* depth)
    i &+= members
  }
}

private struct MatrixJob {
  let w: platform_matrix
  let first: Int
  let last: Int
  let count: Int
  let y: MutableFloats
  let yStride: Int
  let scratch: MutableFloats

  @inline(__always) init(_ product: platform_product) {
    w = product.w
    first = product.first
    last = product.last
    count = product.count
    y = product.y
    yStride = product.y_stride
    scratch = product.scratch
  }

  // The parts of the scratch memory.
  @inline(__always) var weights: MutableFloats { scratch }  // [depthBlock, panelRows]
  @inline(__always) var edge: MutableFloats { weights + depthBlock &* panelRows }  // [tileTokens, panelRows]
  @inline(__always) var work: MutableFloats { edge + tileTokens &* panelRows }  // decodePanel's

  /// Calls `body(first token, tokens, first column, last column + 1)`, once at least for each token.
  @inline(__always) func forEachBlock(_ body: (Int, Int, Int, Int) -> Void) {
    var i = 0
    while i < count {
      let members = count &- i < countBlock ? count &- i : countBlock
      var begin = 0
      repeat {
        body(i, members, begin, w.columns &- begin < depthBlock ? w.columns : begin &+ depthBlock)
        begin &+= depthBlock
      } while begin < w.columns
      i &+= countBlock
    }
  }

  /// Starts or continues the sums of tokens `i..<i + members` over columns `begin..<end`.
  @inline(__always) func runBlock(_ packed: Floats, _ i: Int, _ members: Int, _ begin: Int, _ end: Int) {
    var r = first
    while r < last {
      let known = last &- r < panelRows ? last &- r : panelRows
      decodePanel(w, r, known, begin, end, weights, work)
      // What comes next: the rows below, or from the first row on the columns behind.
      let isLast = r &+ panelRows >= last
      var ahead = isLast ? first : r &+ panelRows
      let tiles = (members &+ tileTokens &- 1) / tileTokens
      let share = (panelRows &+ tiles &- 1) / tiles
      var j = 0
      while j < members {
        prefetchRows(ahead, share, isLast ? end : begin)
        ahead &+= share
        let tokens = members &- j < tileTokens ? members &- j : tileTokens
        let out = y + ((i &+ j) &* yStride &+ r &- first)
        runTile(packed + j &* (end &- begin), tokens, end &- begin, known, out, isFirst: begin == 0)
        j &+= tokens
      }
      r &+= panelRows
    }
  }

  /// Asks for a block of columns from `begin` on of `n` rows, into the second cache.
  @inline(__always) func prefetchRows(_ r: Int, _ n: Int, _ begin: Int) {
    guard let data = w.data, begin < w.columns else { return }
    let size = platform_element_byte_count(w.type)
    let depth = w.columns &- begin < depthBlock ? w.columns &- begin : depthBlock
    let end = r &+ n < last ? r &+ n : last
    var row = r
    while row < end {
      let p = data + (row &* w.columns &+ begin) &* size
      var i = 0
      while i < depth &* size {
        platform_prefetch_second(p + i)
        i &+= 64
      }
      row &+= 1
    }
  }

  @inline(__always) func runTile(
    _ x: Floats, _ tokens: Int, _ depth: Int, _ known: Int, _ out: MutableFloats, isFirst: Bool
  ) {
    if known == panelRows { return wideTile(weights, x, tokens, depth, out, yStride, isFirst) }
    if known == lanes { return narrowTile(weights, x, tokens, depth, out, yStride, isFirst) }
    wideTile(weights, x, tokens, depth, edge, panelRows, true)
    for token in 0..<tokens {
      let (from, to) = (edge + token &* panelRows, out + token &* yStride)
      for row in 0..<known { to[row] = isFirst ? from[row] : to[row] + from[row] }
    }
  }
}
