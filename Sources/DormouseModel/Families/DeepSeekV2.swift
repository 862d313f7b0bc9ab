import DormouseLayers
import DormouseSupport

/// DeepSeek-V2 and V2-Lite: experts by softmax.
struct DeepSeekV2: Family {
  func router(_ fields: JSONFields) throws(Failure) -> RouterConfiguration {
    try RouterConfiguration(fields, defaultMethod: .greedy, allowed: [.greedy, .groupLimitedGreedy])
  }

  /// The class of transformers always turns neighbours; those of the other families read `rope_interleave`.
  func attentions(
    _ fields: JSONFields, layerCount: Int, maximumPositions: Int
  ) throws(Failure) -> [AttentionConfiguration] {
    let all = try LatentAttentionConfiguration(fields, maximumPositions: maximumPositions)
    guard all.ropeInterleaved else {
      throw fields.unsupported("rope_interleave", .bool(false), supported: "true with deepseek_v2")
    }
    return Array(repeating: .latent(all), count: layerCount)
  }
}
