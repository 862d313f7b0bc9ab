import DormouseSupport

/// What one call of embed is asked to do.
struct EmbeddingRequest: Sendable, Equatable {
  /// Which hidden states become the embedding.
  enum Pooling: String, Sendable, CaseIterable {
    /// That of the last token.
    case last
    /// The mean of all tokens'.
    case mean
  }

  var pooling = Pooling.last
  /// Whether the embedding is divided by its Euclidean length.
  var isNormalized = false
  var terms = WorkTerms()

  /// - Parameter json: an object as `dormouse_session_embed` describes it, or nil.
  /// - Throws: `Failure(.invalidArgument)` naming the member.
  init(_ json: String?) throws(Failure) {
    guard let json else { return }
    let fields = try JSONFields(argument: json, name: "config_json")
    try fields.refuseMembers(besides: ["pooling", "normalize", "priority", "time_limit"])
    pooling = try fields.optionalCase("pooling") ?? pooling
    isNormalized = try fields.optionalBoolean("normalize") ?? isNormalized
    terms = try WorkTerms(fields)
  }

  /// Makes the embedding of a sum of states [hidden].
  /// - Parameter count: how many states the sum is of.
  func pool(
    _ sum: UnsafeMutableBufferPointer<Double>, count: Int, into embedding: UnsafeMutableBufferPointer<Float>
  ) {
    var divisor = Double(count)
    if isNormalized {
      let length = sum.reduce(0) { $0 + $1 * $1 }.squareRoot()
      // States that are all zero have no direction.
      if length > 0 { divisor = length }
    }
    for (index, value) in sum.enumerated() { embedding[index] = Float(value / divisor) }
  }
}
