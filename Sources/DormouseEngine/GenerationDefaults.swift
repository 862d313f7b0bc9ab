import DormouseSupport
import DormouseText

/// What a model's folder says about generation: `generation_config.json`, and for folders whose file names no end token
/// that of `config.json`, or of its `text_config` where the model is a composite, or of the tokenizer.
struct GenerationDefaults: Sendable {
  var sampling = SamplingParameters()
  /// Tokens that end an answer.
  var endTokens: Set<Int32> = []

  /// Reads the folder. Both files may be missing here: `ModelConfiguration` asks for config.json where it is needed.
  /// - Parameters:
  ///   - tokenizer: of the same folder, where it has one.
  ///   - log: is told where the end token was guessed, or that there is none.
  static func load(
    folder: String, tokenizer: Tokenizer? = nil, log: Log = .silent
  ) throws(Failure) -> GenerationDefaults {
    var defaults = GenerationDefaults()
    let path = folder + "/generation_config.json"
    if File.exists(path) {
      let fields = try JSONFields(try File.readJSON(path), file: path)
      defaults.sampling = try readSampling(fields)
      defaults.endTokens = try readEndTokens(fields)
    }
    let modelPath = folder + "/config.json"
    guard File.exists(modelPath) else { return defaults }
    if defaults.endTokens.isEmpty {
      defaults.endTokens = try readModelEndTokens(try JSONFields(try File.readJSON(modelPath), file: modelPath))
    }
    if defaults.endTokens.isEmpty, let tokenizer {
      defaults.endTokens = guessEndTokens(of: folder, tokenizer, log)
    }
    return defaults
  }

  /// As transformers' `GenerationConfig.from_model_config` has them: a composite's own, else those of its text model.
  private static func readModelEndTokens(_ fields: JSONFields) throws(Failure) -> Set<Int32> {
    let own = try readEndTokens(fields)
    guard own.isEmpty, let text = try fields.fields("text_config") else { return own }
    return try readEndTokens(text)
  }

  /// What the tokenizer calls the end of a sequence, where no file says what ends an answer.
  private static func guessEndTokens(of folder: String, _ tokenizer: Tokenizer, _ log: Log) -> Set<Int32> {
    guard let name = tokenizer.endOfSequenceToken, let id = tokenizer.id(of: name) else {
      log(
        .warning,
        "\(folder): neither generation_config.json nor config.json has an eos_token_id, and the tokenizer has no"
          + " eos_token: answers end at max_tokens")
      return []
    }
    log(
      .warning,
      "\(folder): neither generation_config.json nor config.json has an eos_token_id; answers end at the tokenizer's"
        + " eos_token \(Excerpt.name(name)), id \(id)")
    return [id]
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

  /// The file's members as a caller has to give them. What `GenerationConfig.from_pretrained` of transformers reads,
  /// and other libraries write, goes beyond that: `top_k` may be a whole number with a point, or -1 for "off"; and
  /// `top_p` may be 0, which leaves the most probable token alone.
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
