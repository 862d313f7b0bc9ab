internal import CPlatform

// The innermost loop of products with many rows of x: one or two vectors of weight rows times a few tokens, a column at
// a time. Weights: [depth, 2 * lanes]; x: [depth, tokens]; y: [tokens, rows].

/// Tokens of a tile: twice as many sums, two vectors of weights and a broadcast x stay in registers.
#if ISA_AVX512 || ISA_NEON
  @inline(__always) var tileTokens: Int { 12 }
#else
  @inline(__always) var tileTokens: Int { 5 }
#endif

/// `y[t, r] (+)= sum over k of weights[k, r] * x[k, t]` for 2 * lanes rows.
@inline(__always) func wideTile(
  _ weights: Floats, _ x: Floats, _ tokens: Int, _ depth: Int, _ y: MutableFloats, _ yStride: Int, _ isFirst: Bool
) {
  outerTile(WideToken.self, weights, x, tokens, depth, y, yStride, isFirst)
}

/// The same for the first `lanes` rows alone.
@inline(__always) func narrowTile(
  _ weights: Floats, _ x: Floats, _ tokens: Int, _ depth: Int, _ y: MutableFloats, _ yStride: Int, _ isFirst: Bool
) {
  outerTile(NarrowToken.self, weights, x, tokens, depth, y, yStride, isFirst)
}

/// Sums of `tokens` tokens, named and nested, because an array would go through memory.
private protocol TileSums {
  static var tokens: Int { get }
  init()
  /// Adds a column; the tokens' values follow each other.
  mutating func add(_ weights: Floats, _ x: Floats)
  func put(_ y: MutableFloats, _ stride: Int, _ isFirst: Bool)
}

private struct WideToken: TileSums {
  @inline(__always) static var tokens: Int { 1 }
  var a = zero
  var b = zero

  @inline(__always) mutating func add(_ weights: Floats, _ x: Floats) {
    let v = splat(x[0])
    a = fused(load(weights), v, a)
    b = fused(load(weights + lanes), v, b)
  }

  @inline(__always) func put(_ y: MutableFloats, _ stride: Int, _ isFirst: Bool) {
    store(isFirst ? a : load(y) + a, y)
    store(isFirst ? b : load(y + lanes) + b, y + lanes)
  }
}

private struct NarrowToken: TileSums {
  @inline(__always) static var tokens: Int { 1 }
  var a = zero

  @inline(__always) mutating func add(_ weights: Floats, _ x: Floats) { a = fused(load(weights), splat(x[0]), a) }

  @inline(__always) func put(_ y: MutableFloats, _ stride: Int, _ isFirst: Bool) {
    store(isFirst ? a : load(y) + a, y)
  }
}

private struct Both<A: TileSums, B: TileSums>: TileSums {
  @inline(__always) static var tokens: Int { A.tokens &+ B.tokens }
  var a = A()
  var b = B()

  @inline(__always) mutating func add(_ weights: Floats, _ x: Floats) {
    a.add(weights, x)
    b.add(weights, x + A.tokens)
  }

  @inline(__always) func put(_ y: MutableFloats, _ stride: Int, _ isFirst: Bool) {
    a.put(y, stride, isFirst)
    b.put(y + A.tokens &* stride, stride, isFirst)
  }
}

private typealias Two<T: TileSums> = Both<T, T>
private typealias Three<T: TileSums> = Both<Two<T>, T>
private typealias Four<T: TileSums> = Both<Two<T>, Two<T>>
private typealias Six<T: TileSums> = Both<Four<T>, Two<T>>
private typealias Eight<T: TileSums> = Both<Four<T>, Four<T>>

@inline(__always) private func outerTile<T: TileSums>(
  _: T.Type, _ weights: Floats, _ x: Floats, _ tokens: Int, _ depth: Int, _ y: MutableFloats, _ yStride: Int,
  _ isFirst: Bool
) {
  switch tokens {
  case 1: run(T.self, weights, x, depth, y, yStride, isFirst)
  case 2: run(Two<T>.self, weights, x, depth, y, yStride, isFirst)
  case 3: run(Three<T>.self, weights, x, depth, y, yStride, isFirst)
  case 4: run(Four<T>.self, weights, x, depth, y, yStride, isFirst)
  #if ISA_AVX512 || ISA_NEON
    case 5: run(Both<Four<T>, T>.self, weights, x, depth, y, yStride, isFirst)
    case 6: run(Six<T>.self, weights, x, depth, y, yStride, isFirst)
    case 7: run(Both<Four<T>, Three<T>>.self, weights, x, depth, y, yStride, isFirst)
    case 8: run(Eight<T>.self, weights, x, depth, y, yStride, isFirst)
    case 9: run(Both<Eight<T>, T>.self, weights, x, depth, y, yStride, isFirst)
    case 10: run(Both<Eight<T>, Two<T>>.self, weights, x, depth, y, yStride, isFirst)
    case 11: run(Both<Eight<T>, Three<T>>.self, weights, x, depth, y, yStride, isFirst)
    default: run(Both<Eight<T>, Four<T>>.self, weights, x, depth, y, yStride, isFirst)
  #else
    default: run(Both<Four<T>, T>.self, weights, x, depth, y, yStride, isFirst)
  #endif
  }
}

/// Never inlined: one loop a function keeps its registers.
@inline(never) private func run<S: TileSums>(
  _: S.Type, _ weights: Floats, _ x: Floats, _ depth: Int, _ y: MutableFloats, _ yStride: Int, _ isFirst: Bool
) {
  if !isFirst {
    // Two lines cover a row's two vectors wherever they begin, or nearly.
    for t in 0..<S.tokens {
      platform_prefetch(y + t &* yStride)
      platform_prefetch(y + (t &* yStride &+ 2 &* lanes &- 1))
    }
  }
  var sums = S()
  var (weights, x) = (weights, x)
  let end = x + depth &* S.tokens
  while x < end {
    sums.add(weights, x)
    weights += 2 &* lanes
    x += S.tokens
  }
  sums.put(y, yStride, isFirst)
}

/// x: [tokens, depth], `stride` floats between rows, as [depth, tokens].
@inline(__always) func packTile(_ x: Floats, _ stride: Int, _ tokens: Int, _ depth: Int, _ to: MutableFloats) {
  var t = 0
  while t &+ 4 <= tokens {
    packFour(x + t &* stride, stride, tokens, depth, to + t)
    t &+= 4
  }
  if t &+ 2 <= tokens {
    packTwo(x + t &* stride, stride, tokens, depth, to + t)
    t &+= 2
  }
  if t < tokens {
    let row = x + t &* stride
    for k in 0..<depth { to[k &* tokens &+ t] = row[k] }
  }
}

@inline(__always) private func packFour(
  _ x: Floats, _ stride: Int, _ tokens: Int, _ depth: Int, _ to: MutableFloats
) {
  var k = 0
  while k &+ 4 <= depth {
    let p = x + k
    let (a, b) = (loadFour(p), loadFour(p + stride))
    let (c, d) = (loadFour(p + 2 &* stride), loadFour(p + 3 &* stride))
    let (ab, cd) = (SIMD4(lowHalf: a.lowHalf, highHalf: b.lowHalf), SIMD4(lowHalf: c.lowHalf, highHalf: d.lowHalf))
    let (ef, gh) = (SIMD4(lowHalf: a.highHalf, highHalf: b.highHalf), SIMD4(lowHalf: c.highHalf, highHalf: d.highHalf))
    let q = to + k &* tokens
    storeFour(SIMD4(lowHalf: ab.evenHalf, highHalf: cd.evenHalf), q)
    storeFour(SIMD4(lowHalf: ab.oddHalf, highHalf: cd.oddHalf), q + tokens)
    storeFour(SIMD4(lowHalf: ef.evenHalf, highHalf: gh.evenHalf), q + 2 &* tokens)
    storeFour(SIMD4(lowHalf: ef.oddHalf, highHalf: gh.oddHalf), q + 3 &* tokens)
    k &+= 4
  }
  while k < depth {
    let (p, q) = (x + k, to + k &* tokens)
    storeFour(SIMD4(p[0], p[stride], p[2 &* stride], p[3 &* stride]), q)
    k &+= 1
  }
}

@inline(__always) private func packTwo(
  _ x: Floats, _ stride: Int, _ tokens: Int, _ depth: Int, _ to: MutableFloats
) {
  for k in 0..<depth {
    let q = to + k &* tokens
    q[0] = x[k]
    q[1] = x[stride &+ k]
  }
}

@inline(__always) private func loadFour(_ p: Floats) -> SIMD4<Float> {
  UnsafeRawPointer(p).loadUnaligned(as: SIMD4<Float>.self)
}

@inline(__always) private func storeFour(_ v: SIMD4<Float>, _ p: MutableFloats) {
  UnsafeMutableRawPointer(p).storeBytes(of: v, as: SIMD4<Float>.self)
}
