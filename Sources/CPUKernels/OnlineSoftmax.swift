/// The running softmax of a token's heads over blocks of cached rows (Milakov and Gimelshein 2018). Vectors lie along the
/// heads, padded with heads whose queries are zero, so that neither scores nor weights are ever summed across lanes.
struct OnlineSoftmax {
  let heads: Int
  /// [rows of a block, headLanes]: scores, and then weights.
  let scores: MutableFloats
  /// [headLanes]: the highest score so far.
  let tops: MutableFloats
  /// [headLanes]: the sum of the weights so far.
  let totals: MutableFloats
  /// [headLanes]: what all that was summed before the block is now worth.
  let factors: MutableFloats

  /// - Parameter memory: `blockRows + 3` vectors of all heads' lanes.
  @inline(__always) init(heads: Int, memory: MutableFloats, blockRows: Int) {
    self.heads = heads
    let headLanes = padded(heads)
    scores = memory
    tops = scores + blockRows &* headLanes
    totals = tops + headLanes
    factors = totals + headLanes
  }

  @inline(__always) var headLanes: Int { padded(heads) }

  @inline(__always) func start() {
    for h in 0..<headLanes {
      tops[h] = -.infinity
      totals[h] = 0
    }
  }

  /// Takes in a block's scores of the vector of heads at `h`; returns what the block's weights are relative to.
  @inline(__always) func raise(_ h: Int, _ known: Int) -> FloatVector {
    let before = load(tops + h)
    var top = before
    for t in 0..<known { top = larger(load(place(t, h)), top) }
    // Nothing but -infinity so far: weights of zero, no NaN.
    let base = top.replacing(with: zero, where: top .== splat(-.infinity))
    let factor = exponential(before - base)
    store(top, tops + h)
    store(load(totals + h) * factor, totals + h)
    store(factor, factors + h)
    return base
  }

  /// Where the scores of row `t` of the block for the vector of heads at `h` are.
  @inline(__always) func place(_ t: Int, _ h: Int) -> MutableFloats { scores + (t &* headLanes &+ h) }

  /// Writes [heads] highest scores and [heads] totals.
  @inline(__always) func finish(_ out: MutableFloats) {
    for h in 0..<heads {
      out[h] = tops[h]
      out[heads &+ h] = totals[h]
    }
  }
}
