import DormouseKernels
import DormouseSpeech
import DormouseSupport
import Testing

/// Folders, audio and options that make no sense end in a sentence.
@Suite struct WhisperBadInputTests {
  static let files = [
    "config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json",
    "model.safetensors",
  ]

  /// A copy of a good folder in which members of one file are other ones; nil takes one away.
  static func folder(
    _ file: String = "config.json", _ changes: [String: JSON?] = [:], without: String? = nil
  ) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for name in files where name != without {
      let path = Fixtures.path("whisper/good-multilingual/\(name)")
      var bytes = try File(path: path).readAll(limit: 1 << 24)
      if name == file, var object = try File.readJSON(path).objectValue {
        for (key, value) in changes { object[key] = value }
        bytes = Array(JSON.object(object).text().utf8)
      }
      try folder.write(name, bytes)
    }
    return folder
  }

  /// What opening a changed folder says, without the folder's own path.
  static func message(
    _ file: String = "config.json", _ changes: [String: JSON?] = [:], without: String? = nil
  ) throws -> String {
    let folder = try folder(file, changes, without: without)
    let pool = try ThreadPool(threadCount: 1)
    let kernels = try Kernels.selected()
    do {
      _ = try Whisper(folder: folder.path, pool: pool, kernels: kernels)
      return "no failure"
    } catch {
      let message = "\(error)"
      return message.hasPrefix(folder.path) ? String(message.dropFirst(folder.path.count + 1)) : message
    }
  }

  @Test func anUnchangedCopyOpens() throws { #expect(try Self.message() == "no failure") }

  @Test func configuration() throws {
    let cases: [(String, JSON?, String)] = [
      ("model_type", "llama", #"config.json: model_type is "llama", which is not supported; supported: whisper"#),
      ("d_model", 0, "config.json: d_model is 0; expected an integer from 1 to 16384"),
      ("d_model", nil, "config.json: d_model is missing; expected an integer from 1 to 16384"),
      ("d_model", 1e30, "config.json: d_model is"),
      ("encoder_layers", -1, "config.json: encoder_layers is -1; expected an integer from 1 to 256"),
      (
        "encoder_attention_heads", 5, "config.json: encoder_attention_heads is 5; expected a divisor of the hidden size"
      ),
      ("decoder_attention_heads", 7, "config.json: decoder_attention_heads is 7; expected a divisor"),
      ("encoder_ffn_dim", "40", #"config.json: encoder_ffn_dim is "40"; expected an integer"#),
      ("max_source_positions", 151, "config.json: max_source_positions is 151; expected half of"),
      ("max_target_positions", 8, "config.json: max_target_positions is 8; expected an integer from 16"),
      ("num_mel_bins", 128, "config.json: num_mel_bins is 128; expected the feature_size"),
      ("activation_function", "relu", "config.json: activation_function is \"relu\", which is not supported"),
      ("scale_embedding", true, "config.json: scale_embedding is true, which is not supported"),
      ("tie_word_embeddings", false, "tensor proj_out.weight is missing; expected shape [465, 24]"),
      ("vocab_size", 0, "config.json: vocab_size is 0; expected an integer from 1 to 1000000"),
      ("vocab_size", 466, "tensor model.decoder.embed_tokens.weight has shape [465, 24]; expected [466, 24]"),
      ("decoder_layers", 3, "tensor model.decoder.layers.2.self_attn_layer_norm.weight is missing"),
      ("encoder_ffn_dim", 41, "tensor model.encoder.layers.0.fc1.weight has shape [40, 24]; expected [41, 24]"),
      ("d_model", 27, "tensor model.encoder.conv1.weight has shape [24, 80, 3]; expected [27, 80, 3]"),
    ]
    for (key, value, expected) in cases {
      let found = try Self.message("config.json", [key: value])
      #expect(found.contains(expected), "\(key): \(found)")
    }
  }

  @Test func generationConfiguration() throws {
    let cases: [(String, JSON?, String)] = [
      ("no_timestamps_token_id", nil, "no_timestamps_token_id is missing"),
      ("no_timestamps_token_id", 464, "no_timestamps_token_id is 464; expected an integer from 1 to 463"),
      ("eos_token_id", 465, "eos_token_id is 465; expected an integer from 0 to 464"),
      ("eos_token_id", [1, 2], "eos_token_id is an array"),
      ("suppress_tokens", [1, "x"], "suppress_tokens is \"x\"; expected token ids from 0 to 464"),
      ("suppress_tokens", 3, "suppress_tokens is 3; expected an array"),
      ("begin_suppress_tokens", [-7], "begin_suppress_tokens is -7"),
      ("max_length", 0, "max_length is 0"),
      ("lang_to_id", ["en": 303], "lang_to_id.en is \"en\"; expected a token such as <|en|>"),
      ("lang_to_id", ["<|en|>": 1_099_511_627_776], "lang_to_id.<|en|> is 1099511627776"),
      ("task_to_id", ["transcribe": 309], "task_to_id.translate is missing"),
      ("forced_decoder_ids", [[2, 5]], "forced_decoder_ids is an array; expected pairs of position and token"),
      ("forced_decoder_ids", [[1, 5000]], "forced_decoder_ids is 5000; expected token ids"),
      ("max_initial_timestamp_index", -1, "max_initial_timestamp_index is -1"),
    ]
    for (key, value, expected) in cases {
      let found = try Self.message("generation_config.json", [key: value])
      #expect(found.hasPrefix("generation_config.json: ") && found.contains(expected), "\(key): \(found)")
    }
  }

  @Test func missingFiles() throws {
    for file in Self.files where file != "tokenizer_config.json" {
      let found = try Self.message(without: file)
      // Without generation_config.json, config.json is asked for what only the former has.
      let expected = file == "generation_config.json" ? "config.json: no_timestamps_token_id is missing" : "is there"
      #expect(found.contains(expected) || found.contains("cannot open"), "\(file): \(found)")
    }
  }

  // MARK: - Audio and options

  static func message(
    _ model: Whisper, _ samples: [Float], _ options: WhisperOptions, interruption: Interruption = .never
  ) -> String {
    failureMessage { _ = try WhisperTests.transcribe(model, samples, options, interruption: interruption) }
  }

  @Test func audio() throws {
    let model = try WhisperTests.open("good-multilingual")
    #expect(Self.message(model, [], WhisperOptions()) == "audio without samples")
    #expect(Self.message(model, [0, 1, -.infinity], WhisperOptions()) == "sample 2 is -inf; expected finite numbers")
    #expect(
      Self.message(model, SyntheticAudio.voice(48160, seed: 1), WhisperOptions(hasTimestamps: false))
        == "audio of 3.01 s without timestamps; windows of 3 s are joined by them")
    // A single sample is audio.
    #expect(Self.message(model, [0.5], WhisperOptions()) == "no failure")
    #expect(Self.message(model, [Float](repeating: 3e38, count: 500), WhisperOptions()) != "")
  }

  @Test func options() throws {
    let model = try WhisperTests.open("good-multilingual")
    let samples = SyntheticAudio.voice(16000, seed: 1)
    let cases: [(WhisperOptions, String)] = [
      (WhisperOptions(language: "xx"), #"language "xx" is unknown to the model; it knows en, zh, de, fr, yue"#),
      (WhisperOptions(temperatures: []), "0 temperatures; expected 1 to 64"),
      (WhisperOptions(temperatures: [0, -1]), "a temperature of -1.0; expected 0 to 100"),
      (WhisperOptions(temperatures: [.nan]), "a temperature of nan; expected 0 to 100"),
      (WhisperOptions(compressionRatioThreshold: .nan), "a threshold that is no number"),
      (
        WhisperOptions(logProbabilityThreshold: nil),
        "a threshold for no speech needs one for the mean log probability as well"
      ),
    ]
    for (options, expected) in cases { #expect(Self.message(model, samples, options) == expected) }
    let english = try WhisperTests.open("good-english")
    for options in [WhisperOptions(language: "en"), WhisperOptions(task: .translate)] {
      #expect(Self.message(english, samples, options).hasPrefix("the model knows one language"))
    }
  }

  /// A prompt of tokens that are all suppressed, and weights that are no numbers.
  @Test func modelsThatCannotWrite() throws {
    let suppressed = (0..<465).map { JSON.integer($0) }
    let folder = try Self.folder("generation_config.json", ["suppress_tokens": .array(suppressed)])
    let model = try Whisper(folder: folder.path, pool: ThreadPool(threadCount: 1), kernels: Kernels.selected())
    let samples = SyntheticAudio.voice(16000, seed: 1)
    #expect(Self.message(model, samples, WhisperOptions()).contains("suppressed tokens leave none to write"))
    var bytes = try File(path: Fixtures.path("whisper/good-multilingual/model.safetensors")).readAll(limit: 1 << 24)
    for index in bytes.count / 2..<bytes.count { bytes[index] = 0x7F }
    let damaged = try Self.folder()
    try damaged.write("model.safetensors", bytes)
    let other = try Whisper(folder: damaged.path, pool: ThreadPool(threadCount: 1), kernels: Kernels.selected())
    #expect(Self.message(other, samples, WhisperOptions()).hasPrefix("the model's logits are not finite"))
  }
}
