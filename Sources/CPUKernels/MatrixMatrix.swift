public import CPlatform

/// Columns of a block: four rows of them, decoded, stay in the first cache.
private let depthBlock = 1024
/// Rows of x in a block: as many rows of `depthBlock` columns stay in the second cache.
private let countBlock = 96

/// Floats between rows of a block in scratch memory: rows a power of two apart would share a few sets of the cache.
@inline(__always) private func strideOf(depth: Int) -> Int { depth &+ 16 }

/// Floats of scratch memory that `multiplyMatrix` needs.
@inline(never) public func multiplyMatrixScratch(_ columns: Int, _ count: Int) -> Int {
  let stride = strideOf(depth: padded(columns < depthBlock ? columns : depthBlock))
  return stride &* (4 &+ (count < countBlock ? count : countBlock))
}

/// `y[i, r - first] = sum over c of w[r, c] * x[i, c]`, for many x: each block of weights is decoded once for many x.
///
/// x: [count, w.columns] with `xStride` floats between rows; y: [count, last - first] with `yStride`; scratch:
/// `multiplyMatrixScratch(w.columns, count)` floats.
@inline(never) public func multiplyMatrix(
  _ w: platform_matrix, _ first: Int, _ last: Int, _ x: UnsafePointer<Float>, _ xStride: Int, _ count: Int,
  _ y: UnsafeMutablePointer<Float>, _ yStride: Int, _ scratch: UnsafeMutablePointer<Float>
) {
  var i = 0
  while i < count {
    let job = MatrixJob(
      w: w, first: first, last: last, x: x + i &* xStride, xStride: xStride,
      count: count &- i < countBlock ? count &- i : countBlock, y: y + i &* yStride, yStride: yStride,
      scratch: scratch)
    switch w.type {
    case Int32(PLATFORM_TYPE_FLOAT32): job.run(Float32Format.self)
    case Int32(PLATFORM_TYPE_FLOAT16): job.run(Float16Format.self)
    case Int32(PLATFORM_TYPE_BFLOAT16): job.run(BFloat16Format.self)
    default: job.run(Float8Format.self)
    }
    i &+= countBlock
  }
}

/// One block of x against all rows.
private struct MatrixJob {
  let w: platform_matrix
  let first: Int
  let last: Int
  let x: Floats
  let xStride: Int
  let count: Int
  let y: MutableFloats
  let yStride: Int
  let scratch: MutableFloats

  @inline(__always) func run<F: Format>(_: F.Type) {
    var begin = 0
    repeat {
      let end = w.columns &- begin < depthBlock ? w.columns : begin &+ depthBlock
      let depth = padded(end &- begin)
      let stride = strideOf(depth: depth)
      let weights = scratch  // [4, stride]
      let panel = scratch + 4 &* stride  // [count, stride]
      for i in 0..<count { copyPadded(x + (i &* xStride &+ begin), end &- begin, panel + i &* stride, depth) }
      var r = first
      while r < last {
        for j in 0..<4 { decodePadded(F.self, r &+ j, begin, end, weights + j &* stride, depth) }
        let known = last &- r < 4 ? last &- r : 4
        tiles(weights, stride, panel, stride, count, depth) { i, four in
          put(four, known, y + (i &* yStride &+ r &- first), isFirst: begin == 0)
        }
        r &+= 4
      }
      begin = end
    } while begin < w.columns
  }

  /// A row past the last is zero: it costs a tile's time once, and keeps one kind of tile.
  @inline(__always) func decodePadded<F: Format>(
    _: F.Type, _ r: Int, _ begin: Int, _ end: Int, _ to: MutableFloats, _ depth: Int
  ) {
    guard r < last else { return clear(to, depth) }
    decode(F.self, w, r, begin, end, to)
    clear(to + (end &- begin), depth &- (end &- begin))
  }

  /// Starts or continues the sums of `known` neighbouring rows of w.
  @inline(__always) func put(_ four: SIMD4<Float>, _ known: Int, _ out: MutableFloats, isFirst: Bool) {
    if known == 4 {
      let p = UnsafeMutableRawPointer(out)
      p.storeBytes(of: isFirst ? four : p.loadUnaligned(as: SIMD4<Float>.self) + four, as: SIMD4<Float>.self)
    } else {
      for j in 0..<known { out[j] = isFirst ? four[j] : out[j] + four[j] }
    }
  }
}
