public import DormouseSupport
import Glibc

/// Picks the experts of a token from the router's logits, in float32.
///
/// Follows the routers of transformers 5.23 (`DeepseekV2TopkRouter`, `DeepseekV3TopkRouter`). Equal scores: the lower
/// index wins, where `torch.topk` leaves the order open. A NaN counts as the greatest score, as in `torch.topk`, so
/// that it reaches the output instead of being passed over.
public struct Router: Sendable {
  public let configuration: RouterConfiguration

  public init(_ configuration: RouterConfiguration) { self.configuration = configuration }

  /// Routes `count` tokens.
  /// - Parameters:
  ///   - logits: [count, experts].
  ///   - bias: [experts], added to the scores for the selection only; required by noaux_tc and refused by the others.
  ///   - ids: [count, expertsPerToken], best first.
  ///   - weights: [count, expertsPerToken].
  /// - Throws: `Failure(.invalidArgument)` for arrays of the wrong size or a bias missing or too many.
  public func route(
    logits: UnsafeBufferPointer<Float>, bias: UnsafeBufferPointer<Float>?, count: Int,
    ids: UnsafeMutableBufferPointer<Int32>, weights: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    let c = configuration
    try require(logits.count, count, c.expertCount, "logits")
    try require(ids.count, count, c.expertsPerToken, "ids")
    try require(weights.count, count, c.expertsPerToken, "weights")
    guard (bias != nil) == (c.method == .noAuxiliaryLoss), (bias?.count ?? c.expertCount) == c.expertCount else {
      throw Failure(
        .invalidArgument,
        "router: the bias has \(bias?.count ?? 0) values; \(c.method.rawValue) expects"
          + " \(c.method == .noAuxiliaryLoss ? c.expertCount : 0)")
    }
    guard let source = logits.baseAddress, let ids = ids.baseAddress, let weights = weights.baseAddress else { return }
    let memory = try AlignedBuffer(byteCount: scratchCount * 4, for: "the router's scores")
    guard let scratch = memory.bound(to: Float.self).baseAddress else { return }
    for token in 0..<count {
      select(
        logits: source + token * c.expertCount, bias: bias?.baseAddress, scratch: scratch,
        ids: ids + token * c.expertsPerToken, weights: weights + token * c.expertsPerToken)
    }
    // The pointer alone does not keep the memory.
    withExtendedLifetime(memory) {}
  }

  private func require(_ found: Int, _ count: Int, _ width: Int, _ name: String) throws(Failure) {
    let expected = try CheckedSize.product(count, width, of: "router: the size of \(name)")
    guard found == expected else {
      throw Failure(.invalidArgument, "router: \(name) has \(found) values; expected \(count) x \(width)")
    }
  }

  /// Floats that `select` needs to work in.
  public var scratchCount: Int { 2 * configuration.expertCount + configuration.groupCount }

  /// Routes one token. Sizes as in `route`; `scratch` has `scratchCount` floats.
  public func select(
    logits: UnsafePointer<Float>, bias: UnsafePointer<Float>?, scratch: UnsafeMutablePointer<Float>,
    ids: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>
  ) {
    let experts = configuration.expertCount
    let scores = scratch
    let keys = UnsafeMutableRawPointer(scratch + experts).assumingMemoryBound(to: UInt32.self)
    score(logits, into: scores)
    for expert in 0..<experts { keys[expert] = (scores[expert] + (bias?[expert] ?? 0)).sortKey }
    if configuration.groupCount > 1 { maskGroups(scores, bias, keys, groupKeys: keys + experts) }
    for slot in 0..<configuration.expertsPerToken {
      let best = Router.takeGreatest(keys, experts)
      ids[slot] = Int32(truncatingIfNeeded: best)
      weights[slot] = scores[best]
    }
    scaleWeights(weights)
  }

  /// Softmax or sigmoid of the logits.
  private func score(_ logits: UnsafePointer<Float>, into scores: UnsafeMutablePointer<Float>) {
    let experts = configuration.expertCount
    guard configuration.method != .noAuxiliaryLoss else {
      for expert in 0..<experts { scores[expert] = 1 / (1 + expf(-logits[expert])) }
      return
    }
    var greatest = -Float.infinity
    for expert in 0..<experts { greatest = max(greatest, logits[expert]) }
    var sum: Float = 0
    for expert in 0..<experts {
      scores[expert] = expf(logits[expert] - greatest)
      sum += scores[expert]
    }
    for expert in 0..<experts { scores[expert] /= sum }
  }

  /// Leaves only the experts of the best groups in the running.
  private func maskGroups(
    _ scores: UnsafePointer<Float>, _ bias: UnsafePointer<Float>?, _ keys: UnsafeMutablePointer<UInt32>,
    groupKeys: UnsafeMutablePointer<UInt32>
  ) {
    let groups = configuration.groupCount
    let size = configuration.expertCount / groups
    let sumsTwo = configuration.method == .noAuxiliaryLoss
    for group in 0..<groups {
      var best = -Float.infinity
      var second = -Float.infinity
      for expert in group * size..<(group + 1) * size {
        let choice = scores[expert] + (bias?[expert] ?? 0)
        if choice > best || choice.isNaN {
          second = best
          best = choice
        } else if choice > second {
          second = choice
        }
      }
      groupKeys[group] = (sumsTwo ? best + second : best).sortKey
    }
    for _ in 0..<configuration.selectedGroupCount { _ = Router.takeGreatest(groupKeys, groups) }
    // The fills of the two classes: -infinity, and 0 among probabilities.
    let fill = (sumsTwo ? -Float.infinity : 0).sortKey
    for group in 0..<groups where groupKeys[group] != Router.taken {
      for expert in group * size..<(group + 1) * size { keys[expert] = fill }
    }
  }

  private func scaleWeights(_ weights: UnsafeMutablePointer<Float>) {
    let count = configuration.expertsPerToken
    if configuration.normalizesWeights {
      var sum: Float = 0
      for slot in 0..<count { sum += weights[slot] }
      for slot in 0..<count { weights[slot] /= sum + 1e-20 }
    }
    for slot in 0..<count { weights[slot] *= configuration.scalingFactor }
  }

  // MARK: - Order

  /// Below the key of every number: what has been chosen already.
  private static let taken = UInt32(0)

  /// The first index of the greatest key, which is marked as taken.
  private static func takeGreatest(_ keys: UnsafeMutablePointer<UInt32>, _ count: Int) -> Int {
    var best = 0
    for index in 1..<max(count, 1) where keys[index] > keys[best] { best = index }
    keys[best] = taken
    return best
  }
}

extension Float {
  /// A number above 0 that sorts as the float does, NaN at the top and both zeroes equal.
  @inlinable public var sortKey: UInt32 {
    guard !isNaN else { return .max }
    let bits = (self + 0).bitPattern
    return bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits
  }
}
