import DormouseKernels
import DormouseSupport

/// Which experts a layer's tokens go to, and where each of them stands among an expert's tokens: tokens are grouped by
/// expert, so that each expert's weights are read once.
extension MixtureOfExperts {
  /// Tokens that meet the router at once: fewer than `Kernels.matrixCount` of any instruction set.
  private static let routerBlock = 16
  /// Tokens of a task that selects.
  private static let selectionBlock = 8

  /// Picks the experts of each row of x [count, hidden], and groups the rows by expert.
  /// - Returns: the experts that have slots, rising.
  func route(_ x: UnsafePointer<Float>, _ count: Int) -> UnsafeBufferPointer<Int32> {
    score(x, count)
    select(count)
    return group(count)
  }

  /// `routerLogits[i] = W x[i]` in blocks of tokens so small that they take the kernel for few rows, whose result does not
  /// depend on their number: a rounding must not choose another expert because of what else is in the batch.
  private func score(_ x: UnsafePointer<Float>, _ count: Int) {
    let block = Self.routerBlock
    let linear = Linear(weight: .rows(weights.router), bias: nil)
    for first in stride(from: 0, to: count, by: block) {
      queue.add(
        linear, x: Activations(floats: x + first * hidden, stride: hidden), count: min(block, count - first),
        y: scratch.routerLogits + first * weights.router.rows)
    }
    queue.run()
  }

  private func select(_ count: Int) {
    let (experts, perToken) = (router.configuration.expertCount, router.configuration.expertsPerToken)
    let (block, bias) = (Self.selectionBlock, weights.correctionBias?.pointer)
    // Each worker has scores of its own to work in; one task isn't worth waking anybody.
    func select(_ task: Int, _ worker: Int) {
      for token in task * block..<min((task + 1) * block, count) {
        router.select(
          logits: scratch.routerLogits + token * experts, bias: bias, scratch: scratch.router(of: worker),
          ids: scratch.ids + token * perToken, weights: scratch.weights + token * perToken)
      }
    }
    let tasks = CheckedSize.ceilingQuotient(count, block)
    if tasks == 1 { select(0, 0) } else { queue.pool.run(tasks, select) }
  }

  /// Counting sort of `ids` by expert, tokens in order within one.
  private func group(_ count: Int) -> UnsafeBufferPointer<Int32> {
    let (experts, perToken) = (router.configuration.expertCount, router.configuration.expertsPerToken)
    let (ids, slots, tokens) = (scratch.ids, scratch.slots, scratch.tokens)
    let (firstSlots, needed) = (scratch.firstSlots, scratch.needed)
    let pairs = count * perToken
    firstSlots.update(repeating: 0, count: experts + 1)
    for pair in 0..<pairs { firstSlots[Int(ids[pair])] += 1 }
    var next: Int32 = 0
    var neededCount = 0
    for expert in 0...experts {
      let size = firstSlots[expert]
      firstSlots[expert] = next
      next += size
      guard size > 0 else { continue }
      needed[neededCount] = Int32(truncatingIfNeeded: expert)
      neededCount += 1
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
    return UnsafeBufferPointer(start: needed, count: neededCount)
  }

  /// Copies each row of x [count, hidden] to its slots.
  func gather(_ x: UnsafePointer<Float>, _ count: Int) {
    let perToken = router.configuration.expertsPerToken
    let (rows, slots) = (scratch.rows, scratch.slots)
    queue.pool.forEachToken(count) { token in
      for pair in token * perToken..<(token + 1) * perToken {
        (rows + Int(slots[pair]) * hidden).update(from: x + token * hidden, count: hidden)
      }
    }
  }

  /// y [count, hidden] = sum of weight * expert output, in the order of a token's choice, plus the shared experts' output.
  func combine(_ count: Int, into y: UnsafeMutablePointer<Float>) {
    let perToken = router.configuration.expertsPerToken
    let kernels = queue.kernels
    let hasShared = weights.shared != nil
    queue.pool.forEachToken(count) { token in
      let sum = y + token * hidden
      sum.update(repeating: 0, count: hidden)
      for pair in token * perToken..<(token + 1) * perToken {
        kernels.addScaled(sum, scratch.weights[pair], scratch.rows + Int(scratch.slots[pair]) * hidden, count: hidden)
      }
      if hasShared { kernels.addScaled(sum, 1, scratch.sharedRows + token * hidden, count: hidden) }
    }
  }
}
