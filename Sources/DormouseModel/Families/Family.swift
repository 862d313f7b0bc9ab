import DormouseLayers
import DormouseSupport

/// What models of one family have of their own: how `config.json` tells of their layers, and what of a checkpoint is no
/// part of them. What a family does not say is as in DeepSeek-V3.
protocol Family {
  /// The document with the family's values for the fields that it leaves out.
  func completed(_ fields: JSONFields) throws(Failure) -> JSONFields

  func router(_ fields: JSONFields) throws(Failure) -> RouterConfiguration

  /// - Returns: one entry a layer.
  func feedForward(_ fields: JSONFields, layerCount: Int) throws(Failure) -> [ModelConfiguration.FeedForward]

  /// Width of one shared expert.
  func sharedExpertWidth(_ fields: JSONFields, expertWidth: Int) throws(Failure) -> Int

  /// - Returns: one entry a layer.
  func attentions(
    _ fields: JSONFields, layerCount: Int, maximumPositions: Int
  ) throws(Failure) -> [AttentionConfiguration]

  /// Layers for multi-token prediction that stand behind the others where the document names no number of them.
  var unlistedNextTokenLayerCount: Int { get }

  /// What names of multi-token prediction begin with behind the model's prefix, where it is not a layer's number.
  var nextTokenPrefix: String? { get }
}

extension Family {
  func completed(_ fields: JSONFields) throws(Failure) -> JSONFields { fields }

  func router(_ fields: JSONFields) throws(Failure) -> RouterConfiguration {
    try RouterConfiguration(fields, defaultMethod: .noAuxiliaryLoss, allowed: [.noAuxiliaryLoss])
  }

  func feedForward(_ fields: JSONFields, layerCount: Int) throws(Failure) -> [ModelConfiguration.FeedForward] {
    try FeedForwardSchedule(fields, layerCount: layerCount).layers()
  }

  func sharedExpertWidth(_ fields: JSONFields, expertWidth: Int) throws(Failure) -> Int { expertWidth }

  func attentions(
    _ fields: JSONFields, layerCount: Int, maximumPositions: Int
  ) throws(Failure) -> [AttentionConfiguration] {
    let all = try LatentAttentionConfiguration(fields, maximumPositions: maximumPositions)
    return Array(repeating: .latent(all), count: layerCount)
  }

  var unlistedNextTokenLayerCount: Int { 0 }
  var nextTokenPrefix: String? { nil }
}

/// Which layers are dense and which have experts: `mlp_layer_types`, or `first_k_dense_replace` and `moe_layer_freq`.
struct FeedForwardSchedule {
  let fields: JSONFields
  let layerCount: Int

  init(_ fields: JSONFields, layerCount: Int) {
    self.fields = fields
    self.layerCount = layerCount
  }

  /// - Parameter dense: the number of dense layers at the beginning where the document has none; nil where it must.
  func layers(dense: Int? = nil) throws(Failure) -> [ModelConfiguration.FeedForward] {
    if let types = try fields.optionalArray("mlp_layer_types") { return try layers(types) }
    let dense = try denseCount(otherwise: dense)
    let frequency = try fields.optionalInteger("moe_layer_freq", ModelConfiguration.layerRange) ?? 1
    return (0..<layerCount).map { $0 >= dense && $0 % frequency == 0 ? .experts : .dense }
  }

  func denseCount(otherwise: Int? = nil) throws(Failure) -> Int {
    if let otherwise, !fields.has("first_k_dense_replace") { return otherwise }
    return try fields.integer("first_k_dense_replace", 0...ModelConfiguration.layerRange.upperBound)
  }

  private func layers(_ types: [JSON]) throws(Failure) -> [ModelConfiguration.FeedForward] {
    guard types.count == layerCount else {
      throw Failure(
        .malformed,
        "\(fields.file): mlp_layer_types has \(types.count) entries; expected \(layerCount), one a layer")
    }
    var result: [ModelConfiguration.FeedForward] = []
    for (index, type) in types.enumerated() {
      switch type.stringValue {
      case "dense": result.append(.dense)
      case "sparse": result.append(.experts)
      default: throw fields.unsupported("mlp_layer_types[\(index)]", type, supported: "dense, sparse")
      }
    }
    return result
  }
}
