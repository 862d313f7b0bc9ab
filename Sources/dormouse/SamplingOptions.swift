import ArgumentParser
import DormouseClient

/// How tokens are chosen; what is not given comes from the model's generation_config.json.
struct SamplingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Most tokens to generate.", valueName: "n"))
  var maxTokens: UInt32?

  @Option(help: ArgumentHelp("0 takes the most probable token.", valueName: "t"))
  var temperature: Double?

  @Option(help: ArgumentHelp("Choose among the most probable tokens that sum up to this.", valueName: "p"))
  var topP: Double?

  @Option(help: ArgumentHelp("Choose among this many tokens; 0 is off.", valueName: "k"))
  var topK: UInt32?

  @Option(help: ArgumentHelp("Choose among tokens at least this probable beside the best.", valueName: "p"))
  var minP: Double?

  @Option(help: ArgumentHelp("Same seed, same text.", valueName: "s"))
  var seed: Int?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("End before this text; may be given several times.", valueName: "text"))
  var stop: [String] = []

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("End at this token; may be given several times.", valueName: "id"))
  var stopTokenId: [UInt32] = []

  func validate() throws {
    if maxTokens == 0 { throw ValidationError("--max-tokens must be at least 1.") }
    try check("--temperature", temperature, 0...100)
    try check("--top-p", topP, 0...1)
    if topP == 0 { throw ValidationError("--top-p must be above 0.") }
    try check("--min-p", minP, 0...1)
    if stop.contains("") { throw ValidationError("--stop must not be empty.") }
  }

  private func check(_ name: String, _ value: Double?, _ range: ClosedRange<Double>) throws {
    guard let value, !range.contains(value) else { return }
    throw ValidationError("\(name) must be \(Int(range.lowerBound)) to \(Int(range.upperBound)).")
  }

  /// - Parameter timeLimit: seconds.
  func options(timeLimit: Double?) -> OpenSession.GenerationOptions {
    var options = OpenSession.GenerationOptions()
    options.maxTokens = maxTokens
    options.temperature = temperature
    options.topP = topP
    options.topK = topK
    options.minP = minP
    options.seed = seed
    options.stop = stop.isEmpty ? nil : stop
    options.stopTokenIds = stopTokenId.isEmpty ? nil : stopTokenId
    options.timeLimit = timeLimit
    return options
  }
}
