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
    try sampling.read(try callersForm(of: fields))
    if isZero(fields.value("top_p")) { sampling.topP = 0 }
    if doesSample != true { sampling.temperature = 0 }
    return sampling
  }

  /// The file's members as a caller has to give them. What `GenerationConfig.from_pretrained` of transformers reads, and
  /// other libraries write, goes beyond that: `top_k` may be a whole number with a point, or -1 for "off"; and `top_p`
  /// may be 0, which leaves the most probable token alone.
  private static func callersForm(of fields: JSONFields) throws(Failure) -> JSONFields {
    var object = fields.object
    if let topK = fields.value("top_k")?.doubleValue, let number = Int64(exactly: topK) {
      object["top_k"] = .integer(number == -1 ? 0 : number)
    }
    if isZero(fields.value("top_p")) { object["top_p"] = .null }
    return try JSONFields(.object(object), file: fields.file)
  }

  private static func isZero(_ value: JSON?) -> Bool { value?.doubleValue == 0 }

  /// `eos_token_id`: an id, or an array of them. -1 names no token: it is as if it were not there.
  private static func readEndTokens(_ fields: JSONFields) throws(Failure) -> Set<Int32> {
    guard let value = fields.value("eos_token_id") else { return [] }
    var tokens: Set<Int32> = []
    for element in value.arrayValue ?? [value] where element.integerValue != -1 {
      guard let id = element.integerValue.flatMap({ Int32(exactly: $0) }), id >= 0 else {
        throw fields.wrong("eos_token_id", value, expected: "a token id or an array of token ids")
      }
      tokens.insert(id)
    }
    return tokens
  }
}
