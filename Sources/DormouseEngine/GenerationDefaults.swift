import DormouseSupport

/// What a model's folder says about generation: `generation_config.json`, and the end token of `config.json` for
/// folders without one.
struct GenerationDefaults: Sendable {
  var sampling = SamplingParameters()
  /// Tokens that end an answer.
  var endTokens: Set<Int32> = []

  /// Reads the folder. Both files may be missing here: `ModelConfiguration` asks for config.json where it is needed.
  static func load(folder: String) throws(Failure) -> GenerationDefaults {
    var defaults = GenerationDefaults()
    let path = folder + "/generation_config.json"
    if File.exists(path) {
      let fields = try JSONFields(try File.readJSON(path), file: path)
      defaults.sampling = try readSampling(fields)
      defaults.endTokens = try readEndTokens(fields)
    }
    let modelPath = folder + "/config.json"
    if defaults.endTokens.isEmpty, File.exists(modelPath) {
      defaults.endTokens = try readEndTokens(try JSONFields(try File.readJSON(modelPath), file: modelPath))
    }
    return defaults
  }

  /// `do_sample` false means greedy; true without a temperature means 1, as in transformers. Other members of the
  /// file (max_length, transformers_version, ...) are not about the choice of a token.
  private static func readSampling(_ fields: JSONFields) throws(Failure) -> SamplingParameters {
    var sampling = SamplingParameters()
    let doesSample = try fields.optionalBoolean("do_sample")
    sampling.temperature = 1
    try sampling.read(fields)
    if doesSample != true { sampling.temperature = 0 }
    return sampling
  }

  /// `eos_token_id`: an id, or an array of them.
  private static func readEndTokens(_ fields: JSONFields) throws(Failure) -> Set<Int32> {
    guard let value = fields.value("eos_token_id") else { return [] }
    var tokens: Set<Int32> = []
    for element in value.arrayValue ?? [value] {
      guard let id = element.integerValue.flatMap({ Int32(exactly: $0) }), id >= 0 else {
        throw fields.wrong("eos_token_id", value, expected: "a token id or an array of token ids")
      }
      tokens.insert(id)
    }
    return tokens
  }
}
