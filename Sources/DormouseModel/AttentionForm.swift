public import DormouseCache
import DormouseKernels

/// Which of the two equal ways to compute latent attention.
public enum AttentionForm: Sendable, Equatable {
  /// Whichever costs less for the number of tokens.
  case automatic
  /// Keys and values are expanded from the latents: fewer operations for many tokens.
  case expanded
  /// `kv_b_proj` is moved into query and output, so that attention reads latents only: for few tokens.
  case absorbed
  /// Whichever costs less for `count` tokens behind `first` others.
  ///
  /// The forms round differently. Whoever cuts a prompt into pieces asks for that of the whole prompt, so that the result
  /// does not depend on the cuts. Layers that differ in what they see may choose differently.
  case cheaper(count: Int, first: Int)
}

/// Compares what the two forms cost in one kind of layer.
struct AttentionFormChoice {
  /// Multiplications a head: expanded a key, or absorbed a token.
  private let projection: Double
  /// Multiplications a head for a pair of a token and a position that it sees.
  private let expandedPair: Double
  private let absorbedPair: Double
  /// Positions that a token sees at most, and of these those that the absorbed form reads.
  private let window: Int
  private let selected: Int

  init(_ attention: AttentionConfiguration) {
    let a = attention.latent
    projection = Double(a.kvLoraRank * (a.qkNopeHeadDimension + a.vHeadDimension))
    expandedPair = Double(a.qkHeadDimension + a.vHeadDimension)
    absorbedPair = Double(2 * a.kvLoraRank + a.qkRopeHeadDimension)
    window = a.slidingWindow ?? .max
    selected =
      switch attention {
      case .latent: window
      case .indexed(_, let indexer): min(window, indexer.selectedCount)
      }
  }

  /// Whether `count` tokens behind `first` others are computed in the expanded form, where `form` is asked for.
  func isExpanded(_ form: AttentionForm, count: Int, first: Int) -> Bool {
    switch form {
    case .expanded: true
    case .absorbed: false
    case .automatic: isExpanded(count: count, first: first)
    case .cheaper(let count, let first): isExpanded(count: count, first: first)
    }
  }

  /// Whether the expanded form takes fewer multiplications, since both run near the arithmetic's peak.
  func isExpanded(count: Int, first: Int) -> Bool {
    let keys = Double(min(first, window - 1)) + Double(count)
    let expanded = keys * projection + Self.pairs(count, first, most: window) * expandedPair
    let absorbed = Double(count) * projection + Self.pairs(count, first, most: selected) * absorbedPair
    return expanded < absorbed
  }

  /// Pairs of a token and a position that it sees, `most` positions a token.
  private static func pairs(_ count: Int, _ first: Int, most: Int) -> Double {
    let growing = Double(min(count, max(0, most - first)))
    let full = Double(count) - growing
    return growing * (Double(first) + (growing + 1) / 2) + (full > 0 ? full * Double(most) : 0)
  }
}

extension ModelConfiguration {
  /// How rows are computed where `form` is asked for, other than `.automatic`, which depends on how tokens are cut into
  /// batches: a bit for each kind of layer, set where it takes the expanded form. Of more than 63 kinds nothing is known.
  public func rowForm(_ form: AttentionForm) -> RowForm {
    guard form != .automatic, attentions.count < UInt64.bitWidth else { return .unknown }
    var bits: UInt64 = 0
    for kind in attentions.indices
    where AttentionFormChoice(attentions[kind]).isExpanded(form, count: 0, first: 0) { bits |= 1 << UInt64(kind) }
    return RowForm(bits: bits)
  }
}
