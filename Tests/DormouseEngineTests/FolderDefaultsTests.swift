import DormouseSupport
import Glibc
import Testing

@testable import DormouseEngine

/// What a folder's small files may say: all that opens elsewhere opens here.
@Suite struct FolderDefaultsTests {
  private func defaults(_ generation: String, model: String = #"{"eos_token_id": 7}"#) throws -> GenerationDefaults {
    let folder = try TemporaryFolder()
    try folder.write("generation_config.json", Array(generation.utf8))
    try folder.write("config.json", Array(model.utf8))
    return try GenerationDefaults.load(folder: folder.path)
  }

  @Test func topKMayBeOffOrAWholeNumberWithAPoint() throws {
    for (text, topK) in [("-1", 0), ("-1.0", 0), ("0", 0), ("50", 50), ("50.0", 50), ("null", 0)] {
      #expect(try defaults(#"{"top_k": \#(text)}"#).sampling.topK == topK, "\(text)")
    }
    for text in ["-2", "50.5", "1e30", #""50""#] {
      #expect(throws: Failure.self, "\(text)") { try defaults(#"{"top_k": \#(text)}"#) }
    }
  }

  @Test func topPOfZeroLeavesTheMostProbableToken() throws {
    let sampling = try defaults(#"{"do_sample": true, "top_p": 0.0, "temperature": 2.0}"#).sampling
    #expect(sampling.topP == 0 && sampling.temperature == 2)
    var sampler = Sampler(sampling)
    let logits: [Float] = [0.25, 0.5, 0.75, 0.5]
    for _ in 0..<50 { #expect(logits.withUnsafeBufferPointer { sampler.sample($0) } == 2) }
    #expect(try defaults(#"{"top_p": 0}"#).sampling.topP == 0)
    #expect(throws: Failure.self) { try defaults(#"{"top_p": -0.5}"#) }
  }

  @Test func callersAreHeldToTheHeader() {
    for json in [#"{"top_k": -1}"#, #"{"top_k": 50.0}"#, #"{"top_p": 0.0}"#] {
      #expect(throws: Failure.self, "\(json)") {
        try GenerationRequest.read(json, defaults: SamplingParameters(), vocabularySize: 10)
      }
    }
  }

  @Test func anEndTokenOfMinusOneIsNone() throws {
    #expect(try defaults(#"{"eos_token_id": -1}"#).endTokens == [7])
    #expect(try defaults(#"{"eos_token_id": [-1, 3]}"#).endTokens == [3])
    #expect(try defaults(#"{"eos_token_id": -1}"#, model: #"{"eos_token_id": -1}"#).endTokens == [])
    #expect(throws: Failure.self) { try defaults(#"{"eos_token_id": -2}"#) }
  }

  /// Without `do_sample` an answer is greedy, whatever temperature stands there; with it the temperature is 1 by itself.
  @Test func samplingIsAskedFor() throws {
    #expect(try defaults(#"{"temperature": 0.7}"#).sampling.temperature == 0)
    #expect(try defaults(#"{"do_sample": false, "temperature": 0.7}"#).sampling.temperature == 0)
    #expect(try defaults(#"{"do_sample": true, "temperature": 0.7}"#).sampling.temperature == 0.7)
    #expect(try defaults(#"{"do_sample": true}"#).sampling.temperature == 1)
    // The end token of config.json, where this file names none.
    #expect(try defaults(#"{"do_sample": true}"#).endTokens == [7])
    #expect(try defaults(#"{"eos_token_id": 3}"#).endTokens == [3])
  }

  // MARK: - Tokenizers of another model

  /// The shipped model's folder with another tokenizer.json.
  private func folder(_ change: (inout JSONObject) throws -> Void) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for name in ["config.json", "model.safetensors", "tokenizer_config.json", "generation_config.json"] {
      #expect(symlink("\(Fixtures.shippedModel)/\(name)", "\(folder.path)/\(name)") == 0)
    }
    var tokenizer = try #require(try File.readJSON("\(Fixtures.shippedModel)/tokenizer.json").objectValue)
    try change(&tokenizer)
    try folder.write("tokenizer.json", Array(JSON.object(tokenizer).text().utf8))
    return folder
  }

  private func vocabularySize() throws -> Int64 {
    let configuration = try File.readJSON("\(Fixtures.shippedModel)/config.json")
    return try #require(configuration["vocab_size"]?.integerValue)
  }

  @Test func aTokenizerOfMoreTokensThanTheModelIsRefused() throws {
    let size = try vocabularySize()
    let folder = try folder { tokenizer in
      var model = try #require(tokenizer["model"]?.objectValue)
      var vocabulary = try #require(model["vocab"]?.objectValue)
      vocabulary["zzzz"] = .integer(size)
      model["vocab"] = .object(vocabulary)
      tokenizer["model"] = .object(model)
    }
    #expect(
      throws: Failure(
        .malformed,
        "\(folder.path)/tokenizer.json: token 'zzzz' has id \(size), but config.json's vocab_size is \(size): the tokenizer"
          + " is not that of the model")
    ) { try Engine(path: folder.path, options: EngineOptions()) }
    // By itself it is a tokenizer.
    var options = EngineOptions()
    options.withoutWeights = true
    _ = try Engine(path: folder.path, options: options)
  }

  /// Some published folders have such tokens: placeholders, or a padding token that a fine-tuning tool has added.
  @Test func anAddedTokenMayLieBeyondTheModel() throws {
    let size = try vocabularySize()
    let folder = try folder { tokenizer in
      let added = try #require(tokenizer["added_tokens"]?.arrayValue)
      tokenizer["added_tokens"] = .array(
        added + [["id": .integer(size + 3), "content": "<pad>", "special": true, "normalized": false]])
    }
    let lines = Locked<[String]>([])
    var options = EngineOptions()
    options.log = Log { _, message in lines.withLock { $0.append(message) } }
    _ = try Engine(path: folder.path, options: options)
    #expect(
      lines.withLock { $0 } == [
        "\(folder.path)/tokenizer.json: added tokens have ids up to \(size + 3), but config.json's vocab_size is \(size):"
          + " those beyond it cannot be evaluated"
      ])
  }
}
