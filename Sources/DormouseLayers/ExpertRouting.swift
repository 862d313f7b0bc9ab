public import DormouseKernels
public import DormouseSupport

/// Which experts a layer's tokens go to, and where each of them stands among an expert's tokens: tokens are grouped by
/// expert, so that each expert's weights are read once. A "slot" is one token's place at one expert.
public struct ExpertRouting: Sendable {
  public let router: Router

  /// Tokens that meet the router at once: fewer than `Kernels.matrixCount` of any instruction set.
  private static let routerBlock = 16
  /// Tokens of a task that selects.
  private static let selectionBlock = 8

  public init(_ router: Router) { self.router = router }

  /// `logits[i] = W x[i]` in blocks of tokens so small that they take the kernel for few rows, whose result does not
  /// depend on their number: a rounding must not choose another expert because of what else is in the batch.
  ///
  /// - Parameters:
  ///   - weight: [experts, hidden].
  ///   - x: [count, hidden].
  ///   - logits: [count, experts].
  public func multiply(
    _ weight: WeightMatrix, _ x: UnsafePointer<Float>, count: Int, into logits: UnsafeMutablePointer<Float>,
    _ queue: ProductQueue
  ) {
    let (block, hidden) = (Self.routerBlock, weight.columns)
    let linear = Linear(weight: .rows(weight), bias: nil)
    for first in stride(from: 0, to: count, by: block) {
      queue.add(
        linear, x: Activations(floats: x + first * hidden, stride: hidden), count: min(block, count - first),
        y: logits + first * weight.rows)
    }
    queue.run()
  }

  /// Picks each token's experts.
  /// - Parameters:
  ///   - scratch: [threads, scratchStride], of at least `router.scratchCount` floats each.
  ///   - ids, weights: [count, expertsPerToken].
  public func select(
    _ logits: UnsafePointer<Float>, bias: UnsafePointer<Float>?, count: Int, ids: UnsafeMutablePointer<Int32>,
    weights: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, scratchStride: Int, pool: ThreadPool
  ) {
    let (experts, perToken) = (router.configuration.expertCount, router.configuration.expertsPerToken)
    let block = Self.selectionBlock
    // Each worker has scores of its own to work in; one task isn't worth waking anybody.
    func select(_ task: Int, _ worker: Int) {
      for token in task * block..<min((task + 1) * block, count) {
        router.select(
          logits: logits + token * experts, bias: bias, scratch: scratch + worker * scratchStride,
          ids: ids + token * perToken, weights: weights + token * perToken)
      }
    }
    let tasks = CheckedSize.ceilingQuotient(count, block)
    if tasks == 1 { select(0, 0) } else { pool.run(tasks, select) }
  }

  /// Counting sort by expert, tokens in order within one.
  /// - Parameters:
  ///   - ids: [count, expertsPerToken].
  ///   - firstSlots: [experts + 1]: the first slot of each expert.
  ///   - slots: [count, expertsPerToken]: the slot of each choice.
  ///   - tokens: [count * expertsPerToken]: the token in each slot.
  public func group(
    _ ids: UnsafePointer<Int32>, count: Int, firstSlots: UnsafeMutablePointer<Int32>,
    slots: UnsafeMutablePointer<Int32>, tokens: UnsafeMutablePointer<Int32>
  ) {
    let (experts, perToken) = (router.configuration.expertCount, router.configuration.expertsPerToken)
    let pairs = count * perToken
    firstSlots.update(repeating: 0, count: experts + 1)
    for pair in 0..<pairs { firstSlots[Int(ids[pair])] += 1 }
    var next: Int32 = 0
    for expert in 0...experts {
      let size = firstSlots[expert]
      firstSlots[expert] = next
      next += size
    }
    for pair in 0..<pairs {
      let expert = Int(ids[pair])
      slots[pair] = firstSlots[expert]
      tokens[Int(firstSlots[expert])] = Int32(truncatingIfNeeded: pair / perToken)
      firstSlots[expert] += 1
    }
    // Filling moved every start to the next expert's: move them back.
    for expert in stride(from: experts, to: 0, by: -1) { firstSlots[expert] = firstSlots[expert - 1] }
    firstSlots[0] = 0
  }

  /// Copies each token's row to its slots: x [count, width] to rows [count * expertsPerToken, width].
  public func gather(
    _ x: UnsafePointer<Float>, width: Int, count: Int, slots: UnsafePointer<Int32>,
    into rows: UnsafeMutablePointer<Float>, pool: ThreadPool
  ) {
    let perToken = router.configuration.expertsPerToken
    pool.forEachToken(count) { token in
      for pair in token * perToken..<(token + 1) * perToken {
        (rows + Int(slots[pair]) * width).update(from: x + token * width, count: width)
      }
    }
  }

  /// The sum of a token's experts' rows, each times its weight, into `sum` [width].
  @inline(__always) public func combine(
    _ token: Int, weights: UnsafePointer<Float>, rows: UnsafePointer<Float>, slots: UnsafePointer<Int32>, width: Int,
    into sum: UnsafeMutablePointer<Float>, _ kernels: Kernels
  ) {
    let perToken = router.configuration.expertsPerToken
    sum.update(repeating: 0, count: width)
    for pair in token * perToken..<(token + 1) * perToken {
      kernels.addScaled(sum, weights[pair], rows + Int(slots[pair]) * width, count: width)
    }
  }
}
