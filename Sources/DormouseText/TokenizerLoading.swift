public import DormouseSupport

extension Tokenizer {
  /// Bytes of a tokenizer file at most; the largest published ones have about 20 million.
  private static let fileLimit = 64 << 20

  /// Reads the tokenizer of a model's folder: `tokenizer.json`, else `tiktoken.model`, with `tokenizer_config.json`
  /// where there is one.
  /// - Throws: `Failure(.notFound)` when neither is there, otherwise a failure naming file, member and value.
  public convenience init(folder: String) throws(Failure) {
    let configurationPath = folder + "/tokenizer_config.json"
    let configuration = File.exists(configurationPath) ? try File.readJSON(configurationPath) : nil
    let file = folder + "/tokenizer.json"
    if File.exists(file) {
      let bytes = try File(path: file).readAll(limit: Tokenizer.fileLimit)
      try self.init(json: bytes, configuration: configuration, file: file)
      return
    }
    let ranks = folder + "/tiktoken.model"
    guard File.exists(ranks) else {
      throw Failure(.notFound, "\(folder): neither tokenizer.json nor tiktoken.model is there")
    }
    let bytes = try File(path: ranks).readAll(limit: Tokenizer.fileLimit)
    try self.init(tiktoken: bytes, configuration: configuration, file: ranks)
  }

  /// Reads the bytes of a `tokenizer.json`.
  /// - Parameters:
  ///   - configuration: the document `tokenizer_config.json`, or nil.
  ///   - file: stands in front of messages.
  public convenience init(json: [UInt8], configuration: JSON?, file: String) throws(Failure) {
    let configuration = try Tokenizer.read(configuration)
    let parts = try withContext(file) { () throws(Failure) in
      let document = try JSON.parse(json, limits: JSON.Limits(bytes: Tokenizer.fileLimit))
      return try TokenizerFile.parts(document, configuration: configuration)
    }
    self.init(parts: parts, file: file)
  }

  /// Reads the bytes of a `tiktoken.model`; the parameters are those of `init(json:configuration:file:)`.
  public convenience init(tiktoken: [UInt8], configuration: JSON?, file: String) throws(Failure) {
    let configuration = try Tokenizer.read(configuration)
    let parts = try withContext(file) { () throws(Failure) in
      try TiktokenFile.parts(tiktoken, configuration: configuration)
    }
    self.init(parts: parts, file: file)
  }

  private static func read(_ configuration: JSON?) throws(Failure) -> TokenizerConfiguration {
    guard let configuration else { return TokenizerConfiguration() }
    return try withContext("tokenizer_config.json") { () throws(Failure) in
      try TokenizerConfiguration(configuration)
    }
  }
}
