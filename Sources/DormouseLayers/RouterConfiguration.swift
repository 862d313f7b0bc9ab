public import DormouseSupport

/// How a mixture-of-experts layer picks the experts of a token.
public struct RouterConfiguration: Sendable, Equatable {
  /// The three ways of selecting; each fixes the scoring function too.
  public enum Method: String, Sendable, CaseIterable {
    /// The best of softmax(logits) (DeepSeek-V2-Lite).
    case greedy
    /// Softmax; groups ranked by their best expert, the others filled with 0 (DeepSeek-V2).
    case groupLimitedGreedy = "group_limited_greedy"
    /// Sigmoid plus a bias that counts in the selection only; groups ranked by the sum of their two best, the others
    /// filled with -infinity (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).
    case noAuxiliaryLoss = "noaux_tc"

    public var scoringFunction: String { self == .noAuxiliaryLoss ? "sigmoid" : "softmax" }
  }

  public var method: Method
  /// n_routed_experts.
  public var expertCount: Int
  /// num_experts_per_tok.
  public var expertsPerToken: Int
  /// n_group; 1 where the method knows no groups.
  public var groupCount: Int
  /// topk_group; 1 where the method knows no groups.
  public var selectedGroupCount: Int
  /// norm_topk_prob: the weights of a token are divided by their sum + 1e-20.
  public var normalizesWeights: Bool
  /// routed_scaling_factor.
  public var scalingFactor: Float

  static let expertRange = 1...65536

  /// Reads the router's fields alone: `scoring_func`, `topk_method`, `n_group`, `topk_group`, `top_k` or
  /// `num_experts_per_tok`, `norm_topk_prob`, `routed_scaling_factor`, `n_routed_experts`.
  ///
  /// - Throws: a `Failure` of the fields' status naming the field, or `Failure(.unsupported)` for an unknown method or scoring
  ///   function, and for `norm_topk_prob` with a softmax method.
  public init(_ fields: JSONFields) throws(Failure) {
    let scoring = try fields.optionalString("scoring_func")
    let fallback: Method = scoring == "sigmoid" ? .noAuxiliaryLoss : .greedy
    try self.init(fields, defaultMethod: fallback, allowed: Method.allCases)
  }

  /// The selection of DeepSeek-V3 among experts without groups.
  /// - Parameters:
  ///   - expertCount: at least 1.
  ///   - expertsPerToken: from 1 to `expertCount`.
  public init(ungrouped expertCount: Int, expertsPerToken: Int, scalingFactor: Float) {
    method = .noAuxiliaryLoss
    self.expertCount = expertCount
    self.expertsPerToken = expertsPerToken
    self.scalingFactor = scalingFactor
    groupCount = 1
    selectedGroupCount = 1
    normalizesWeights = true
  }

  /// - Parameters:
  ///   - defaultMethod: the method of a document without `topk_method`.
  ///   - allowed: the methods that the architecture has.
  public init(_ fields: JSONFields, defaultMethod: Method, allowed: [Method]) throws(Failure) {
    method = try RouterConfiguration.method(fields, defaultMethod: defaultMethod, allowed: allowed)
    expertCount = try fields.integer("n_routed_experts", RouterConfiguration.expertRange)
    let perTokenKey = fields.has("top_k") && !fields.has("num_experts_per_tok") ? "top_k" : "num_experts_per_tok"
    expertsPerToken = try fields.integer(perTokenKey, 1...expertCount)
    scalingFactor = Float(try fields.number("routed_scaling_factor", 1e-6...1e6))
    normalizesWeights = try RouterConfiguration.normalizesWeights(fields, method)
    groupCount = 1
    selectedGroupCount = 1
    if method != .greedy { try readGroups(fields, perTokenKey: perTokenKey) }
  }

  /// DeepSeek's own code for V2 renormalises and then leaves the scale out, the class of transformers ignores the field:
  /// no published checkpoint sets it, and neither reading would be more than a guess.
  private static func normalizesWeights(_ fields: JSONFields, _ method: Method) throws(Failure) -> Bool {
    if method == .noAuxiliaryLoss { return try fields.boolean("norm_topk_prob") }
    guard try fields.optionalBoolean("norm_topk_prob") ?? false else { return false }
    throw fields.unsupported("norm_topk_prob", .bool(true), supported: "false with \(method.rawValue)")
  }

  private mutating func readGroups(_ fields: JSONFields, perTokenKey: String) throws(Failure) {
    groupCount = try fields.integer("n_group", 1...expertCount)
    selectedGroupCount = try fields.integer("topk_group", 1...groupCount)
    guard expertCount % groupCount == 0 else {
      throw fields.wrong(
        "n_group", .integer(Int64(groupCount)), expected: "a divisor of n_routed_experts, which is \(expertCount)")
    }
    let groupSize = expertCount / groupCount
    guard method != .noAuxiliaryLoss || groupSize >= 2 else {
      throw fields.wrong(
        "n_group", .integer(Int64(groupCount)),
        expected: "groups of at least 2 of the \(expertCount) experts, since two rank a group")
    }
    guard expertsPerToken <= selectedGroupCount * groupSize else {
      throw fields.wrong(
        perTokenKey, .integer(Int64(expertsPerToken)),
        expected: "at most the \(selectedGroupCount * groupSize) experts of \(selectedGroupCount) groups")
    }
  }

  private static func method(
    _ fields: JSONFields, defaultMethod: Method, allowed: [Method]
  ) throws(Failure) -> Method {
    var method = defaultMethod
    if let name = try fields.optionalString("topk_method") {
      guard let found = allowed.first(where: { $0.rawValue == name }) else {
        throw fields.unsupported(
          "topk_method", .string(name), supported: allowed.map(\.rawValue).joined(separator: ", "))
      }
      method = found
    }
    if let name = try fields.optionalString("scoring_func"), name != method.scoringFunction {
      throw fields.unsupported(
        "scoring_func", .string(name), supported: "\(method.scoringFunction) with \(method.rawValue)")
    }
    return method
  }
}
