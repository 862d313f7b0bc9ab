import DormouseModel
import DormouseSupport

/// What a host has set for all answers of an engine (`generation_defaults`): members of a config, over the model's own
/// defaults and under each call's.
struct ConfiguredDefaults: Sendable {
  /// Empty where nothing was set.
  private var members = JSONObject()

  private static let name = "generation_defaults"
  /// What one answer alone can be asked for: its form, its tools, and what is told of its tokens.
  private static let membersOfOneCall = [
    "constraint", "response_format", "tools", "tool_choice", "parallel_tool_calls", "logprobs",
  ]

  /// - Parameters:
  ///   - json: an object as `dormouse_session_generate` describes it, or nil.
  ///   - folder: the model's, whose vocabulary bounds the ids that it may name.
  /// - Throws: `Failure(.invalidArgument)` naming the member, and what is wrong with the model's config.json.
  init(json: String?, folder: String) throws(Failure) {
    guard let json else { return }
    let fields = try JSONFields(argument: json, name: Self.name)
    for member in Self.membersOfOneCall where fields.value(member) != nil {
      throw Failure(
        .invalidArgument, "\(Self.name): \(member) is no default: it belongs into the config_json of the call")
    }
    let vocabularySize = try ModelConfiguration.load(folder: folder).vocabularySize
    _ = try GenerationRequest.read(fields, defaults: SamplingParameters(), vocabularySize: vocabularySize)
    members = fields.object
  }

  /// The members of a call's config and, where it has none or null, these.
  func under(_ call: JSONFields) throws(Failure) -> JSONFields {
    guard !members.isEmpty else { return call }
    var merged = members
    // These two say the same, and may not contradict each other.
    let reasoning = ["thinking", "reasoning_effort"]
    if reasoning.contains(where: { call.value($0) != nil }) { for name in reasoning { merged[name] = nil } }
    for (key, value) in call.object where !value.isNull || merged[key] == nil { merged[key] = value }
    return try call.replacing(merged)
  }
}
