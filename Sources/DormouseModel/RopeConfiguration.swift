import DormouseSupport
import Glibc

/// Rotary position embedding: base and, where the context was stretched, YaRN (arXiv 2309.00071).
public struct RopeConfiguration: Sendable, Equatable {
  public struct YaRN: Sendable, Equatable {
    /// How many times the original context was stretched.
    public internal(set) var factor: Double
    /// Positions of the context before stretching.
    public internal(set) var originalMaximumPositions: Int
    public internal(set) var betaFast: Double
    public internal(set) var betaSlow: Double
    public internal(set) var mscale: Double?
    public internal(set) var mscaleAllDimensions: Double?
    /// Given outright in the document, it replaces the quotient of the two mscales.
    public internal(set) var attentionFactor: Double?
    /// Whether the borders of the ramp are rounded to whole dimensions.
    public internal(set) var truncates: Bool
  }

  /// rope_theta.
  public internal(set) var theta: Double
  public internal(set) var yarn: YaRN?

  init(theta: Double, yarn: YaRN? = nil) {
    self.theta = theta
    self.yarn = yarn
  }

  /// What cos and sin are multiplied by: 1, or YaRN's mscale quotient.
  public var attentionFactor: Double {
    guard let yarn else { return 1 }
    if let given = yarn.attentionFactor { return given }
    if let mscale = yarn.mscale, let all = yarn.mscaleAllDimensions, mscale != 0, all != 0 {
      return Self.magnitude(yarn.factor, mscale) / Self.magnitude(yarn.factor, all)
    }
    return Self.magnitude(yarn.factor, 1)
  }

  /// What the softmax scale (nope + rope)^-1/2 is multiplied by: 1, or the square of YaRN's magnitude.
  public var softmaxFactor: Double {
    guard let yarn, let all = yarn.mscaleAllDimensions, all != 0 else { return 1 }
    let magnitude = Self.magnitude(yarn.factor, all)
    return magnitude * magnitude
  }

  /// YaRN's magnitude correction, 0.1 * mscale * ln(factor) + 1.
  private static func magnitude(_ factor: Double, _ mscale: Double) -> Double {
    factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1
  }

  /// Radians a position for each pair of the `dimension` rotated channels: [dimension / 2].
  ///
  /// In float32, as `modeling_rope_utils.py` of transformers 5.23 computes them: at a far position the angle magnifies
  /// every rounding of these.
  public func inverseFrequencies(dimension: Int) -> [Float] {
    let powers = (0..<max(dimension, 0) / 2).map { powf(Float(theta), Float(2 * $0) / Float(dimension)) }
    guard let yarn else { return powers.map { 1 / $0 } }
    let (low, high) = correctionRange(yarn, dimension: dimension)
    return powers.enumerated().map { index, power in
      let ramp = min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
      let extrapolated = 1 - ramp
      return 1 / (Float(yarn.factor) * power) * (1 - extrapolated) + 1 / power * extrapolated
    }
  }

  /// The pair indices between which interpolation fades in.
  private func correctionRange(_ yarn: YaRN, dimension: Int) -> (low: Double, high: Double) {
    func border(_ rotations: Double) -> Double {
      let wavelengths = Double(yarn.originalMaximumPositions) / (rotations * 2 * .pi)
      return Double(dimension) * log(wavelengths) / (2 * log(theta))
    }
    var low = border(yarn.betaFast)
    var high = border(yarn.betaSlow)
    if yarn.truncates {
      low = low.rounded(.down)
      high = high.rounded(.up)
    }
    low = max(low, 0)
    high = min(high, Double(dimension - 1))
    // Equal borders would divide by zero; the reference moves the upper one by this much.
    return (low, low == high ? high + 0.001 : high)
  }
}

extension RopeConfiguration {
  static let thetaRange = 1.0001...1e12

  /// Reads both spellings: the hub's `rope_theta` and `rope_scaling`, and transformers 5's `rope_parameters`. As in
  /// transformers, `rope_scaling` wins where both stand, and a theta inside it wins over one beside it.
  init(_ fields: JSONFields, maximumPositions: Int) throws(Failure) {
    var parameters = try fields.fields("rope_scaling")
    if parameters?.object.isEmpty ?? true { parameters = try fields.fields("rope_parameters") }
    let outer = try fields.optionalNumber("rope_theta", Self.thetaRange)
    let inner = try parameters?.optionalNumber("rope_theta", Self.thetaRange)
    theta = inner ?? outer ?? Self.defaultTheta
    try Self.requireFullRotation(fields)
    guard let parameters else { return }
    try Self.requireFullRotation(parameters)
    let key = parameters.value("rope_type") == nil ? "type" : "rope_type"
    switch try parameters.optionalString(key) ?? "default" {
    case "default": yarn = nil
    case "yarn": yarn = try YaRN(parameters, document: fields, maximumPositions: maximumPositions)
    case let name: throw parameters.unsupported(key, .string(name), supported: "default, yarn")
    }
  }

  /// transformers' `RotaryEmbeddingConfigMixin.default_theta`.
  private static let defaultTheta = 10_000.0

  private static func requireFullRotation(_ fields: JSONFields) throws(Failure) {
    guard let value = fields.value("partial_rotary_factor") else { return }
    guard value.doubleValue == 1 else {
      throw fields.unsupported("partial_rotary_factor", value, supported: "1, since qk_rope_head_dim sets the size")
    }
  }
}

extension RopeConfiguration.YaRN {
  fileprivate init(
    _ fields: JSONFields, document: JSONFields, maximumPositions: Int
  ) throws(Failure) {
    let key = "original_max_position_embeddings"
    factor = try fields.number("factor", 1...1e6)
    let outer = try document.optionalInteger(key, ModelConfiguration.positionRange)
    let inner = try fields.optionalInteger(key, ModelConfiguration.positionRange)
    originalMaximumPositions = outer ?? inner ?? maximumPositions
    betaFast = try Self.beta(fields, "beta_fast", default: 32)
    betaSlow = try Self.beta(fields, "beta_slow", default: 1)
    mscale = try fields.optionalNumber("mscale", 0...1e3)
    mscaleAllDimensions = try fields.optionalNumber("mscale_all_dim", 0...1e3)
    attentionFactor = try fields.optionalNumber("attention_factor", 1e-6...1e6)
    truncates = try fields.optionalBoolean("truncate") ?? true
    guard betaSlow <= betaFast else {
      throw fields.wrong("beta_slow", .number(betaSlow), expected: "at most beta_fast, which is \(betaFast)")
    }
  }

  /// 0 and null stand for the default, as in transformers.
  private static func beta(
    _ fields: JSONFields, _ key: String, default standard: Double
  ) throws(Failure) -> Double {
    let value = try fields.optionalNumber(key, 0...1e6) ?? 0
    return value == 0 ? standard : value
  }
}
