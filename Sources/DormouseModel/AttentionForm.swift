/// Which of the two equal ways to compute latent attention.
public enum AttentionForm: Sendable, Equatable {
  /// Whichever costs less for the number of tokens.
  case automatic
  /// Keys and values are expanded from the latents: fewer operations for many tokens.
  case expanded
  /// `kv_b_proj` is moved into query and output, so that attention reads latents only: for few tokens.
  case absorbed
}

/// Compares what the two forms cost.
struct AttentionFormChoice {
  /// Multiplications a head: expanded a key, or absorbed a token.
  private let projection: Double
  /// Multiplications a head for a pair of a token and a position that it sees.
  private let expandedPair: Double
  private let absorbedPair: Double

  init(_ c: ModelConfiguration) {
    projection = Double(c.kvLoraRank * (c.qkNopeHeadDimension + c.vHeadDimension))
    expandedPair = Double(c.qkHeadDimension + c.vHeadDimension)
    absorbedPair = Double(2 * c.kvLoraRank + c.qkRopeHeadDimension)
  }

  /// Whether the expanded form takes fewer multiplications, since both run near the arithmetic's peak.
  func isExpanded(count: Int, first: Int) -> Bool {
    let (count, first) = (Double(count), Double(first))
    let pairs = count * (first + (count + 1) / 2)
    return (first + count) * projection + pairs * expandedPair < count * projection + pairs * absorbedPair
  }
}

extension ModelConfiguration {
  /// The cheaper form for `count` tokens behind `first` others.
  ///
  /// The forms round differently. Whoever cuts a prompt into pieces chooses one for all of it, so that the result does
  /// not depend on the cuts.
  public func attentionForm(count: Int, first: Int) -> AttentionForm {
    AttentionFormChoice(self).isExpanded(count: count, first: first) ? .expanded : .absorbed
  }
}
