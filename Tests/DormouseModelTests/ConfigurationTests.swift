import DormouseModel
import DormouseSupport
import Testing

@Suite struct ConfigurationTests {
  static let expected: JSON = (try? File.readJSON(Fixtures.path("config/expected.json"))) ?? .null

  static func entries(_ key: String) -> [JSON] { expected[key]?.arrayValue ?? [] }

  static func document(_ name: String) throws -> ModelConfiguration {
    try ModelConfiguration(json: File.readJSON(Fixtures.path("config/\(name)")), file: name)
  }

  @Test func listsAreThere() {
    #expect(Self.entries("good").count >= 9)
    #expect(Self.entries("bad").count >= 60)
  }

  @Test(arguments: entries("good"))
  func readsPublishedDocuments(_ entry: JSON) throws {
    let name = entry["file"]?.stringValue ?? ""
    let configuration = try Self.document(name)
    #expect(
      try Int64(configuration.pageLayout(.bfloat16).positionByteCount) == entry["latent"]?.integerValue, "\(name)")
    #expect(
      Int64(configuration.plainCacheByteCountPerToken(elementByteCount: 2)) == entry["plain"]?.integerValue, "\(name)")
    let count = try configuration.parameterCount()
    #expect(Self.isAbout(count.total, entry["total"]), "\(name): \(count)")
    #expect(Self.isAbout(count.active, entry["active"]), "\(name): \(count)")
  }

  /// Published figures have two to four digits; some leave out the embedding.
  static func isAbout(_ count: Int, _ billions: JSON?) -> Bool {
    guard let published = billions?.doubleValue else { return false }
    return abs(Double(count) / 1e9 - published) <= published * 0.03
  }

  @Test(arguments: entries("bad"))
  func refusesBadDocuments(_ entry: JSON) throws {
    let name = entry["file"]?.stringValue ?? ""
    do throws(Failure) {
      let json = try File.readJSON(Fixtures.path("config/\(name)"))
      _ = try ModelConfiguration(json: json, file: name)
      Issue.record("\(name) is accepted")
    } catch {
      #expect("\(error.status)" == entry["status"]?.stringValue, "\(name): \(error.message)")
      #expect(error.message.hasPrefix(name), "\(error.message)")
      for mention in (entry["mentions"]?.arrayValue ?? []).compactMap(\.stringValue) {
        #expect(error.message.contains(mention), "\(name): \(error.message)")
      }
    }
  }

  @Test func readsDeepSeekV3() throws {
    let c = try Self.document("good-v3.json")
    #expect(c.architecture == .deepseekV3)
    #expect((c.hiddenLayerCount, c.attention.headCount) == (61, 128))
    #expect((c.attention.qLoraRank, c.attention.kvLoraRank) == (1536, 512))
    let a = c.attention
    #expect((a.qkNopeHeadDimension, a.qkRopeHeadDimension, a.vHeadDimension) == (128, 64, 128))
    #expect(c.feedForward.prefix(3) == [.dense, .dense, .dense])
    #expect(c.feedForward.count { $0 == .experts } == 58)
    #expect((c.router.groupCount, c.router.selectedGroupCount, c.router.scalingFactor) == (8, 4, 2.5))
    #expect(c.router.normalizesWeights && a.ropeInterleaved && !a.hasBias && !c.tiesWordEmbeddings)
    #expect(c.nextTokenLayerCount == 1)
    #expect((c.quantization?.block?.rows, c.quantization?.block?.columns) == (128, 128))
    #expect(c.quantization?.powerOfTwoScales == false)
    let newer = try Self.document("good-v3.1.json")
    #expect(newer.quantization?.powerOfTwoScales == true)
  }

  @Test func bothRopeSpellingsAreTheSame() throws {
    let published = try Self.document("good-v3.json")
    let native = try Self.document("good-v3-rope-parameters.json")
    #expect(published.attention == native.attention)
  }

  /// The softmax scale's YaRN factor: 1.87 for V3, 1.59 for V2-Lite, none for Moonlight.
  @Test(arguments: [
    ("v3", 1.87385, 192.0), ("v2-lite", 1.58963, 192.0), ("moonlight", 1, 192), ("glm-4.7-flash", 1, 256),
  ])
  func softmaxScale(_ name: String, _ factor: Double, _ dimension: Double) throws {
    let configuration = try Self.document("good-\(name).json")
    #expect(abs(configuration.attention.rope.softmaxFactor - factor) < 1e-4)
    #expect(configuration.attention.rope.attentionFactor == 1)
    #expect(abs(Double(configuration.attention.softmaxScale) - factor / dimension.squareRoot()) < 1e-5)
  }

  /// From `_compute_yarn_parameters` of transformers 5.23 for V3: plain below the ramp, divided by 40 above it.
  @Test func inverseFrequencies() throws {
    let frequencies = try Self.document("good-v3.json").attention.rope.inverseFrequencies(dimension: 64)
    #expect(frequencies.count == 32)
    #expect(frequencies[0] == 1)
    #expect(frequencies[9] == 0.07498941570520401)
    #expect(frequencies[12] == 0.026879360899329185)
    #expect(frequencies[31] == 3.3338035336782923e-06)
  }

  @Test func parametersOfAttentionAreCounted() throws {
    // kv_a 2048*576 + norm 512 + kv_b 512*4096 + o 2048*2048 + q 2048*3072 + two norms, 27 layers.
    let attention = 2048 * 576 + 512 + 512 * 4096 + 2048 * 2048 + 2048 * 3072 + 2 * 2048
    let experts = 66 * 3 * 2048 * 1408 + 64 * 2048
    let dense = 3 * 2048 * 10944
    let expected = 27 * attention + 26 * experts + dense + 2 * 102400 * 2048 + 2048
    let count = try Self.document("good-v2-lite.json").parameterCount()
    #expect(count.total == expected)
  }

  // MARK: - dots3-note

  private static func dots(_ text: String) throws(Failure) -> ModelConfiguration {
    try ModelConfiguration(json: JSON.parse(argument: text, name: "config.json"), file: "config.json")
  }

  /// A document with nothing but its type has the class's values.
  @Test(arguments: ["{\"model_type\": \"dots3_note_text\"}", "{\"model_type\": \"dots3_note\"}"])
  func dotsHasTheClassesValues(_ text: String) throws {
    let c = try Self.dots(text)
    #expect((c.hiddenLayerCount, c.vocabularySize, c.maximumPositions) == (46, 152064, 524288))
    #expect(c.attentions.count == 2 && c.attentionKinds.prefix(7) == [0, 0, 1, 1, 1, 0, 1])
    let (full, sliding) = (c.attentions[0].latent, c.attentions[1].latent)
    #expect((full.headCount, full.qLoraRank, full.kvLoraRank, full.qkNopeHeadDimension) == (128, 1024, 512, 128))
    #expect((sliding.headCount, sliding.kvLoraRank, sliding.qkNopeHeadDimension) == (64, 1024, 192))
    #expect((sliding.qkRopeHeadDimension, sliding.vHeadDimension, sliding.slidingWindow) == (64, 128, 512))
    guard case .indexed(_, let indexer) = c.attentions[0] else { throw Failure(.internalError, "no indexer") }
    #expect((indexer.headCount, indexer.headDimension, indexer.selectedCount) == (64, 128, 2048))
    #expect(full.slidingWindow == nil && c.attentions[1] == .latent(sliding))
    #expect((full.rope.theta, sliding.rope.theta) == (80_000_000, 50_000))
    #expect(full.latentNormEpsilon == 1e-5 && full.latentFactor == Float(10).squareRoot())
    #expect(c.feedForward.prefix(2) == [.dense, .experts] && c.sharedExpertsWidth == 1536)
    // 288B with towers and prediction layer; the sum of all matrices by hand, and of the norms the last digits.
    let count = try c.parameterCount()
    #expect(
      abs(count.total - 279_551_148_032) < 2_000_000 && abs(count.active - 16_194_732_032) < 60_000_000, "\(count)")
  }

  /// What transformers writes for the same model says the same.
  @Test func dotsHasTwoSpellings() throws {
    let sliding =
      "{\"kv_lora_rank\": 1024, \"num_attention_heads\": 64, \"num_key_value_heads\": 64,"
      + " \"qk_nope_head_dim\": 192}"
    let rope =
      "{\"indexed_attention\": {\"rope_type\": \"default\", \"rope_theta\": 80000000.0,"
      + " \"partial_rotary_factor\": 0.25}, \"sliding_attention\": {\"rope_type\": \"default\","
      + " \"rope_theta\": 50000.0, \"partial_rotary_factor\": 0.25}}"
    let native = try Self.dots(
      "{\"model_type\": \"dots3_note\", \"text_config\": {\"num_hidden_layers\": 3, \"sliding_window\": 512,"
        + "\"layer_types\": [\"indexed_attention\", \"indexed_attention\", \"sliding_attention\"],"
        + "\"mlp_layer_types\": [\"dense\", \"sparse\", \"sparse\"],"
        + "\"per_layer_config\": {\"2\": \(sliding)}, \"rope_parameters\": \(rope)}}")
    #expect(try native == Self.dots("{\"model_type\": \"dots3_note\", \"num_hidden_layers\": 3}"))
  }

  @Test(arguments: [
    (
      "\"layer_types\": [\"chunked_attention\", \"sliding_attention\", \"full_attention\"]",
      "layer_types[0] is \"chunked_attention\""
    ),
    ("\"layer_types\": [\"full_attention\"]", "layer_types has 1 entries; expected 3"),
    ("\"q_lora_rank\": null", "q_lora_rank is null"), ("\"n_shared_experts\": 0", "n_shared_experts is 0"),
    ("\"swa_head_dim\": 200, \"swa_qk_rope_head_dim\": 64", "swa_head_dim is 200"),
    ("\"swa_num_key_value_heads\": 8", "swa_num_key_value_heads is 8"),
    ("\"index_head_dim\": 32", "index_head_dim is 32"), ("\"index_topk\": 0", "index_topk is 0"),
    ("\"per_layer_config\": {\"3\": {}}", "per_layer_config.3 is not the number of a layer"),
    ("\"per_layer_config\": {\"1\": {\"hidden_size\": 8}}", "per_layer_config.1.hidden_size is 8"),
    ("\"per_layer_config\": {\"1\": {\"kv_lora_rank\": 0}}", "per_layer_config.1.kv_lora_rank is 0"),
    ("\"rope_parameters\": {\"sliding_attention\": {}}", "rope_parameters.indexed_attention is missing"),
    ("\"rope_parameters\": {\"rope_type\": \"yarn\"}", "rope_parameters.rope_type is \"yarn\""),
    ("\"moe_layer_freq\": [1]", "moe_layer_freq has 1 entries"), ("\"sliding_window\": -1", "sliding_window is -1"),
  ])
  func refusesBadDotsDocuments(_ field: String, _ mention: String) {
    let failure = #expect(throws: Failure.self) {
      _ = try Self.dots("{\"model_type\": \"dots3_note_text\", \"num_hidden_layers\": 3, \(field)}")
    }
    #expect(failure?.message.contains(mention) == true, "\(failure?.message ?? "")")
  }
}
